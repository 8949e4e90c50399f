// The kernels behind the names and formulas of host/backend.ts, for one sequence: what host/wasm.ts is for the JavaScript
// hosts. The trace build says on standard error which ops it runs, with their shapes; the tests compare them with those of
// host/llama.ts.

import { activations7, activations8 } from '../activations';
import { add as add_f32 } from '../add';
import { attention_f32 } from '../attention';
import { append_f32 } from '../cache';
import { embedding_bf16, embedding_f16, embedding_f32, embedding_q8_0 } from '../embedding';
import {
  embedding_iq4_nl, embedding_iq4_xs, embedding_q2_k, embedding_q3_k, embedding_q4_0,
  embedding_q4_1, embedding_q4_k, embedding_q5_0, embedding_q5_1, embedding_q5_k, embedding_q6_k,
} from '../embedding-blocks';
import { matmul_bf16, matmul_f16, matmul_f32 } from '../matmul';
import {
  matmul_iq4_nl, matmul_iq4_xs, matmul_q2_k, matmul_q3_k, matmul_q4_0, matmul_q4_1,
  matmul_q4_k, matmul_q5_0, matmul_q5_1, matmul_q5_k, matmul_q6_k, matmul_q8_0,
} from '../matmul-quantized';
import { rmsnorm as rmsnorm_f32 } from '../rmsnorm';
import { rope as rope_f32, ropeTable as ropeTable_f32 } from '../rope';
import { takeRows as takeRows_f32 } from '../rows';
import { swiglu as swiglu_f32 } from '../swiglu';
import { Tensor } from './llama-file';
import { trace } from './trace';
import {
  BF16, F16, F32, IQ4_NL, IQ4_XS, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0, activationBits, isFloat,
} from './types';

/** Rounded activations, or what attention works in; as many bytes as the largest call needs. */
let scratch: usize = 0;
/** Bytes of a block of 32 activations (activations.ts), in the build that takes more. */
export const ACTIVATION_BLOCK: u64 = 72;

/** Bytes that attention works in: 32 keys and as many values as f32, a largest score and a sum for each query. */
export function attentionBytes(queries: i32, headDim: i32): u64 {
  return <u64>(2 * 32 * 16) * ((headDim + 3) >> 2) + <u64>8 * queries;
}

export function useScratch(place: usize): void {
  scratch = place;
}

export function embedding(out: usize, tokens: usize, table: Tensor, n: i32): void {
  const buf = table.buf, cols = table.cols;
  if (isDefined(TRACE)) trace('embedding', table.type, n, cols);
  switch (table.type) {
    case F32: embedding_f32(out, tokens, buf, n, cols); break;
    case F16: embedding_f16(out, tokens, buf, n, cols); break;
    case BF16: embedding_bf16(out, tokens, buf, n, cols); break;
    case Q8_0: embedding_q8_0(out, tokens, buf, n, cols); break;
    case Q4_0: embedding_q4_0(out, tokens, buf, n, cols); break;
    case Q4_1: embedding_q4_1(out, tokens, buf, n, cols); break;
    case Q5_0: embedding_q5_0(out, tokens, buf, n, cols); break;
    case Q5_1: embedding_q5_1(out, tokens, buf, n, cols); break;
    case Q2_K: embedding_q2_k(out, tokens, buf, n, cols); break;
    case Q3_K: embedding_q3_k(out, tokens, buf, n, cols); break;
    case Q4_K: embedding_q4_k(out, tokens, buf, n, cols); break;
    case Q5_K: embedding_q5_k(out, tokens, buf, n, cols); break;
    case Q6_K: embedding_q6_k(out, tokens, buf, n, cols); break;
    case IQ4_NL: embedding_iq4_nl(out, tokens, buf, n, cols); break;
    case IQ4_XS: embedding_iq4_xs(out, tokens, buf, n, cols); break;
  }
}

export function matmul(out: usize, x: usize, w: Tensor, n: i32): void {
  const buf = w.buf, rows = w.rows, cols = w.cols;
  if (isDefined(TRACE)) trace('matmul', w.type, n, rows, cols);
  if (!isFloat(w.type)) {
    const blocks = n * (cols >> 5);
    if (activationBits(w.type) == 7) activations7(scratch, x, blocks);
    else activations8(scratch, x, blocks);
    x = scratch;
  }
  switch (w.type) {
    case F32: matmul_f32(out, x, buf, n, rows, cols); break;
    case F16: matmul_f16(out, x, buf, n, rows, cols); break;
    case BF16: matmul_bf16(out, x, buf, n, rows, cols); break;
    case Q8_0: matmul_q8_0(out, x, buf, n, rows, cols); break;
    case Q4_0: matmul_q4_0(out, x, buf, n, rows, cols); break;
    case Q4_1: matmul_q4_1(out, x, buf, n, rows, cols); break;
    case Q5_0: matmul_q5_0(out, x, buf, n, rows, cols); break;
    case Q5_1: matmul_q5_1(out, x, buf, n, rows, cols); break;
    case Q2_K: matmul_q2_k(out, x, buf, n, rows, cols); break;
    case Q3_K: matmul_q3_k(out, x, buf, n, rows, cols); break;
    case Q4_K: matmul_q4_k(out, x, buf, n, rows, cols); break;
    case Q5_K: matmul_q5_k(out, x, buf, n, rows, cols); break;
    case Q6_K: matmul_q6_k(out, x, buf, n, rows, cols); break;
    case IQ4_NL: matmul_iq4_nl(out, x, buf, n, rows, cols); break;
    case IQ4_XS: matmul_iq4_xs(out, x, buf, n, rows, cols); break;
  }
}

export function rmsnorm(out: usize, x: usize, weight: Tensor, n: i32, dim: i32, eps: f32): void {
  if (isDefined(TRACE)) trace('rmsnorm', -1, n, dim);
  rmsnorm_f32(out, x, weight.buf, n, dim, eps);
}

export function ropeTable(
  table: usize, factors: usize, first: i32, count: i32, headDim: i32, base: f64, scale: f64,
): void {
  if (isDefined(TRACE)) trace('ropeTable', -1, first, count, headDim);
  ropeTable_f32(table, factors, first, count, headDim, base, scale);
}

export function rope(x: usize, positions: usize, table: usize, n: i32, heads: i32, headDim: i32): void {
  if (isDefined(TRACE)) trace('rope', -1, n, heads, headDim);
  rope_f32(x, positions, table, n, heads, headDim);
}

export function append(
  cache: usize, x: usize, slots: usize, positions: usize, n: i32, kvHeads: i32, headDim: i32, capacity: i32,
): void {
  if (isDefined(TRACE)) trace('append', -1, n, kvHeads, headDim, capacity);
  append_f32(cache, x, slots, positions, n, kvHeads, headDim, capacity);
}

export function attention(
  out: usize, q: usize, keys: usize, values: usize, slots: usize, positions: usize,
  n: i32, heads: i32, kvHeads: i32, headDim: i32, capacity: i32,
): void {
  if (isDefined(TRACE)) trace('attention', -1, n, heads, kvHeads, headDim, capacity);
  attention_f32(
    out, q, keys, values, scratch, slots, positions, n, heads, kvHeads, heads / kvHeads, 0, headDim, capacity,
  );
}

export function swiglu(out: usize, gate: usize, up: usize, count: i32): void {
  if (isDefined(TRACE)) trace('swiglu', -1, count);
  swiglu_f32(out, gate, up, count);
}

export function add(out: usize, a: usize, b: usize, count: i32): void {
  if (isDefined(TRACE)) trace('add', -1, count);
  add_f32(out, a, b, count);
}

export function takeRows(out: usize, x: usize, rows: usize, n: i32, dim: i32): void {
  if (isDefined(TRACE)) trace('takeRows', -1, n, dim);
  takeRows_f32(out, x, rows, n, dim);
}
