import { checkConfig } from '../llama-shape.ts';
import type { LlamaConfig } from '../model-file.ts';
import type { Fields } from './json.ts';
import type { Joint, Stored } from './stored.ts';

/** The key behind each field, for messages; '' where there is none. */
const KEY: Record<keyof LlamaConfig, string> = {
  dim: 'dim',
  hiddenDim: 'the rows of w1',
  nLayers: 'n_layers',
  nHeads: 'n_heads',
  nKvHeads: 'n_kv_heads',
  headDim: 'n_heads',
  vocabSize: 'the rows of tok_embeddings',
  contextLength: 'max_seq_len',
  normEps: 'norm_eps',
  ropeTheta: 'rope_theta',
  ropeScale: 'rope_scale',
};

/**
 * The hyper-parameters in Meta's `params.json` (facebookresearch/llama, `ModelArgs`), and what only the tensors say. The
 * context is not written down: Llama 1, which has an epsilon of 1e-6, was trained on 2048 tokens and Llama 2 on 4096.
 * @param shards the tensors of each consolidated file
 * @throws FileError 'missing-key', 'wrong-key-type', 'bad-hyperparameter'
 */
export function configFromMeta(
  fields: Fields,
  shards: readonly ReadonlyMap<string, Stored>[],
  name: string,
): LlamaConfig {
  const rows = (tensor: string, shards: readonly ReadonlyMap<string, Stored>[]) =>
    shards.reduce((sum, shard) => sum + (shard.get(tensor)?.shape[0] ?? 0), 0);
  const dim = fields.number(KEY.dim);
  const nHeads = fields.number(KEY.nHeads);
  const normEps = fields.number(KEY.normEps);
  const config: LlamaConfig = {
    dim,
    hiddenDim: rows('layers.0.feed_forward.w1.weight', shards),
    nLayers: fields.number(KEY.nLayers),
    nHeads,
    nKvHeads: fields.number(KEY.nKvHeads, nHeads),
    headDim: dim / nHeads,
    vocabSize: rows('tok_embeddings.weight', shards.slice(0, 1)),
    contextLength: fields.number(KEY.contextLength, normEps === 1e-6 ? 2048 : 4096),
    normEps,
    ropeTheta: fields.number(KEY.ropeTheta, 10000),
    ropeScale: 1,
  };
  checkConfig(config, name, field => KEY[field]);
  return config;
}

/** How Meta's shards divide a tensor (its Llama is parallel by columns and rows in turn; llama2.c, export.py, joins alike). */
export function metaJoint(tensor: string): Joint {
  return /^tok_embeddings\.|\.attention\.wo\.|\.feed_forward\.w2\./.test(tensor) ? 'columns' : 'rows';
}
