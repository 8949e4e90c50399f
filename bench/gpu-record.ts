// What the packed file runs where a GPU is: the tests of the plugin and its benchmark, into one record. Options: --only A,B (tests by
// name), --models A,B or none, --reps N, --out FILE (default record.json).

import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { kernelsHash } from '../gpu-plugin/hash.ts';
import { projectFolder } from './paths.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'cuda-seam,ops,sampler,train-ops,train-model' },
    models: { type: 'string' },
    reps: { type: 'string', default: '5' },
    out: { type: 'string', default: 'record.json' },
  },
});
const root = projectFolder();

/** Runs a program of dist; what it printed, and whether it ended well. */
function run(path: string, args: string[] = []): { ended: boolean; output: string } {
  const env = { ...process.env, CRIA_GPU: '1', FORCE_COLOR: '0' };
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'dist', path), ...args], {
    cwd: root,
    env,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  process.stdout.write(stdout + stderr);
  return { ended: status === 0, output: stdout };
}

const tests = values.only.split(',').map(name => {
  const { ended, output } = run(`test/${name}.test.js`);
  const count = (label: string) =>
    Number(new RegExp(`^\\s*${label}:\\s+(\\d+)$`, 'm').exec(output)?.[1] ?? 0);
  return { name, passed: count('Passed'), of: count('Total'), ended };
});
const args = ['--reps', values.reps, ...(values.models ? ['--models', values.models] : [])];
const { ended, output } = values.models === 'none' ? { ended: true, output: '' } : run('bench/gpu.js', args);
const bench = output
  .split('\n')
  .filter(line => line.startsWith('{'))
  .map(line => JSON.parse(line) as { failed?: string });
const { stdout: driver } = spawnSync(
  'nvidia-smi',
  ['--query-gpu=name,driver_version', '--format=csv,noheader'],
  {
    encoding: 'utf8',
  },
);
const record = {
  date: new Date().toISOString().slice(0, 10),
  driver: driver?.trim() ?? 'no nvidia-smi',
  kernelsSha256: kernelsHash(join(root, 'gpu-plugin', 'kernels')),
  tests,
  bench,
};
writeFileSync(values.out, `${JSON.stringify(record, undefined, 1)}\n`);
const passed = tests.every(({ ended, passed, of }) => ended && passed === of && of > 0);
process.exitCode = passed && ended && bench.every(({ failed }) => failed === undefined) ? 0 : 1;
