// Every op of training against the reference, forward and backward, on shapes where vector code goes wrong. One table has
// the error bound of each op.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { TrainBackend } from '../host/train/backend.ts';
import { TrainReference } from '../host/train/reference.ts';
import { type TrainKernels, TrainWasm } from '../host/train/wasm.ts';
import { Inputs } from './support/inputs.ts';
import { hashOf, nmse } from './support/numbers.ts';
import { trainOps } from './support/op-cases.ts';
import { compile, type Planted } from './support/planted.ts';
import { TRAIN_BACKENDS } from './support/train-backends.ts';
import { LARGE, matmul, runCase as run } from './support/train-ops.ts';

/** Largest normalised mean squared error of the output and of each gradient. */
const BOUND: Record<string, number> = {
  // where the output is one number, it may be the small difference of large ones
  matmul: 1e-9,
  embedding: 1e-13,
  rmsnorm: 1e-12,
  rope: 1e-12,
  attention: 1e-11,
  swiglu: 1e-12,
  crossEntropy: 1e-12,
  sumSquares: 1e-14,
  adamw: 1e-12,
};

function trainOpsSuite(name: string, make: () => Promise<TrainBackend>): void {
  const test = suite(`ops of training on ${name}`);

  for (const op of new Set(LARGE.map(({ op }) => op))) {
    test(`${op} forward and backward`, async () => {
      for (const kase of LARGE.filter(c => c.op === op)) {
        const expected = await run(new TrainReference(), kase);
        for (const [what, actual] of Object.entries(await run(await make(), kase))) {
          const error = nmse(actual, expected[what]!);
          assert.ok(error <= BOUND[op]!, `${op} ${kase.shape}, ${what}: NMSE ${error} over ${BOUND[op]}`);
        }
      }
    });
  }

  test('a row of a matmul has the same bits in any tile, and beside any other', async () => {
    const [rows, cols] = [13, 300];
    const whole = await run(await make(), matmul(70, rows, cols));
    for (const n of [1, 2, 3, 4, 5, 64, 65]) {
      const backend = await make();
      const random = new Inputs(7);
      const x = random.f32(backend, 70 * cols);
      random.values(70 * cols);
      const w = { buf: random.f32(backend, rows * cols), dtype: 'f32' as const, rows, cols };
      const out = backend.allocF32(n * rows);
      backend.matmulForward(out, x, w, n);
      const actual = await backend.readF32(out, n * rows);
      assert.is(hashOf(actual), hashOf(whole['out']!.slice(0, n * rows)), `${n} rows`);
    }
  });

  test('sumSquares', async () => {
    for (const count of [0, 1, 2, 3, 4, 5, 7, 8, 9, 1000]) {
      const sum = async (b: TrainBackend) => {
        const out = b.allocF32(1);
        b.sumSquares(out, new Inputs(3).f32(b, count, 100), count);
        return b.readF32(out, 1);
      };
      const error = nmse(await sum(await make()), await sum(new TrainReference()));
      assert.ok(error <= BOUND['sumSquares']!, `${count}: NMSE ${error}`);
    }
  });

  test('adamw', async () => {
    for (const count of [0, 1, 2, 3, 4, 5, 7, 8, 9, 100]) {
      for (const decay of [0, 0.1]) {
        const steps = async (b: TrainBackend) => {
          const random = new Inputs(4);
          const w = random.f32(b, count);
          const [m, v] = [b.allocF32(count), b.allocF32(count)];
          for (const buf of [m, v]) b.zero(buf, count);
          for (let step = 1; step <= 5; step++) {
            const gradient = random.f32(b, count, 0.1);
            b.adamw(w, m, v, gradient, count, step, 1e-2, 0.9, 0.95, 1e-5, decay, 0.7);
          }
          return Promise.all([w, m, v].map(buf => b.readF32(buf, count)));
        };
        const expected = await steps(new TrainReference());
        for (const [i, actual] of (await steps(await make())).entries()) {
          const error = nmse(actual, expected[i]!);
          assert.ok(error <= BOUND['adamw']!, `${count}, ${['w', 'm', 'v'][i]}: NMSE ${error}`);
        }
      }
    }
  });

  test.run();
}

for (const [name, make] of Object.entries(TRAIN_BACKENDS)) {
  if (name !== 'reference') trainOpsSuite(name, make);
}

/** What the cases use. */
const KERNELS = [
  ...trainOps,
  'crossEntropy',
  'embedding_f32',
  'rmsnorm',
  'rope',
  'ropeTable',
  'swiglu',
  'takeRows',
];

/** Mistakes that a backward invites, and in which gradient they show. */
const PLANTED: (Planted & { op: string; what: string })[] = [
  // rotated on instead of back
  {
    op: 'rope',
    what: 'd x',
    file: 'rope.ts',
    replace: 'n, heads, headDim, -1)',
    by: 'n, heads, headDim, 1)',
  },
  // the last head of a group alone
  {
    op: 'attention',
    what: 'd k',
    file: 'attention-train.ts',
    replace: 'gemm(dK + kv, dScores, q + at, packed, keys, headDim, m, kRow, row, qRow, true, false, true)',
    by: 'gemm(dK + kv, dScores, q + at, packed, keys, headDim, m, kRow, row, qRow, true, false, false)',
  },
  // the lanes beyond the last whole vector
  {
    op: 'swiglu',
    what: 'd gate',
    file: 'swiglu.ts',
    replace: 'else storePart(out, f32x4.add(loadPart(out, count), v), count);',
    by: '',
  },
  // one column of the last tile
  {
    op: 'matmul',
    what: 'd x',
    file: 'gemm.ts',
    replace: 'min(COLS, cols - j)',
    by: 'min(COLS, cols - j - 1)',
  },
  // the last block of depth alone
  { op: 'matmul', what: 'out', file: 'gemm.ts', replace: 'accumulate || p > 0', by: 'accumulate' },
  // the norm taken for a constant
  {
    op: 'rmsnorm',
    what: 'd x',
    file: 'rmsnorm.ts',
    replace: ', f32x4.mul(v, shrink))',
    by: ', f32x4.splat(0))',
  },
];

const planted = suite('bugs planted in ops of training');

for (const bug of PLANTED) {
  planted(`${bug.op}: "${bug.by}" for "${bug.replace}" is caught`, async () => {
    const module = await WebAssembly.compile(await compile(bug, KERNELS));
    const kernels = () => new WebAssembly.Instance(module).exports as unknown as TrainKernels;
    for (const kase of LARGE.filter(({ op }) => op === bug.op)) {
      const expected = await run(new TrainReference(), kase);
      const actual = await run(new TrainWasm(kernels()), kase);
      if (nmse(actual[bug.what]!, expected[bug.what]!) > BOUND[bug.op]!) return;
    }
    assert.unreachable('all cases passed');
  });
}

planted.run();
