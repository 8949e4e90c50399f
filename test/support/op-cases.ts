/**
 * A random call of every kernel, with exactly the bytes that it may read and write. "May" is narrow: of a table only
 * the rows that are asked for, of a cache only the positions up to the query's own.
 */

import { BLOCK, type DType } from '../../host/dtype.ts';
import type { Random } from '../../host/random.ts';
import { append, attention } from './cache-cases.ts';
import type { Build } from './forms.ts';
import {
  elementwise,
  embedding,
  finite,
  finiteHalves,
  matmul,
  rmsnorm,
  rope,
  ropeTable,
  takeRows,
} from './model-cases.ts';
import type { Call, OpCase } from './operands.ts';
import { activations, relayout } from './quantized-cases.ts';
import { addBias, crossEntropy, penalize, sample, topLogprobs } from './sampling-cases.ts';
import * as training from './train-cases.ts';

/** For each export of assembly/index.ts, heapBase and useFours apart, a maker of random calls. */
const CASES: Record<string, (random: Random, build: Build) => Call> = {
  activations7: activations,
  activations8: activations,
  add: random => elementwise(random, ['a', 'b']),
  addBias,
  crossEntropy,
  finite_halves: finiteHalves,
  penalize,
  rmsnorm,
  rope,
  ropeTable,
  sample,
  swiglu: random => elementwise(random, ['gate', 'up']),
  takeRows,
  topLogprobs,
};
for (const dtype of Object.keys(BLOCK) as DType[]) {
  CASES[`embedding_${dtype}`] = embedding(dtype);
  CASES[`matmul_${dtype}`] = matmul(dtype);
  if (dtype !== 'f32' && dtype !== 'f16' && dtype !== 'bf16') CASES[`relayout_${dtype}`] = relayout(dtype);
}
for (const dtype of ['f32', 'f16', 'bf16', 'q8_0', 'q8_f32'] as const)
  CASES[`finite_${dtype}`] = finite(dtype);
for (const dtype of ['f32', 'f16', 'q8_0'] as const) {
  CASES[`append_${dtype}`] = append(dtype);
  CASES[`attention_${dtype}`] = attention(dtype);
}

/** And for what assembly/train.ts exports beside these. */
const TRAIN_CASES: Record<string, (random: Random) => Call> = {
  ...training,
  ropeBackward: rope,
};

/** The kernels of inference. */
export const ops: string[] = Object.keys(CASES).sort();
/** The kernels of training alone. */
export const trainOps: string[] = Object.keys(TRAIN_CASES).sort();

/** The same `random` makes the same call for every build, in the form in which the build keeps its operands. */
export function randomCase(op: string, random: Random, build: Build): OpCase {
  return { op, ...(CASES[op] ?? TRAIN_CASES[op])!(random, build) };
}
