import { ggmlTypeNamed } from '../../host/ggml-types.ts';
import { type GgufTensorData, type GgufValue, writeGguf } from '../../host/gguf-write.ts';
import { llamaShapes, type TensorShape } from '../../host/llama-shape.ts';
import { type LlamaConfig, PieceType } from '../../host/model-file.ts';
import type { StoredType } from '../../host/quantize/decode.ts';
import { quantize } from './quantize.ts';

export interface TinyModelOptions {
  dim?: number;
  hiddenDim?: number;
  nLayers?: number;
  nHeads?: number;
  nKvHeads?: number;
  contextLength?: number;
  /** ggml name of the matrices' type; norms are always F32. */
  dtype?: StoredType;
  /** Without an output matrix. */
  tied?: boolean;
  ropeTheta?: number;
  /** Linear rope scaling. */
  ropeScale?: number;
  /** `rope_freqs.weight`, headDim / 2 divisors of the frequencies. */
  ropeFactors?: readonly number[];
  /** Tokens; the bytes, letters and merges come first and unused pieces fill up. At least `TINY_PIECES.length`. */
  vocabSize?: number;
  /** Changes what is about to be written: keys with their values, tensors in the file's order. */
  edit?: (metadata: Map<string, GgufValue>, tensors: GgufTensorData[]) => void;
  seed?: number;
}

// Every merge can be reached: both of its halves are pieces. "▁" stands for a space.
const MERGES = [
  '▁t',
  '▁a',
  'he',
  'in',
  'er',
  'an',
  'on',
  '▁the',
  'nd',
  're',
  '▁s',
  '▁w',
  'ed',
  '▁and',
  'll',
  '▁h',
  'ing',
  'at',
  'ou',
  '▁o',
];

/** The pieces with their types: <unk>, BOS, EOS, 256 bytes, the letters, merges in the order of their rank. */
export const TINY_PIECES: readonly (readonly [piece: string, type: number])[] = [
  ['<unk>', PieceType.unknown],
  ['<s>', PieceType.control],
  ['</s>', PieceType.control],
  ...Array.from({ length: 256 }, (_, byte): [string, number] => [
    `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
    PieceType.byte,
  ]),
  ...MERGES.map((piece): [string, number] => [piece, PieceType.normal]),
  ...Array.from('▁abcdefghijklmnopqrstuvwxyzé.,!', (piece): [string, number] => [piece, PieceType.normal]),
];

/** Uniform numbers in [−1, 1) from a seed (mulberry32, a public-domain generator). */
export function uniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 31 - 1;
  };
}

/** A small Llama with random weights and a vocabulary with which text can be encoded, as a GGUF file. */
export function tinyModel(options: TinyModelOptions = {}): Uint8Array {
  const { dtype = 'F32', tied = false, ropeFactors, seed = 1 } = options;
  // rows of whole blocks, and fewer layers of them
  const wide = ggmlTypeNamed(dtype).values > 64;
  const dim = options.dim ?? (wide ? 256 : 64);
  const nHeads = options.nHeads ?? 4;
  const config: LlamaConfig = {
    dim,
    hiddenDim: options.hiddenDim ?? (wide ? 256 : 96),
    nLayers: options.nLayers ?? (wide ? 1 : 2),
    nHeads,
    nKvHeads: options.nKvHeads ?? 2,
    headDim: dim / nHeads,
    vocabSize: options.vocabSize ?? TINY_PIECES.length,
    contextLength: options.contextLength ?? 64,
    normEps: 1e-5,
    ropeTheta: options.ropeTheta ?? 10000,
    ropeScale: options.ropeScale ?? 1,
  };
  const random = uniform(seed);
  const tensors = [...llamaShapes(config)].map(shape => randomTensor(shape, dtype, random));
  if (!tied) {
    const shape = { name: 'output.weight', rows: config.vocabSize, cols: dim, norm: false };
    tensors.push(randomTensor(shape, dtype, random));
  }
  if (ropeFactors !== undefined) {
    const data = quantize('F32', Float32Array.from(ropeFactors));
    tensors.push({
      name: 'rope_freqs.weight',
      dims: [ropeFactors.length],
      ggmlType: ggmlTypeNamed('F32').id,
      data,
    });
  }
  const metadata = metadataOf(config);
  options.edit?.(metadata, tensors);
  return writeGguf(metadata, tensors);
}

/** Norms around 1; matrices with variance 1 / cols and embeddings with variance 1, so that no layer drowns another. */
function randomTensor(shape: TensorShape, dtype: string, random: () => number): GgufTensorData {
  const { name, rows, cols, norm } = shape;
  const spread = Math.sqrt(3 / (name === 'token_embd.weight' ? 1 : cols));
  const values = Float32Array.from({ length: rows * cols }, () =>
    norm ? 1 + 0.2 * random() : spread * random(),
  );
  const type = norm ? 'F32' : dtype;
  const dims = norm ? [cols] : [cols, rows];
  return { name, dims, ggmlType: ggmlTypeNamed(type).id, data: quantize(type, values) };
}

export function metadataOf(config: LlamaConfig): Map<string, GgufValue> {
  const pieces = TINY_PIECES.slice(0, config.vocabSize);
  while (pieces.length < config.vocabSize) pieces.push([`<unused${pieces.length}>`, PieceType.unused]);
  const scores = pieces.map(([, type], id) => (type === PieceType.normal ? 259 - id : 0));
  const u32 = (value: number): GgufValue => ({ type: 'u32', value });
  const f32 = (value: number): GgufValue => ({ type: 'f32', value });
  const string = (value: string): GgufValue => ({ type: 'string', value });
  const metadata = new Map<string, GgufValue>([
    ['general.architecture', string('llama')],
    ['general.name', string('tiny')],
    ['llama.context_length', u32(config.contextLength)],
    ['llama.embedding_length', u32(config.dim)],
    ['llama.block_count', u32(config.nLayers)],
    ['llama.feed_forward_length', u32(config.hiddenDim)],
    ['llama.attention.head_count', u32(config.nHeads)],
    ['llama.attention.head_count_kv', u32(config.nKvHeads)],
    ['llama.attention.layer_norm_rms_epsilon', f32(config.normEps)],
    ['llama.rope.dimension_count', u32(config.headDim)],
    ['llama.rope.freq_base', f32(config.ropeTheta)],
    ['llama.vocab_size', u32(config.vocabSize)],
    ['tokenizer.ggml.model', string('llama')],
    ['tokenizer.ggml.pre', string('default')],
    ['tokenizer.ggml.tokens', { type: 'array', of: 'string', value: pieces.map(([piece]) => piece) }],
    ['tokenizer.ggml.scores', { type: 'array', of: 'f32', value: scores }],
    ['tokenizer.ggml.token_type', { type: 'array', of: 'i32', value: pieces.map(([, type]) => type) }],
    ['tokenizer.ggml.bos_token_id', u32(1)],
    ['tokenizer.ggml.eos_token_id', u32(2)],
    ['tokenizer.ggml.unknown_token_id', u32(0)],
    ['tokenizer.ggml.add_bos_token', { type: 'bool', value: true }],
    ['tokenizer.ggml.add_eos_token', { type: 'bool', value: false }],
  ]);
  if (config.ropeScale !== 1) {
    metadata.set('llama.rope.scaling.type', string('linear'));
    metadata.set('llama.rope.scaling.factor', f32(config.ropeScale));
  }
  return metadata;
}
