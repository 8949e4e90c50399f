import { FileError } from './errors.ts';
import type { LlamaConfig } from './model-file.ts';

// Far above every Llama, and low enough that no product of two of them leaves 2^53.
const MOST: Partial<Record<keyof LlamaConfig, number>> = {
  dim: 2 ** 20,
  hiddenDim: 2 ** 22,
  nLayers: 1024,
  nHeads: 4096,
  nKvHeads: 4096,
  vocabSize: 2 ** 24,
  contextLength: 2 ** 20,
};

/** A number that is at odds with the others or with what a Llama can be. */
interface Problem {
  field: keyof LlamaConfig;
  expected: string;
  got: string;
}

/** What keeps the numbers from making a Llama, or undefined. */
export function configProblem(config: LlamaConfig): Problem | undefined {
  for (const [key, most] of Object.entries(MOST)) {
    const field = key as keyof LlamaConfig;
    const value = config[field];
    if (!Number.isInteger(value) || value < 1 || value > most) {
      return { field, expected: `an integer from 1 to ${most}`, got: `${value}` };
    }
  }
  const { dim, nHeads, nKvHeads, headDim } = config;
  // A fraction is not even either.
  if (headDim !== dim / nHeads || headDim % 2 !== 0) {
    return { field: 'nHeads', expected: `heads of an even size that make up ${dim}`, got: `${nHeads} heads` };
  }
  if (nHeads % nKvHeads !== 0) {
    return { field: 'nKvHeads', expected: `a divisor of ${nHeads} heads`, got: `${nKvHeads}` };
  }
  for (const field of ['normEps', 'ropeTheta', 'ropeScale'] as const) {
    const value = config[field];
    if (!(value > 0 && Number.isFinite(value))) {
      return { field, expected: 'a finite number above 0', got: `${value}` };
    }
  }
  return undefined;
}

/**
 * Checks that the numbers make a Llama: positive integers, an even head size that divides `dim`, query heads in equal
 * groups a key head. `name` is the file's and `label` gives a field in the file's own words, for messages.
 *
 * @throws FileError 'bad-hyperparameter'
 */
export function checkConfig(
  config: LlamaConfig,
  name: string,
  label: (field: keyof LlamaConfig) => string,
): void {
  const problem = configProblem(config);
  if (problem === undefined) return;
  throw new FileError('bad-hyperparameter', {
    where: `${name}: ${label(problem.field)}`,
    expected: problem.expected,
    got: problem.got,
    hint: 'The file is damaged, or its model is not a Llama.',
  });
}

/** A tensor of the model: `rows` rows of `cols` values; a norm is one row. */
export interface TensorShape {
  name: string;
  rows: number;
  cols: number;
  norm: boolean;
}

/** The tensors of one layer, in the order of the data path. */
export function layerShapes(config: LlamaConfig, layer: number): TensorShape[] {
  const { dim, hiddenDim, headDim, nKvHeads } = config;
  const kvDim = nKvHeads * headDim;
  const blk = (part: string, rows: number, cols: number, norm = false): TensorShape => ({
    name: `blk.${layer}.${part}.weight`,
    rows,
    cols,
    norm,
  });
  return [
    blk('attn_norm', 1, dim, true),
    blk('attn_q', dim, dim),
    blk('attn_k', kvDim, dim),
    blk('attn_v', kvDim, dim),
    blk('attn_output', dim, dim),
    blk('ffn_norm', 1, dim, true),
    blk('ffn_gate', hiddenDim, dim),
    blk('ffn_up', hiddenDim, dim),
    blk('ffn_down', dim, hiddenDim),
  ];
}

/**
 * The tensors that a Llama must have, one layer after the other, without the optional `output.weight`. Lazy, so that
 * a reader stops at the first one that a file lacks, whatever number of layers it claims.
 */
export function* llamaShapes(config: LlamaConfig): Generator<TensorShape> {
  yield { name: 'token_embd.weight', rows: config.vocabSize, cols: config.dim, norm: false };
  for (let layer = 0; layer < config.nLayers; layer++) yield* layerShapes(config, layer);
  yield { name: 'output_norm.weight', rows: 1, cols: config.dim, norm: true };
}
