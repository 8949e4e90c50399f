// What main.ts starts: SHAPE. Prints what one thread does inside the matrix products of training, in GFLOP/s, and what of f32
// multiplications and additions it could do.

import { TrainWasm, trainKernels } from '../../host/train/wasm.ts';
import { measureF32 } from '../machine.ts';
import type { Job } from './job.ts';

export interface GemmRates {
  /** `f32x4.mul` and `f32x4.add` without memory. */
  peak: number;
  /** All products of a layer, forward and backward. */
  gemm: number;
}

const ROUNDS = 7;

const { shape, tokens } = JSON.parse(process.argv[2]!) as { shape: Job['shape']; tokens: number };
const { dim, hiddenDim, nHeads, nKvHeads } = shape;
const kv = (dim / nHeads) * nKvHeads;
const matrices = [
  [dim, dim],
  [kv, dim],
  [kv, dim],
  [dim, dim],
  [hiddenDim, dim],
  [hiddenDim, dim],
  [dim, hiddenDim],
] as const;
const b = new TrainWasm(await trainKernels());
const filled = (size: number) => {
  const buf = b.allocF32(size);
  b.writeF32(
    buf,
    Float32Array.from({ length: size }, (_, i) => (((i * 7919) % 2001) - 1000) / 1000),
  );
  return buf;
};
const most = Math.max(dim, hiddenDim);
const x = filled(tokens * most);
const out = filled(tokens * most);
const weights = filled(most * dim);
// backward adds to these
const dX = filled(tokens * most);
const gradient = filled(most * dim);
let best = Number.POSITIVE_INFINITY;
for (let round = 0; round < ROUNDS; round++) {
  let ms = 0;
  for (const [rows, cols] of matrices) {
    const w = { buf: weights, dtype: 'f32', rows, cols } as const;
    b.zero(dX, tokens * cols);
    b.zero(gradient, rows * cols);
    const start = performance.now();
    b.matmulForward(out, x, w, tokens);
    b.matmulBackwardX(dX, out, w, tokens);
    b.matmulBackwardW({ ...w, buf: gradient }, out, x, tokens);
    ms += performance.now() - start;
  }
  best = Math.min(best, ms);
}
const flops = matrices.reduce((sum, [rows, cols]) => sum + 3 * 2 * tokens * rows * cols, 0);
console.log(JSON.stringify({ peak: 2 * (await measureF32(1)), gemm: flops / best / 1e6 }));
