// What a bug in a CUDA kernel may spoil: an op, or a few, on numbers that are always the same.

import type { Buf } from '../../host/backend.ts';
import type { TrainBackend } from '../../host/train/backend.ts';
import { encode } from './stored.ts';
import { uniform } from './tiny-model.ts';
import { runCase, type TrainCase } from './train-ops.ts';

export type Run = (b: TrainBackend) => Promise<ArrayLike<number>>;

function values(count: number, seed = 1): Float32Array {
  const random = uniform(seed);
  return Float32Array.from({ length: count }, random);
}

function f32(b: TrainBackend, numbers: Float32Array): Buf {
  const buf = b.allocF32(numbers.length);
  b.writeF32(buf, numbers);
  return buf;
}

function i32(b: TrainBackend, numbers: number[]): Buf {
  const buf = b.allocI32(numbers.length);
  b.writeI32(buf, numbers);
  return buf;
}

export const rmsnorm: Run = async b => {
  const weight = b.allocTensor('f32', 1, 100);
  await b.fill(weight, 0, 1, async view => view.set(encode(values(100, 2), 'f32')));
  const x = f32(b, values(300));
  b.rmsnorm(x, x, weight, 3, 100, 1e-5);
  return b.readF32(x, 300);
};

export const matmulOf =
  (dtype: 'f32' | 'f16' | 'bf16' | 'q4_0' | 'q6_k', n: number, rows: number, cols: number): Run =>
  async b => {
    const w = b.allocTensor(dtype, rows, cols);
    await b.fill(w, 0, rows, async view => view.set(encode(values(rows * cols, 3), dtype)));
    const out = b.allocF32(n * rows);
    b.matmul(out, f32(b, values(n * cols)), w, n);
    return b.readF32(out, n * rows);
  };

export const attentionOver =
  (capacity: number, positions: number[]): Run =>
  async b => {
    const caches = [4, 5].map(seed => {
      const cache = b.allocCache('f32', 1, 1, capacity, 40);
      b.writeCache(cache, 0, 0, 0, encode(values(capacity * 40, seed), 'f32'));
      return cache;
    });
    const out = b.allocF32(2 * 40);
    const q = f32(b, values(2 * 40));
    b.attention(out, q, caches[0]!, caches[1]!, i32(b, [0, 0]), i32(b, positions), 2, 1, 1, 0);
    return b.readF32(out, 80);
  };
export const attention: Run = attentionOver(20, [6, 18]);
/** Of parts. */
export const longAttention: Run = attentionOver(600, [90, 555]);

/** Two prompts in a tile of a cache of halves, with nothing behind them. */
export const prompts: Run = async b => {
  const [headDim, n] = [80, 90];
  const tokens = Array.from({ length: n }, (_, i) => i);
  const caches = [4, 5].map(seed => {
    const cache = b.allocCache('f16', 2, 1, 71, headDim);
    for (const slot of [0, 1])
      b.writeCache(cache, slot, 0, 0, encode(values(70 * headDim, seed + slot), 'f16'));
    return cache;
  });
  const slots = i32(
    b,
    tokens.map(i => (i < 70 ? 0 : 1)),
  );
  const positions = i32(
    b,
    tokens.map(i => (i < 70 ? i : i - 20)),
  );
  const out = b.allocF32(n * headDim);
  // large enough that the largest scores come late
  const q = f32(
    b,
    values(n * headDim).map(x => 8 * x),
  );
  b.attention(out, q, caches[0]!, caches[1]!, slots, positions, n, 1, 1, 0);
  return b.readF32(out, n * headDim);
};

export const sample: Run = async b => {
  const id = b.allocI32(1);
  b.sample(id, f32(b, values(200)), 200, 1, 0, 0.9, 0.01, 0.7);
  return b.readI32(id, 1);
};

/** More candidates than one block sorts. */
export const sampleMany: Run = async b => {
  const id = b.allocI32(1);
  b.sample(id, f32(b, values(5000)), 5000, 1, 0, 0.5, 0, 0.9);
  return b.readI32(id, 1);
};

export const add: Run = async b => {
  const x = f32(b, values(33));
  b.add(x, x, x, 33);
  return b.readF32(x, 33);
};

/** The output of an op and the gradients of its inputs. */
export const learning =
  (kase: TrainCase): Run =>
  async b =>
    Object.values(await runCase(b, kase)).flatMap(values => [...values]);

export const sumSquares: Run = async b => {
  const out = b.allocF32(1);
  b.sumSquares(out, f32(b, values(5000)), 5000);
  return b.readF32(out, 1);
};

/** The losses that come with the gradients of logits. */
export const losses: Run = async b => {
  const [n, vocab] = [12, 300];
  const loss = b.allocF32(n);
  const targets = i32(
    b,
    Array.from({ length: n }, (_, i) => (i * 97) % vocab),
  );
  b.crossEntropyBackward(loss, f32(b, values(n * vocab)), targets, f32(b, values(n)), n, vocab);
  return b.readF32(loss, n);
};

/** Of attention in tiles, which rounds its operands and is held to the reference, which does not: how far it may be. */
export const ROUNDED = 5e-5;
