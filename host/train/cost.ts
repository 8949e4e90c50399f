import type { LlamaConfig } from '../model-file.ts';
import type { Parameters } from './parameters.ts';

/**
 * Multiplications and additions that a token of a step takes: 2 for each weight of a matrix and for each product of
 * attention, of which a token meets (T + 1) / 2 on average, three times, since backward is twice forward. What is computed
 * again in backward is not counted.
 */
export function flopsPerToken(
  { list }: Pick<Parameters, 'list'>,
  config: LlamaConfig,
  tied: boolean,
  T: number,
): number {
  const { nLayers, dim, vocabSize } = config;
  const matrices = list.filter(({ norm, name }) => !norm && name !== 'token_embd.weight');
  const weights =
    matrices.reduce((sum, { rows, cols }) => sum + rows * cols, 0) + (tied ? vocabSize * dim : 0);
  const attention = nLayers * 2 * dim * ((T + 1) / 2);
  return 3 * 2 * (weights + attention);
}
