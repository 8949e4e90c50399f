// The synthetic models: their shapes, tensors, vocabulary and what a token costs. The weights are made in make-model.ts.

import { randomBits, seedOf } from './random.ts';

export interface Shape {
  name: string;
  dim: number;
  nLayers: number;
  nHeads: number;
  nKvHeads: number;
  hiddenDim: number;
  /** Whether the embedding is also the output matrix. */
  tied: boolean;
  /** Whether matrices of one size are the same: a shape so large that drawing each would take minutes. */
  alike?: boolean;
  /** Default: `CONTEXT_LENGTH`. */
  contextLength?: number;
}

export const VOCAB_SIZE = 32000;
export const CONTEXT_LENGTH = 2048;

/** Tokens that every contender's context holds. */
export const CONTEXT = 1024;

/** llama2.c's 15M and 110M, TinyLlama, and Llama 2. */
export const SHAPES: Record<string, Shape> = {
  '15M': { name: '15M', dim: 288, nLayers: 6, nHeads: 6, nKvHeads: 6, hiddenDim: 768, tied: true },
  '110M': { name: '110M', dim: 768, nLayers: 12, nHeads: 12, nKvHeads: 12, hiddenDim: 2048, tied: true },
  '1.1B': { name: '1.1B', dim: 2048, nLayers: 22, nHeads: 32, nKvHeads: 4, hiddenDim: 5632, tied: false },
  '7B': {
    name: '7B',
    dim: 4096,
    nLayers: 32,
    nHeads: 32,
    nKvHeads: 32,
    hiddenDim: 11008,
    tied: false,
    alike: true,
    contextLength: 4096,
  },
};

export type WeightType = 'F32' | 'F16' | 'BF16' | 'Q8_0' | 'Q4_0' | 'Q4_K';

/** ggml's number, values and bytes of a block, and llama.cpp's `general.file_type`. */
export const WEIGHT_TYPES: Record<
  WeightType,
  { ggml: number; values: number; bytes: number; fileType: number }
> = {
  F32: { ggml: 0, values: 1, bytes: 4, fileType: 0 },
  F16: { ggml: 1, values: 1, bytes: 2, fileType: 1 },
  BF16: { ggml: 30, values: 1, bytes: 2, fileType: 32 },
  Q8_0: { ggml: 8, values: 32, bytes: 34, fileType: 7 },
  Q4_0: { ggml: 2, values: 32, bytes: 18, fileType: 2 },
  Q4_K: { ggml: 12, values: 256, bytes: 144, fileType: 14 },
};

export interface SyntheticTensor {
  name: string;
  /** 1 for a norm: a vector of ones, kept in f32. */
  rows: number;
  cols: number;
  /** Standard deviation of the values. */
  deviation: number;
}

/**
 * All tensors in file order. N(0, 1/inputs) keeps activations at size 1; 2.5/√dim makes logits with a standard
 * deviation of about 2.5, which are as spread as a trained model's. What is added to the residual stream is not made
 * smaller with depth: it must outweigh the embedding, or a tied model repeats its last token for ever.
 */
export function tensorsOf(shape: Shape): SyntheticTensor[] {
  const { dim, hiddenDim, nLayers } = shape;
  const kvDim = (dim / shape.nHeads) * shape.nKvHeads;
  const tensors: SyntheticTensor[] = [];
  const norm = (name: string): number => tensors.push({ name, rows: 1, cols: dim, deviation: 0 });
  const matrix = (name: string, rows: number, cols: number, deviation: number): number =>
    tensors.push({ name, rows, cols, deviation });
  matrix('token_embd.weight', VOCAB_SIZE, dim, 2.5 / Math.sqrt(dim));
  for (let i = 0; i < nLayers; i++) {
    const layer = `blk.${i}.`;
    norm(`${layer}attn_norm.weight`);
    matrix(`${layer}attn_q.weight`, dim, dim, 1 / Math.sqrt(dim));
    matrix(`${layer}attn_k.weight`, kvDim, dim, 1 / Math.sqrt(dim));
    matrix(`${layer}attn_v.weight`, kvDim, dim, 1 / Math.sqrt(dim));
    matrix(`${layer}attn_output.weight`, dim, dim, 1 / Math.sqrt(dim));
    norm(`${layer}ffn_norm.weight`);
    matrix(`${layer}ffn_gate.weight`, hiddenDim, dim, 1 / Math.sqrt(dim));
    matrix(`${layer}ffn_up.weight`, hiddenDim, dim, 1 / Math.sqrt(dim));
    matrix(`${layer}ffn_down.weight`, dim, hiddenDim, 1 / Math.sqrt(hiddenDim));
  }
  norm('output_norm.weight');
  if (!shape.tied) matrix('output.weight', VOCAB_SIZE, dim, 2.5 / Math.sqrt(dim));
  return tensors;
}

/** Whether decoding a token reads the whole tensor: of an embedding that is not the output, it reads one row. */
function isRead(shape: Shape, name: string): boolean {
  return shape.tied || name !== 'token_embd.weight';
}

/** Bytes of weights that decoding one token must read from memory. */
export function bytesPerToken(shape: Shape, type: WeightType): number {
  let bytes = 0;
  for (const { name, rows, cols } of tensorsOf(shape)) {
    const { values, bytes: blockBytes } = WEIGHT_TYPES[rows === 1 ? 'F32' : type];
    if (isRead(shape, name)) bytes += ((rows * cols) / values) * blockBytes;
  }
  return bytes;
}

/**
 * Multiply-adds with weights that a prompt of `n` tokens needs: every matrix for every token, but the output matrix
 * only for the last. Attention's own (about 2 · dim · n/2 a layer and token, in floats) are not counted.
 */
export function promptMacs(shape: Shape, n: number): number {
  let macs = 0;
  for (const { name, rows, cols } of tensorsOf(shape)) {
    const isOutput = name === (shape.tied ? 'token_embd.weight' : 'output.weight');
    if (rows > 1 && isRead(shape, name)) macs += rows * cols * (isOutput ? 1 : n);
  }
  return macs;
}

/** Bytes of the keys and values of `tokens` tokens, at so many bytes a number. */
export function cacheBytes({ dim, nLayers, nHeads, nKvHeads }: Shape, tokens: number, bytes: number): number {
  return 2 * nLayers * tokens * (dim / nHeads) * nKvHeads * bytes;
}

export const BOS = 1;
export const EOS = 2;

/**
 * A SentencePiece vocabulary of our own: unknown, BOS, EOS, 256 bytes, letters, then syllables, ordered so that a word
 * `▁bato` is merged ▁ + ba + to into its one piece by every greedy merger. Ids are in order of falling score.
 */
export function makePieces(): string[] {
  const pieces = ['<unk>', '<s>', '</s>'];
  for (let i = 0; i < 256; i++) pieces.push(`<0x${i.toString(16).toUpperCase().padStart(2, '0')}>`);
  pieces.push('▁', ...'abcdefghijklmnopqrstuvwxyz');
  const syllables: string[] = [];
  for (const consonant of 'bcdfghjklmnpqrstvwxyz') {
    for (const vowel of 'aeiou') syllables.push(consonant + vowel);
  }
  const pairs = syllables.flatMap(first => syllables.map(second => first + second));
  pieces.push(...syllables, ...syllables.map(syllable => `▁${syllable}`));
  pieces.push(...pairs.map(pair => `▁${pair}`), ...pairs);
  for (let i = 0; pieces.length < VOCAB_SIZE; i++) {
    pieces.push(`▁${pairs[i % pairs.length]}${syllables[(7 * i + 3) % syllables.length]}`);
  }
  return pieces;
}

/** Score −(id − 259): the piece of the lowest id is merged first. */
export const scoreOf = (id: number): number => (id < 259 ? 0 : 259 - id);

/** GGUF token types: 1 normal, 2 unknown, 3 control, 6 byte. */
export const typeOf = (id: number): number => (id === 0 ? 2 : id < 3 ? 3 : id < 259 ? 6 : 1);

/**
 * A prompt of `n` tokens: BOS and n − 1 random two-syllable words. `ids` and `text` are the same prompt: a tokenizer
 * that adds BOS and a leading space turns one into the other.
 */
export function makePrompt(n: number, seed: string): { ids: number[]; text: string } {
  const pieces = makePieces();
  const first = pieces.indexOf('▁baba');
  const words = pieces.indexOf('baba') - first;
  const next = randomBits(seedOf(seed));
  const ids = [BOS];
  while (ids.length < n) ids.push(first + ((next() >>> 0) % words));
  return { ids, text: textOf(ids.slice(1), pieces).slice(1) };
}

/** The text of `ids`, with its leading space; half a UTF-8 sequence becomes U+FFFD. */
export function textOf(ids: readonly number[], pieces: readonly string[] = makePieces()): string {
  const bytes: number[] = [];
  const encoder = new TextEncoder();
  for (const id of ids) {
    if (id >= 3 && id < 259) bytes.push(id - 3);
    else if (id >= 259) bytes.push(...encoder.encode(pieces[id]!.replaceAll('▁', ' ')));
  }
  return new TextDecoder().decode(Uint8Array.from(bytes));
}
