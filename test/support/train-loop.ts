/** Runs that are over in a second: a tiny model on texts that follow from a rule. */

import type { TrainOptions } from '../../host/train/config.ts';
import type { TrainBatch, TrainData } from '../../host/train/data.ts';
import { uniform } from './tiny-model.ts';

export const TINY_VOCABULARY = 23;

export const TINY_RUN: TrainOptions = {
  dim: 24,
  hiddenDim: 40,
  nLayers: 2,
  nHeads: 4,
  nKvHeads: 2,
  contextLength: 12,
  sequences: 2,
  microBatches: 5,
  steps: 10,
  learningRate: 1e-2,
  warmup: 2,
  seed: 7,
};

/** The losses of TINY_RUN, and the sha256 of the weights after it: the same on every runtime and CPU. */
export const TINY_LOSSES: readonly number[] = [
  3.1891655107339227, 2.9691632588704424, 2.818966215848923, 2.6711609681447346, 2.5070677300294237,
  2.409069758653641, 2.3010493616263075, 2.242539656162262, 2.1773726562658946, 2.1703560948371887,
];
export const TINY_WEIGHTS = 'cf5e80115d44e3baa974650c246d08dda34672af6d2fe7e530425869b6c25608';

/** Sequences in which each token follows from the one before it, from a random one on. */
export function tinyData({ sequences = 1, contextLength }: TrainOptions): TrainData {
  const batch = (seed: number): TrainBatch => {
    const random = uniform(seed + 1);
    const tokens = new Int32Array(sequences * contextLength);
    const targets = new Int32Array(sequences * contextLength);
    for (let row = 0; row < sequences; row++) {
      let id = Math.floor((random() + 1) * 0.5 * TINY_VOCABULARY);
      for (let t = 0; t < contextLength; t++) {
        tokens[row * contextLength + t] = id;
        id = (5 * id + 3) % TINY_VOCABULARY;
        targets[row * contextLength + t] = id;
      }
    }
    return { tokens, targets, rows: sequences };
  };
  return {
    batchAt: async (step, microBatch) => batch(1000 * step + microBatch),
    validationBatches: 3,
    validationAt: async index => batch(1e6 + index),
  };
}
