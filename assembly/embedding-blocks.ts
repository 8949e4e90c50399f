// out[t] = table[tokens[t]] from groups of small codes (block-formats.ts): in f32 what the stored formats mean, with one
// rounding, that of the subtraction of a min.

import {
  affine, centre, headBytes, IQ4_NL, IQ4_XS, levelled, pieceBytes, pieces, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K,
  Q6_K, scaled16, superblockBytes,
} from './block-formats';
import { rowOfPiece8 } from './embedding';
import { HEAD_Q8_F32 } from './piece-q8';
import { CODES, MIN, SCALES, TOTAL, unpackPiece } from './unpack-blocks';

/** An unpacked piece. */
const PIECE = memory.data(336, 16);

/** Place of column k (0 … 31) of row r among unpacked codes. */
// @ts-ignore: decorator
@inline
function codeAt(r: usize, k: usize): i32 {
  if (ASC_FEATURE_RELAXED_SIMD) return load<u8>(PIECE + ((k >> 2) << 4) + 4 * r + (k & 3), CODES);
  return load<u16>(PIECE + ((k >> 1) << 4) + 4 * r + 2 * (k & 1), CODES);
}

/** out (32) ← row r of PIECE */
function rowOfPiece(format: i32, out: usize, r: usize): void {
  const zero = affine(format) ? 0 : 1 << centre(format);
  const d = load<f32>(PIECE + 4 * r), m = load<f32>(PIECE + 4 * r, MIN);
  for (let k: usize = 0; k < 32; k++) {
    const half = k >> 4;
    const scale = d * <f32>load<i16>(PIECE + (half << 4) + 4 * r, SCALES);
    const min = scaled16(format) ? m * <f32>load<i16>(PIECE + 4 * r + 2 * half, TOTAL) : m;
    const value = <f32>(codeAt(r, k) - zero) * scale;
    store<f32>(out + (k << 2), affine(format) ? value + min : value);
  }
}

function embedding(format: i32, out: usize, tokens: usize, table: usize, n: i32, cols: i32): void {
  const superblocks = cols / (32 * pieces(format));
  for (let t = 0; t < n; t++) {
    const token = load<u32>(tokens);
    let p = table + <usize>(token >> 2) * superblocks * superblockBytes(format);
    for (let s = 0; s < superblocks; s++) {
      const head = p;
      p += headBytes(format);
      for (let j = 0; j < pieces(format); j++) {
        unpackPiece(format, PIECE, head, p);
        if (levelled(format)) rowOfPiece8(out, PIECE, token & 3, HEAD_Q8_F32);
        else rowOfPiece(format, out, token & 3);
        p += pieceBytes(format);
        out += 128;
      }
    }
    tokens += 4;
  }
}

/** tokens (n), table ⌈any/4⌉ groups, out (n, cols) */
export function embedding_q4_0(out: usize, tokens: usize, table: usize, n: i32, cols: i32): void {
  embedding(Q4_0, out, tokens, table, n, cols);
}
export function embedding_q4_1(out: usize, tokens: usize, table: usize, n: i32, cols: i32): void {
  embedding(Q4_1, out, tokens, table, n, cols);
}
export function embedding_q5_0(out: usize, tokens: usize, table: usize, n: i32, cols: i32): void {
  embedding(Q5_0, out, tokens, table, n, cols);
}
export function embedding_q5_1(out: usize, tokens: usize, table: usize, n: i32, cols: i32): void {
  embedding(Q5_1, out, tokens, table, n, cols);
}
export function embedding_q2_k(out: usize, tokens: usize, table: usize, n: i32, cols: i32): void {
  embedding(Q2_K, out, tokens, table, n, cols);
}
export function embedding_q3_k(out: usize, tokens: usize, table: usize, n: i32, cols: i32): void {
  embedding(Q3_K, out, tokens, table, n, cols);
}
export function embedding_q4_k(out: usize, tokens: usize, table: usize, n: i32, cols: i32): void {
  embedding(Q4_K, out, tokens, table, n, cols);
}
export function embedding_q5_k(out: usize, tokens: usize, table: usize, n: i32, cols: i32): void {
  embedding(Q5_K, out, tokens, table, n, cols);
}
export function embedding_q6_k(out: usize, tokens: usize, table: usize, n: i32, cols: i32): void {
  embedding(Q6_K, out, tokens, table, n, cols);
}
export function embedding_iq4_nl(out: usize, tokens: usize, table: usize, n: i32, cols: i32): void {
  embedding(IQ4_NL, out, tokens, table, n, cols);
}
export function embedding_iq4_xs(out: usize, tokens: usize, table: usize, n: i32, cols: i32): void {
  embedding(IQ4_XS, out, tokens, table, n, cols);
}
