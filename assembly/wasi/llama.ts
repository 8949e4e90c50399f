// The Llama transformer for one sequence: the list of ops of host/llama.ts, without ranks.

import {
  dim, headDim, hiddenDim, nHeads, nKvHeads, nLayers, normEps, ropeScale, ropeTheta, vocabSize,
} from './config';
import {
  ATTN_K, ATTN_NORM, ATTN_OUTPUT, ATTN_Q, ATTN_V, FFN_DOWN, FFN_GATE, FFN_NORM, FFN_UP,
  layerTensor, output, outputNorm, ropeFactors, tokenEmbd,
} from './llama-file';
import { alloc } from './memory';
import {
  ACTIVATION_BLOCK, add, append, attention, attentionBytes, embedding, matmul, rmsnorm, rope, ropeTable, swiglu, takeRows,
} from './ops';

/** Most tokens of one `forward`, and rows of one `logits`, as in host/memory.ts. */
const BATCH = 64;
export const OUTPUTS = 16;
/** Rotary angles computed at once, in positions. */
const ANGLES_AHEAD = 128;

/** Tokens that the cache holds. */
let capacity: i32 = 0;
export let batch: i32 = 0;

// activations of a batch of B tokens
let x: usize = 0; // (B, dim)       the residual stream
let normed: usize = 0; // (B, dim)
let q: usize = 0; // (B, nHeads, headDim)
let k: usize = 0; // (B, nKvHeads, headDim)
let v: usize = 0; // (B, nKvHeads, headDim)
let mixed: usize = 0; // (B, nHeads, headDim)
let gate: usize = 0; // (B, hiddenDim)
let up: usize = 0; // (B, hiddenDim)
let tokens: usize = 0; // (B)
let slots: usize = 0; // (B)  all 0
let positions: usize = 0; // (B)
// outputs
let rows: usize = 0; // (OUTPUTS)
let last: usize = 0; // (OUTPUTS, dim)
let logitsOut: usize = 0; // (OUTPUTS, vocabSize)
// state
let keys: usize = 0; // (nLayers, nKvHeads, capacity, headDim)
let values: usize = 0;
let angles: usize = 0; // (capacity, headDim/2, 2)
/** Positions whose angles have been computed. */
let turned: i32 = 0;

function floats(count: u64): usize {
  return alloc(4 * count);
}

/** Plans the places for a context of so many tokens; returns the bytes of scratch that the ops need. */
export function planLlama(context: i32): u64 {
  capacity = context;
  batch = min(BATCH, context);
  const b = <u64>batch;
  const kvDim = nKvHeads * headDim;
  x = floats(b * dim);
  normed = floats(b * dim);
  q = floats(b * dim);
  k = floats(b * kvDim);
  v = floats(b * kvDim);
  mixed = floats(b * dim);
  gate = floats(b * hiddenDim);
  up = floats(b * hiddenDim);
  tokens = floats(b);
  slots = floats(b);
  positions = floats(b);
  rows = floats(OUTPUTS);
  last = floats(<u64>OUTPUTS * dim);
  logitsOut = floats(<u64>OUTPUTS * vocabSize);
  const cache = <u64>nLayers * kvDim * capacity;
  keys = floats(cache);
  values = floats(cache);
  angles = floats(<u64>capacity * headDim);
  return max((b * max(dim, hiddenDim)) / 32 * ACTIVATION_BLOCK, attentionBytes(batch * nHeads, headDim));
}

/** Runs n ≤ `batch` tokens through all layers, the first at position `first`; `logits` then gives their outputs. */
export function forward(ids: usize, n: i32, first: i32): void {
  memory.copy(tokens, ids, <usize>n << 2);
  for (let i = 0; i < n; i++) store<i32>(positions + (<usize>i << 2), first + i);
  const kvDim = nKvHeads * headDim;
  const cacheBytes = <usize>kvDim * capacity << 2;

  turnTo(first + n - 1);
  embedding(x, tokens, tokenEmbd(), n);
  for (let i = 0; i < nLayers; i++) {
    const layerKeys = keys + <usize>i * cacheBytes, layerValues = values + <usize>i * cacheBytes;
    rmsnorm(normed, x, layerTensor(i, ATTN_NORM), n, dim, normEps);
    matmul(q, normed, layerTensor(i, ATTN_Q), n);
    matmul(k, normed, layerTensor(i, ATTN_K), n);
    matmul(v, normed, layerTensor(i, ATTN_V), n);
    rope(q, positions, angles, n, nHeads, headDim);
    rope(k, positions, angles, n, nKvHeads, headDim);
    append(layerKeys, k, slots, positions, n, nKvHeads, headDim, capacity);
    append(layerValues, v, slots, positions, n, nKvHeads, headDim, capacity);
    attention(mixed, q, layerKeys, layerValues, slots, positions, n, nHeads, nKvHeads, headDim, capacity);
    matmul(normed, mixed, layerTensor(i, ATTN_OUTPUT), n);
    add(x, x, normed, n * dim);

    rmsnorm(normed, x, layerTensor(i, FFN_NORM), n, dim, normEps);
    matmul(gate, normed, layerTensor(i, FFN_GATE), n);
    matmul(up, normed, layerTensor(i, FFN_UP), n);
    swiglu(gate, gate, up, n * hiddenDim);
    matmul(normed, gate, layerTensor(i, FFN_DOWN), n);
    add(x, x, normed, n * dim);
  }
}

/** The logits (n, vocabSize) of tokens first … first + n − 1 of the last batch, n ≤ OUTPUTS. Valid until the next call. */
export function logits(first: i32, n: i32): usize {
  for (let i = 0; i < n; i++) store<i32>(rows + (<usize>i << 2), first + i);
  takeRows(last, x, rows, n, dim);
  rmsnorm(last, last, outputNorm(), n, dim, normEps);
  matmul(logitsOut, last, output(), n);
  return logitsOut;
}

/** Computes the angles of all positions up to `position`, some ahead. */
function turnTo(position: i32): void {
  while (turned <= position) {
    const count = min(ANGLES_AHEAD, capacity - turned);
    ropeTable(angles, ropeFactors(), turned, count, headDim, ropeTheta, ropeScale);
    turned += count;
  }
}
