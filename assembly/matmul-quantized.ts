// out = x · wᵀ for small codes in groups of four rows. One token: a group at a time, which reads weights as fast
// as memory gives them. Four tokens: two groups at a time, so that a loaded activation serves eight rows and a loaded
// weight four tokens; codes are unpacked for this, some columns at a time. All sum in the same order, so a token's
// result does not depend on its company.

import { X_BLOCK } from './activations';
import {
  affine, highBits, IQ4_NL, IQ4_XS, levelled, lowBits, pieces, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K,
  superblockBytes,
} from './block-formats';
import { multipliesFours } from './fours';
import { storePart } from './math';
import { group } from './piece-blocks';
import { clearTiles, Fours, HEAD_Q8_F32, Pairs, tile8 } from './piece-q8';
import { tile } from './tile-blocks';
import { unpack } from './unpack-blocks';

/** Pieces unpacked at a time: a superblock, or as many blocks. */
const CHUNK: i32 = 8;
/** Two groups' unpacked pieces, of 336 bytes at most. */
const UNPACKED_W = memory.data(8 * 336, 16), UNPACKED_V = memory.data(8 * 336, 16);

/** Bytes of four rows of so many blocks of 32 columns. */
// @ts-ignore: decorator
@inline
function bytesOfGroup(format: i32, blocks: i32): usize {
  return <usize>(blocks / pieces(format)) * superblockBytes(format);
}

/** `tile` of unpacked levels, in the way that matmul-q8.ts takes. */
// @ts-ignore: decorator
@inline
function levelTile(out: usize, outStride: usize, x: usize, xStride: usize, count: i32): void {
  if (ASC_FEATURE_RELAXED_SIMD && multipliesFours()) {
    tile8<Fours>(out, outStride, UNPACKED_W, UNPACKED_V, x, xStride, count, HEAD_Q8_F32);
  } else {
    tile8<Pairs>(out, outStride, UNPACKED_W, UNPACKED_V, x, xStride, count, HEAD_Q8_F32);
  }
}

/** out (n, 8) at a stride, n a multiple of four: the eight rows of the groups at w and v with n tokens. */
function tiles(
  format: i32, out: usize, outStride: usize, w: usize, v: usize, x: usize, n: i32, blocks: i32,
): void {
  const xStride = <usize>blocks * X_BLOCK;
  clearTiles(out, outStride, n);
  const bytes = bytesOfGroup(format, CHUNK);
  const bits = lowBits(format) + highBits(format), quarters = bits == 6 ? 1 : bits == 4 ? 4 : 2;
  for (let b = 0; b < blocks; b += CHUNK) {
    const count = min(CHUNK, blocks - b);
    unpack(format, UNPACKED_W, w, count);
    unpack(format, UNPACKED_V, v, count);
    w += bytes;
    v += bytes;
    let o = out, xt = x + <usize>b * X_BLOCK;
    for (let t = 0; t < n; t += 4) {
      if (levelled(format)) levelTile(o, outStride, xt, xStride, count);
      else tile(o, outStride, UNPACKED_W, UNPACKED_V, xt, xStride, count, affine(format), quarters);
      o += outStride << 2;
      xt += xStride << 2;
    }
  }
}

function matmul(format: i32, out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  assert(cols % (32 * pieces(format)) == 0, 'matmul: cols must be a multiple of the block');
  const blocks = cols >> 5;
  const groupBytes = bytesOfGroup(format, blocks), xStride = <usize>blocks * X_BLOCK;
  const outStride = <usize>rows << 2;
  let r = 0;
  for (; r < rows; r += 4) {
    let o = out + (<usize>r << 2), xt = x, t = 0;
    const two = r + 8 <= rows && n >= 4;
    if (two) {
      t = n & ~3;
      tiles(format, o, outStride, w, w + groupBytes, x, t, blocks);
      o += <usize>t * outStride;
      xt += <usize>t * xStride;
    }
    for (; t < n; t++) {
      const sums = group(format, w, xt, blocks);
      if (rows - r >= 4) v128.store(o, sums);
      else storePart(o, sums, rows - r);
      if (two) v128.store(o, group(format, w + groupBytes, xt, blocks), 16);
      o += outStride;
      xt += xStride;
    }
    w += groupBytes;
    if (two) {
      w += groupBytes;
      r += 4;
    }
  }
}

/** x (n, cols/32) blocks of activations, w ⌈rows/4⌉ groups, out (n, rows). 7-bit activations: */
export function matmul_iq4_nl(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  matmul(IQ4_NL, out, x, w, n, rows, cols);
}
export function matmul_iq4_xs(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  matmul(IQ4_XS, out, x, w, n, rows, cols);
}
/** 8-bit activations: */
export function matmul_q4_0(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  matmul(Q4_0, out, x, w, n, rows, cols);
}
export function matmul_q4_1(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  matmul(Q4_1, out, x, w, n, rows, cols);
}
export function matmul_q5_0(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  matmul(Q5_0, out, x, w, n, rows, cols);
}
export function matmul_q5_1(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  matmul(Q5_1, out, x, w, n, rows, cols);
}
export function matmul_q2_k(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  matmul(Q2_K, out, x, w, n, rows, cols);
}
export function matmul_q3_k(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  matmul(Q3_K, out, x, w, n, rows, cols);
}
export function matmul_q4_k(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  matmul(Q4_K, out, x, w, n, rows, cols);
}
export function matmul_q5_k(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  matmul(Q5_K, out, x, w, n, rows, cols);
}
export function matmul_q6_k(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  matmul(Q6_K, out, x, w, n, rows, cols);
}
