// Bugs that are typical of GPU kernels, planted one at a time: each must be seen by a comparison with the reference or by
// the mock driver itself, under one of a few orders in which threads may take turns. The short form plants one a file.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { MockOptions } from '../gpu-plugin/build.ts';
import { BUGS, type Bug } from './support/cuda-bugs.ts';
import { TRAIN_BUGS } from './support/cuda-train-bugs.ts';
import { canBuildMock, trainCudaOnMock, withMock } from './support/gpu.ts';
import { nmse } from './support/numbers.ts';
import { ReferenceCuda } from './support/reference-cuda.ts';

const test = suite('bugs planted in CUDA kernels');
const SEEDS = [0, 1, 2, 3];
const ALL = { ...BUGS, ...TRAIN_BUGS };

/** What is wrong: an error of the mock driver's, or numbers. */
async function outcome(
  { run, precision, bound = 1e-10 }: Bug,
  plant?: MockOptions['plant'],
): Promise<string | undefined> {
  const expected = await run(new ReferenceCuda(precision));
  for (const seed of SEEDS) {
    const wrong = await withMock('SEED', seed, async () => {
      const backend = trainCudaOnMock(plant && { plant }, precision);
      try {
        const error = nmse(await run(backend), expected);
        return error < bound ? undefined : `NMSE ${error}`;
      } catch (error) {
        return (error as Error).message;
      } finally {
        backend.dispose();
      }
    });
    if (wrong) return wrong;
  }
  return undefined;
}

if (canBuildMock('bugs planted in CUDA kernels')) {
  test('without a bug nothing is wrong, in any order of threads', async () => {
    for (const bug of Object.values(ALL)) assert.is(await outcome(bug), undefined);
  });
  const planted = Object.entries(ALL).filter(([, { plant }], i, all) => {
    const isFirst = all.findIndex(([, other]) => other.plant.file === plant.file) === i;
    return process.env['CRIA_FULL'] || isFirst;
  });
  const left = Object.keys(ALL).length - planted.length;
  if (left > 0) console.log(`skipped: ${left} more bugs in the same files (npm run test:full)`);
  for (const [name, bug] of planted) {
    test(name, async () => {
      assert.ok(await outcome(bug, bug.plant), 'nobody saw it');
    });
  }
}

test.run();
