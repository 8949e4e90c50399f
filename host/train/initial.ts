import { Random } from '../random.ts';
import { normal } from './normal.ts';
import type { Parameters } from './parameters.ts';

const DEVIATION = 0.02;

/** Matrices whose product is added to the residual stream: two a layer. */
const RESIDUAL = /\.(attn_output|ffn_down)\.weight$/;

/**
 * Weights before the first step, a buffer of `parameters`: matrices N(0, 0.02²), those that add to the residual stream
 * divided by √(2 · nLayers) so that it does not grow with depth (Radford et al. 2019, GPT-2); norms 1.
 */
export function initialWeights(parameters: Parameters, nLayers: number, seed: number): Float32Array {
  const random = Random.seeded(seed);
  const values = new Float32Array(parameters.size);
  for (const { name, norm, first, rows, cols } of parameters.list) {
    const end = first + rows * cols;
    if (norm) {
      values.fill(1, first, end);
      continue;
    }
    const deviation = RESIDUAL.test(name) ? DEVIATION / Math.sqrt(2 * nLayers) : DEVIATION;
    for (let i = first; i < end; i++) values[i] = deviation * normal(random);
  }
  return values;
}
