/** Tiny models for the tests of training. */

import type { LlamaConfig } from '../../host/model-file.ts';
import type { TrainLlama } from '../../host/train/llama.ts';
import type { MicroBatch } from '../../host/train/micro-batch.ts';
import { uniform } from './tiny-model.ts';

/** Three layers, four query heads on two kv heads, sizes that are no multiples of a vector. */
export const SMALL_CONFIG: LlamaConfig = {
  dim: 24,
  hiddenDim: 29,
  nLayers: 3,
  nHeads: 4,
  nKvHeads: 2,
  headDim: 6,
  vocabSize: 19,
  contextLength: 32,
  normEps: 1e-5,
  ropeTheta: 1e4,
  ropeScale: 1,
};

/** Norms around 1; matrices with variance 1 / cols and embeddings with variance 1. */
export function writeRandomWeights({ backend, parameters, weights }: TrainLlama, seed: number): void {
  const random = uniform(seed);
  const values = new Float32Array(parameters.size);
  for (const { name, norm, first, rows, cols } of parameters.list) {
    const spread = Math.sqrt(3 / (name === 'token_embd.weight' ? 1 : cols));
    for (let i = first; i < first + rows * cols; i++)
      values[i] = norm ? 1 + 0.2 * random() : spread * random();
  }
  backend.writeF32(weights, values);
}

/** Ids and targets, of which some do not count, and the others not alike. */
export function randomMicroBatch({ n, config }: TrainLlama, seed: number): MicroBatch {
  const random = uniform(seed);
  const ids = () => Array.from({ length: n }, () => Math.floor((random() + 1) * 0.5 * config.vocabSize));
  const coef = Array.from({ length: n }, (_, i) => (i % 4 === 3 ? 0 : (1 + 0.5 * random()) / n));
  return { tokens: ids(), targets: ids(), coef };
}
