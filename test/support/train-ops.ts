/** The ops of training with a backward, as cases: inputs, forward and backward, on shapes where vector code goes wrong. */

import type { Buf, Tensor } from '../../host/backend.ts';
import type { TrainBackend } from '../../host/train/backend.ts';
import { Inputs } from './inputs.ts';

/** A buffer by the name of an input. */
type Of = (name: string) => Buf;

export interface TrainCase {
  op: string;
  shape: string;
  /** How many numbers each input has, and how large they are. */
  inputs: Record<string, { count: number; scale: number }>;
  /** Numbers of the output. */
  outputs: number;
  /** Runs the op; `backward` then gives every input its gradient from that of the output. */
  run(b: TrainBackend, of: Of): { out: Buf; backward(dOut: Buf, d: Of): void };
  /** Backward replaces what the gradients held, where it works in place. */
  inPlace?: boolean;
}

/** Largest normalised mean squared error of the output and of each gradient. */
export const BOUND: Record<string, number> = {
  // where the output is one number, it may be the small difference of large ones
  matmul: 1e-9,
  embedding: 1e-13,
  rmsnorm: 1e-12,
  rope: 1e-12,
  attention: 1e-11,
  // operands rounded to bf16: 3e-6 to 2e-5 (measured on the mock)
  'attention in bf16': 5e-5,
  swiglu: 1e-12,
  crossEntropy: 1e-12,
  sumSquares: 1e-14,
  adamw: 1e-12,
};

/** The output and, from gradients that hold numbers of size `held` already, the gradient of every input. */
export async function runCase(
  backend: TrainBackend,
  kase: TrainCase,
  held = 1,
): Promise<Record<string, Float32Array>> {
  const random = new Inputs(7);
  const of = new Map<string, Buf>();
  const d = new Map<string, Buf>();
  for (const [name, { count, scale }] of Object.entries(kase.inputs)) {
    of.set(name, random.f32(backend, count, scale));
    d.set(name, random.f32(backend, count, held));
  }
  const { out, backward } = kase.run(backend, name => of.get(name)!);
  const result: Record<string, Float32Array> = { out: await backend.readF32(out, kase.outputs) };
  backward(random.f32(backend, kase.outputs), name => d.get(name)!);
  for (const [name, { count }] of Object.entries(kase.inputs)) {
    result[`d ${name}`] = await backend.readF32(d.get(name)!, count);
  }
  return result;
}

const matrix = (buf: Buf, rows: number, cols: number): Tensor => ({ buf, dtype: 'f32', rows, cols });

function i32(b: TrainBackend, values: number[]): Buf {
  const buf = b.allocI32(values.length);
  b.writeI32(buf, values);
  return buf;
}

/** out = x;  (count) */
function copy(b: TrainBackend, out: Buf, x: Buf, count: number): void {
  b.takeRows(out, x, i32(b, [0]), 1, count);
}

/** Indexes that repeat and go up and down. */
const indexes = (count: number, below: number) =>
  Array.from({ length: count }, (_, i) => (i * i + 2) % below);

export function matmul(n: number, rows: number, cols: number): TrainCase {
  return {
    op: 'matmul',
    shape: `${n}x${cols} · ${rows}`,
    inputs: { x: { count: n * cols, scale: 1 }, w: { count: rows * cols, scale: 1 } },
    outputs: n * rows,
    run(b, of) {
      const out = b.allocF32(n * rows);
      const w = matrix(of('w'), rows, cols);
      b.matmulForward(out, of('x'), w, n);
      const backward = (dOut: Buf, d: Of) => {
        b.matmulBackwardX(d('x'), dOut, w, n);
        b.matmulBackwardW(matrix(d('w'), rows, cols), dOut, of('x'), n);
      };
      return { out, backward };
    },
  };
}

export function embedding(n: number, rows: number, cols: number): TrainCase {
  return {
    op: 'embedding',
    shape: `${n} of ${rows}x${cols}`,
    inputs: { table: { count: rows * cols, scale: 1 } },
    outputs: n * cols,
    run(b, of) {
      const out = b.allocF32(n * cols);
      const tokens = i32(b, indexes(n, rows));
      b.embedding(out, tokens, matrix(of('table'), rows, cols), n);
      const backward = (dOut: Buf, d: Of) => {
        b.embeddingBackward(matrix(d('table'), rows, cols), dOut, tokens, n);
      };
      return { out, backward };
    },
  };
}

export function rmsnorm(n: number, dim: number): TrainCase {
  return {
    op: 'rmsnorm',
    shape: `${n}x${dim}`,
    inputs: { x: { count: n * dim, scale: 3 }, weight: { count: dim, scale: 2 } },
    outputs: n * dim,
    run(b, of) {
      const out = b.allocF32(n * dim);
      const weight = matrix(of('weight'), 1, dim);
      b.rmsnorm(out, of('x'), weight, n, dim, 1e-3);
      const backward = (dOut: Buf, d: Of) => {
        b.rmsnormBackward(d('x'), matrix(d('weight'), 1, dim), dOut, of('x'), weight, n, dim, 1e-3);
      };
      return { out, backward };
    },
  };
}

export function rope(n: number, heads: number, headDim: number): TrainCase {
  const count = n * heads * headDim;
  return {
    op: 'rope',
    shape: `${n}x${heads}x${headDim}`,
    inputs: { x: { count, scale: 1 } },
    outputs: count,
    inPlace: true,
    run(b, of) {
      const out = b.allocF32(count);
      const table = b.allocF32(50 * headDim);
      b.ropeTable(table, undefined, 0, 50, headDim, 1e4, 1);
      const positions = i32(b, indexes(n, 50));
      copy(b, out, of('x'), count);
      b.rope(out, positions, table, n, heads, headDim);
      const backward = (dOut: Buf, d: Of) => {
        copy(b, d('x'), dOut, count);
        b.ropeBackward(d('x'), positions, table, n, heads, headDim);
      };
      return { out, backward };
    },
  };
}

export function attention(B: number, T: number, heads: number, kvHeads: number, headDim: number): TrainCase {
  const count = B * T * heads * headDim;
  const kvCount = B * T * kvHeads * headDim;
  return {
    op: 'attention',
    shape: `${B}x${T}, ${heads}/${kvHeads} heads of ${headDim}`,
    inputs: {
      q: { count, scale: 3 },
      k: { count: kvCount, scale: 1 },
      v: { count: kvCount, scale: 1 },
    },
    outputs: count,
    run(b, of) {
      const out = b.allocF32(count);
      const lse = b.allocF32(B * T * heads);
      const [q, k, v] = [of('q'), of('k'), of('v')];
      b.attentionForward(out, lse, q, k, v, B, T, heads, kvHeads, headDim);
      const backward = (dOut: Buf, d: Of) => {
        const [dQ, dK, dV] = [d('q'), d('k'), d('v')];
        b.attentionBackward(dQ, dK, dV, dOut, out, lse, q, k, v, B, T, heads, kvHeads, headDim);
      };
      return { out, backward };
    },
  };
}

export function swiglu(count: number): TrainCase {
  return {
    op: 'swiglu',
    shape: `${count}`,
    inputs: { gate: { count, scale: 6 }, up: { count, scale: 1 } },
    outputs: count,
    run(b, of) {
      const out = b.allocF32(count);
      b.swiglu(out, of('gate'), of('up'), count);
      const backward = (dOut: Buf, d: Of) => {
        b.swigluBackward(d('gate'), d('up'), dOut, of('gate'), of('up'), count);
      };
      return { out, backward };
    },
  };
}

export function crossEntropy(n: number, vocab: number): TrainCase {
  return {
    op: 'crossEntropy',
    shape: `${n}x${vocab}`,
    inputs: { logits: { count: n * vocab, scale: 4 } },
    outputs: n,
    inPlace: true,
    run(b, of) {
      const out = b.allocF32(n);
      const targets = i32(b, indexes(n, vocab));
      b.crossEntropy(out, of('logits'), targets, n, vocab);
      const backward = (dOut: Buf, d: Of) => {
        copy(b, d('logits'), of('logits'), n * vocab);
        b.crossEntropyBackward(b.allocF32(n), d('logits'), targets, dOut, n, vocab);
      };
      return { out, backward };
    },
  };
}

const AWKWARD = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33];

/** Small enough for finite differences of every number. */
export const SMALL: TrainCase[] = [
  ...[1, 2, 5].flatMap(n => [1, 3, 4, 9].flatMap(rows => [1, 4, 7].map(cols => matmul(n, rows, cols)))),
  ...[1, 3, 8].map(cols => embedding(5, 3, cols)),
  ...[1, 2, 4, 7].flatMap(dim => [1, 3].map(n => rmsnorm(n, dim))),
  ...[2, 4, 6].map(headDim => rope(3, 2, headDim)),
  attention(1, 1, 1, 1, 1),
  attention(2, 5, 2, 1, 3),
  attention(1, 9, 4, 2, 4),
  attention(2, 4, 6, 2, 2),
  attention(1, 7, 3, 3, 5),
  ...[1, 3, 4, 9].map(swiglu),
  ...[1, 2, 5, 8].flatMap(vocab => [1, 3].map(n => crossEntropy(n, vocab))),
];

/** Lanes, tiles and blocks, and one more or less. */
export const LARGE: TrainCase[] = [
  ...[0, 1, 3, 4, 5].flatMap(n =>
    [1, 4, 7, 8, 9].flatMap(rows => AWKWARD.map(cols => matmul(n, rows, cols))),
  ),
  // beyond a block of rows, of columns, of depth, in each of the three products
  matmul(65, 17, 257),
  matmul(257, 65, 9),
  matmul(63, 513, 5),
  matmul(3, 258, 514),
  matmul(300, 5, 520),
  ...[0, 1, 3].flatMap(n => AWKWARD.map(cols => embedding(n, 7, cols))),
  // beyond a block of the GPU, of columns and of tokens
  embedding(300, 7, 300),
  ...[0, 1, 3].flatMap(n => AWKWARD.map(dim => rmsnorm(n, dim))),
  rmsnorm(20, 1100),
  ...[2, 4, 6, 8, 10, 64].flatMap(headDim => [rope(0, 1, headDim), rope(1, 1, headDim), rope(3, 5, headDim)]),
  ...[1, 2, 3, 4, 5, 31, 32, 33, 63, 64, 65, 100].map(T => attention(2, T, 4, 2, 6)),
  attention(0, 4, 2, 1, 4),
  attention(1, 0, 2, 1, 4),
  attention(1, 37, 6, 1, 17),
  attention(3, 5, 8, 8, 64),
  attention(1, 300, 2, 1, 8),
  attention(1, 40, 2, 1, 128),
  attention(2, 33, 3, 1, 1),
  attention(1, 5, 2, 1, 256),
  ...[0, ...AWKWARD, 1000].map(swiglu),
  ...[1, 2, 3, 4, 5, 31, 32, 33, 1000].flatMap(vocab => [crossEntropy(0, vocab), crossEntropy(3, vocab)]),
  crossEntropy(3, 2500),
];

/** Attention for kernels that go in tiles of 64 rows and 32 keys, heads rounded up to 64 or 128 numbers. */
export const IN_TILES: TrainCase[] = [
  attention(0, 4, 2, 1, 16),
  attention(1, 0, 2, 1, 16),
  attention(1, 2, 1, 1, 16),
  ...[31, 32, 33, 63, 64, 65, 130].map(T => attention(2, T, 1, 1, 16)),
  attention(3, 5, 8, 8, 64),
  attention(1, 33, 6, 2, 48),
  attention(1, 20, 8, 1, 80),
  attention(2, 70, 2, 1, 128),
];
