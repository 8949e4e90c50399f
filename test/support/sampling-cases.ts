/** Random calls of the kernels that work on logits. */

import type { Random } from '../../host/random.ts';
import { distinct, floats, indexes, int32, integer, logits, pick, size, sizeOrNone } from './contents.ts';
import { type Call, inout, input, type Operand, output, rowsOf } from './operands.ts';

/** A vocabulary, small but for an eighth of the calls. */
const vocabulary = (random: Random): number => size(random, 1, random.next() < 1 / 8 ? 2000 : 200);

export function crossEntropy(random: Random): Call {
  const n = sizeOrNone(random, 6);
  const vocab = vocabulary(random);
  return {
    shape: { n, vocab },
    operands: [
      output('loss', 4 * n),
      input('logits', logits(random, n * vocab)),
      input('targets', int32(indexes(random, n, vocab))),
    ],
    args: ['loss', 'logits', 'targets', n, vocab],
  };
}

export function topLogprobs(random: Random): Call {
  const vocab = vocabulary(random);
  const k = Math.min(sizeOrNone(random, 40), vocab);
  return {
    shape: { vocab, k },
    operands: [output('ids', 4 * k), output('logprobs', 4 * k), input('logits', logits(random, vocab))],
    args: ['ids', 'logprobs', 'logits', vocab, k],
  };
}

/** Logits of which only some ids may be changed. */
function someLogits(random: Random) {
  const vocab = vocabulary(random);
  const n = Math.min(sizeOrNone(random, 70), vocab);
  const ids = distinct(random, n, vocab);
  const all = { ...inout('logits', floats(random, vocab)), parts: rowsOf(ids, 4) };
  return { shape: { n, vocab }, n, all, ids: input('ids', int32(ids)) };
}

export function addBias(random: Random): Call {
  const { shape, n, all, ids } = someLogits(random);
  const operands = [all, ids, input('values', floats(random, n))];
  return { shape, operands, args: ['logits', 'ids', 'values', n] };
}

export function penalize(random: Random): Call {
  const { shape, n, all, ids } = someLogits(random);
  const operands = [all, ids, input('counts', int32(indexes(random, n, 9).map(count => count + 1)))];
  const constants = [pick(random, [1, 1.1]), pick(random, [0, 0.5]), pick(random, [0, -0.5])];
  return { shape, operands, args: ['logits', 'ids', 'counts', n, ...constants] };
}

/** Some of the time with a NaN or an infinity, or nothing but NaN. */
function brokenAtTimes(random: Random, bytes: Uint8Array): Uint8Array {
  if (random.next() < 7 / 8) return bytes;
  const values = new Float32Array(bytes.buffer);
  const at = integer(random, 0, values.length - 1);
  pick(random, [
    () => values.fill(NaN),
    () => values.fill(NaN, at, at + 1),
    () => values.fill(Infinity, at, at + 1),
    () => values.fill(-Infinity),
  ])();
  return bytes;
}

export function sample(random: Random): Call {
  const vocab = vocabulary(random);
  const topK = pick(random, [0, 0, 1, 5, 40, vocab - 1, vocab, vocab + 1]);
  const constants = [
    pick(random, [0, 1e-3, 0.7, 1, 100]),
    topK,
    pick(random, [1, 0.95, 0.5, 0]),
    pick(random, [0, 0.05, 1]),
    pick(random, [0, 0.5, 1 - 2 ** -24, random.next()]),
  ];
  const work: Operand = { ...output('work', 4 * vocab), role: 'work' };
  return {
    shape: { vocab, topK },
    operands: [output('id', 4), input('logits', brokenAtTimes(random, logits(random, vocab))), work],
    args: ['id', 'logits', 'work', vocab, ...constants],
  };
}
