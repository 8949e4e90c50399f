import { FileError } from '../errors.ts';
import { checkConfig } from '../llama-shape.ts';
import type { LlamaConfig } from '../model-file.ts';
import type { Fields } from './json.ts';

/** The key behind each field, for messages. */
const KEY: Record<keyof LlamaConfig, string> = {
  dim: 'hidden_size',
  hiddenDim: 'intermediate_size',
  nLayers: 'num_hidden_layers',
  nHeads: 'num_attention_heads',
  nKvHeads: 'num_key_value_heads',
  headDim: 'head_dim',
  vocabSize: 'vocab_size',
  contextLength: 'max_position_embeddings',
  normEps: 'rms_norm_eps',
  ropeTheta: 'rope_theta',
  ropeScale: 'rope_scaling',
};

/**
 * The hyper-parameters in Hugging Face's `config.json` (transformers, LlamaConfig).
 * @throws FileError 'missing-key', 'wrong-key-type', 'bad-hyperparameter', 'unsupported-architecture',
 *   'unsupported-rope-scaling'
 */
export function configFromHuggingFace(fields: Fields, name: string): LlamaConfig {
  fields.must('model_type', 'llama');
  fields.must('hidden_act', 'silu');
  fields.must('attention_bias', false);
  fields.must('mlp_bias', false);
  const dim = fields.number(KEY.dim);
  const nHeads = fields.number(KEY.nHeads);
  const headDim = dim / nHeads;
  fields.must(KEY.headDim, headDim);
  const config: LlamaConfig = {
    dim,
    hiddenDim: fields.number(KEY.hiddenDim),
    nLayers: fields.number(KEY.nLayers),
    nHeads,
    nKvHeads: fields.number(KEY.nKvHeads, nHeads),
    headDim,
    vocabSize: fields.number(KEY.vocabSize),
    contextLength: fields.number(KEY.contextLength, 2048),
    normEps: fields.number(KEY.normEps, 1e-6),
    ropeTheta: fields.number(KEY.ropeTheta, 10000),
    ropeScale: ropeScale(fields.get(KEY.ropeScale), name),
  };
  checkConfig(config, name, field => KEY[field]);
  return config;
}

function ropeScale(value: unknown, name: string): number {
  if (value === undefined) return 1;
  const { type, rope_type: kind = type, factor } = (value ?? {}) as Record<string, unknown>;
  if (kind === 'default') return 1;
  if (kind === 'linear' && typeof factor === 'number') return factor;
  throw new FileError('unsupported-rope-scaling', {
    where: `${name}: rope_scaling`,
    expected: 'none, or {"type": "linear", "factor": …}',
    got: JSON.stringify(value),
    hint: 'Convert the model to GGUF with llama.cpp, which writes the factors of such a scaling down.',
  });
}
