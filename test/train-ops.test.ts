// Every op of training against the reference, forward and backward, on shapes where vector code goes wrong. Bounds of the
// error are in support/train-ops.ts.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { TrainBackend } from '../host/train/backend.ts';
import { TrainReference } from '../host/train/reference.ts';
import { gpuTrainBackends, withMock } from './support/gpu.ts';
import { Inputs } from './support/inputs.ts';
import { hashOf, nmse } from './support/numbers.ts';
import { ReferenceCuda } from './support/reference-cuda.ts';
import { TRAIN_BACKENDS } from './support/train-backends.ts';
import { attention, BOUND, IN_TILES, LARGE, matmul, runCase as run } from './support/train-ops.ts';

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
    for (const count of [0, 1, 2, 3, 4, 5, 7, 8, 9, 1000, 1025, 600_000]) {
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
    for (const count of [0, 1, 2, 3, 4, 5, 7, 8, 9, 100, 1000]) {
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

/** Both operands rounded to bf16 (measured: up to 4.5e-6). */
const BF16 = 1e-5;

function bf16Suite(name: string, make: () => Promise<TrainBackend>): void {
  const test = suite(`training in bf16 on ${name}`);

  test('products forward and backward: those of rounded operands, and near those of f32', async () => {
    // and tiles, blocks of depth and columns more than one
    for (const kase of [...LARGE.filter(({ op }) => op === 'matmul'), matmul(530, 140, 270)]) {
      const rounded = await run(new ReferenceCuda('bf16'), kase);
      const exact = await run(new TrainReference(), kase);
      for (const [what, actual] of Object.entries(await run(await make(), kase))) {
        const error = nmse(actual, rounded[what]!);
        assert.ok(error <= BOUND['matmul']!, `${kase.shape}, ${what}: NMSE ${error} over ${BOUND['matmul']}`);
        // few numbers may be the small differences of large ones
        const loss = actual.length < 1000 ? 0 : nmse(actual, exact[what]!);
        assert.ok(loss <= BF16, `${kase.shape}, ${what}: NMSE ${loss} over ${BF16}`);
      }
    }
  });

  test('numbers that begin anywhere', async () => {
    const backend = await make();
    const random = new Inputs(9);
    const [n, rows, cols] = [12, 16, 24];
    const at = (count: number) => backend.part(random.f32(backend, count + 1), 1, count);
    const tensor = { buf: at(rows * cols), dtype: 'f32' as const, rows, cols };
    const [x, dOut, out] = [at(n * cols), at(n * rows), at(n * rows)];
    const before = await backend.readF32(tensor.buf, rows * cols);
    backend.matmulForward(out, x, tensor, n);
    backend.matmulBackwardW(tensor, dOut, x, n);
    const reference = new ReferenceCuda('bf16');
    const keep = async (buf: number, count: number) => {
      const copy = reference.allocF32(count);
      reference.writeF32(copy, await backend.readF32(buf, count));
      return copy;
    };
    const w = { ...tensor, buf: reference.allocF32(rows * cols) };
    reference.writeF32(w.buf, before);
    const [x2, dOut2, out2] = [
      await keep(x, n * cols),
      await keep(dOut, n * rows),
      reference.allocF32(n * rows),
    ];
    reference.matmulForward(out2, x2, w, n);
    reference.matmulBackwardW(w, dOut2, x2, n);
    for (const [a, b, count] of [
      [out, out2, n * rows],
      [tensor.buf, w.buf, rows * cols],
    ] as const) {
      const error = nmse(await backend.readF32(a, count), await reference.readF32(b, count));
      assert.ok(error <= BOUND['matmul']!, `NMSE ${error}`);
    }
    backend.dispose();
  });

  for (const kase of IN_TILES) {
    test(`attention ${kase.shape}`, async () => {
      const expected = await run(new TrainReference(), kase, 0);
      for (const [what, actual] of Object.entries(await run(await make(), kase, 0))) {
        const error = nmse(actual, expected[what]!);
        assert.ok(error <= BOUND['attention in bf16']!, `${what}: NMSE ${error}`);
      }
    });
  }

  test('attention gives the same bits again, in any order of threads, and added to what is there', async () => {
    const kase = attention(2, 40, 4, 2, 48);
    const hashes = async (held: number) => Object.values(await run(await make(), kase, held)).map(hashOf);
    const [once, held] = [await hashes(0), await run(new TrainReference(), kase)];
    for (const seed of [1, 2, 3])
      assert.equal(await withMock('SEED', seed, () => hashes(0)), once, `seed ${seed}`);
    for (const [what, actual] of Object.entries(await run(await make(), kase)))
      assert.ok(nmse(actual, held[what]!) <= BOUND['attention in bf16']!, what);
  });

  test.run();
}

for (const [name, make] of Object.entries(gpuTrainBackends('bf16'))) bf16Suite(name, make);
for (const [name, make] of Object.entries(TRAIN_BACKENDS)) {
  if (name !== 'reference') trainOpsSuite(name, make);
}
