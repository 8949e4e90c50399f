/** Random calls of the kernels of training. */

import type { Random } from '../../host/random.ts';
import { floats, indexes, int32, integer, logits, pick, size, sizeOrNone } from './contents.ts';
import { type Call, inout, input, type Operand, output, rowsOf } from './operands.ts';

const round = (value: number, to: number) => Math.ceil(value / to) * to;
const work = (bytes: number): Operand => ({ ...output('work', bytes), role: 'work' });

/** What assembly/gemm.ts says that it needs, written a second time. */
function packedBytes(m: number, n: number, k: number): number {
  return 4 * Math.min(256, k) * (Math.min(512, round(n, 8)) + Math.min(64, round(m, 4)));
}

/** One size in sixteen beyond the blocks of the gemm. */
const gemmSize = (random: Random): number =>
  random.next() < 1 / 16 ? integer(random, 250, 520) : sizeOrNone(random, 40);

export function matmulForward(random: Random): Call {
  const [n, rows, cols] = [gemmSize(random), gemmSize(random), gemmSize(random)];
  return {
    shape: { n, rows, cols },
    operands: [
      output('out', 4 * n * rows),
      input('x', floats(random, n * cols)),
      input('w', floats(random, rows * cols)),
      work(packedBytes(n, rows, cols)),
    ],
    args: ['out', 'x', 'w', 'work', n, rows, cols],
  };
}

export function matmulBackwardX(random: Random): Call {
  const [n, rows, cols] = [gemmSize(random), gemmSize(random), gemmSize(random)];
  return {
    shape: { n, rows, cols },
    operands: [
      inout('dX', floats(random, n * cols)),
      input('dOut', floats(random, n * rows)),
      input('w', floats(random, rows * cols)),
      work(packedBytes(n, cols, rows)),
    ],
    args: ['dX', 'dOut', 'w', 'work', n, rows, cols],
  };
}

export function matmulBackwardW(random: Random): Call {
  const [n, rows, cols] = [gemmSize(random), gemmSize(random), gemmSize(random)];
  return {
    shape: { n, rows, cols },
    operands: [
      inout('dW', floats(random, rows * cols)),
      input('dOut', floats(random, n * rows)),
      input('x', floats(random, n * cols)),
      work(packedBytes(rows, cols, n)),
    ],
    args: ['dW', 'dOut', 'x', 'work', n, rows, cols],
  };
}

export function gemmBytes(random: Random): Call {
  const [m, n, k] = [gemmSize(random), gemmSize(random), gemmSize(random)];
  return { shape: { m, n, k }, operands: [], args: [m, n, k] };
}

export function embeddingBackward(random: Random): Call {
  const n = sizeOrNone(random, 12);
  const rows = integer(random, 1, 20);
  const cols = sizeOrNone(random, 70);
  const tokens = indexes(random, n, rows);
  const dTable = { ...inout('dTable', floats(random, rows * cols)), parts: rowsOf(tokens, 4 * cols) };
  return {
    shape: { n, rows, cols },
    operands: [dTable, input('dOut', floats(random, n * cols)), input('tokens', int32(tokens))],
    args: ['dTable', 'dOut', 'tokens', n, cols],
  };
}

export function rmsnormBackward(random: Random): Call {
  const n = size(random, 1, 12);
  const dim = sizeOrNone(random, 200);
  return {
    shape: { n, dim },
    operands: [
      inout('dX', floats(random, n * dim)),
      inout('dWeight', floats(random, dim)),
      input('dOut', floats(random, n * dim)),
      input('x', floats(random, n * dim)),
      input('weight', floats(random, dim)),
    ],
    args: ['dX', 'dWeight', 'dOut', 'x', 'weight', n, dim, pick(random, [1e-5, 1e-6])],
  };
}

function attentionShape(random: Random) {
  const [B, T] = [sizeOrNone(random, 2), sizeOrNone(random, 40)];
  const kvHeads = integer(random, 1, 2);
  const heads = kvHeads * integer(random, 1, 3);
  const headDim = size(random, 1, 20);
  return { B, T, heads, kvHeads, headDim };
}

function attentionWork(T: number, headDim: number): number {
  const m = Math.min(32, T);
  const products = [packedBytes(m, T, headDim), packedBytes(m, headDim, T), packedBytes(T, headDim, m)];
  return 2 * 4 * m * T + Math.max(...products);
}

export function attentionForward(random: Random): Call {
  const shape = attentionShape(random);
  const { B, T, heads, kvHeads, headDim } = shape;
  const count = B * T * heads * headDim;
  const kvCount = B * T * kvHeads * headDim;
  return {
    shape,
    operands: [
      output('out', 4 * count),
      output('lse', 4 * B * T * heads),
      input('q', floats(random, count)),
      input('k', floats(random, kvCount)),
      input('v', floats(random, kvCount)),
      work(attentionWork(T, headDim)),
    ],
    args: ['out', 'lse', 'q', 'k', 'v', 'work', B, T, heads, kvHeads, headDim],
  };
}

export function attentionBackward(random: Random): Call {
  const shape = attentionShape(random);
  const { B, T, heads, kvHeads, headDim } = shape;
  const count = B * T * heads * headDim;
  const kvCount = B * T * kvHeads * headDim;
  return {
    shape,
    operands: [
      inout('dQ', floats(random, count)),
      inout('dK', floats(random, kvCount)),
      inout('dV', floats(random, kvCount)),
      input('dOut', floats(random, count)),
      input('out', floats(random, count)),
      input('lse', floats(random, B * T * heads)),
      input('q', floats(random, count)),
      input('k', floats(random, kvCount)),
      input('v', floats(random, kvCount)),
      work(attentionWork(T, headDim)),
    ],
    args: ['dQ', 'dK', 'dV', 'dOut', 'out', 'lse', 'q', 'k', 'v', 'work', B, T, heads, kvHeads, headDim],
  };
}

export function attentionBytes(random: Random): Call {
  const { T, headDim } = attentionShape(random);
  return { shape: { T, headDim }, operands: [], args: [T, headDim] };
}

export function swigluBackward(random: Random): Call {
  const count = sizeOrNone(random, 1000);
  return {
    shape: { count },
    operands: [
      inout('dGate', floats(random, count)),
      inout('dUp', floats(random, count)),
      input('dOut', floats(random, count)),
      input('gate', floats(random, count)),
      input('up', floats(random, count)),
    ],
    args: ['dGate', 'dUp', 'dOut', 'gate', 'up', count],
  };
}

export function crossEntropyBackward(random: Random): Call {
  const n = sizeOrNone(random, 6);
  const vocab = size(random, 1, 300);
  return {
    shape: { n, vocab },
    operands: [
      output('loss', 4 * n),
      inout('logits', logits(random, n * vocab)),
      input('targets', int32(indexes(random, n, vocab))),
      input('coef', floats(random, n)),
    ],
    args: ['loss', 'logits', 'targets', 'coef', n, vocab],
  };
}

export function sumSquares(random: Random): Call {
  const count = sizeOrNone(random, 1000);
  return {
    shape: { count },
    operands: [output('out', 4), input('x', floats(random, count))],
    args: ['out', 'x', count],
  };
}

export function adamw(random: Random): Call {
  const count = sizeOrNone(random, 1000);
  const step = integer(random, 1, 2000);
  const magnitudes = new Float32Array(floats(random, count).buffer).map(Math.abs);
  return {
    shape: { count, step },
    operands: [
      inout('w', floats(random, count)),
      inout('m', floats(random, count)),
      inout('v', new Uint8Array(magnitudes.buffer)),
      input('gradient', floats(random, count)),
    ],
    args: [
      'w',
      'm',
      'v',
      'gradient',
      count,
      step,
      1e-3,
      0.9,
      0.95,
      1e-5,
      pick(random, [0, 0.1]),
      random.next(),
    ],
  };
}
