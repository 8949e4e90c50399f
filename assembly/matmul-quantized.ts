// out = x · wᵀ for quantised weights in groups of four rows. One token: four groups at a time, from four far places of the
// matrix, since a processor fetches four streams from memory faster than one. Four tokens: two groups at a time, so that a
// loaded activation serves eight rows and a loaded weight four tokens; small codes are unpacked for this, some columns at a
// time. All sum in the same order, so a token's result does not depend on its company.

import { X_BLOCK } from './activations';
import {
  affine, highBits, IQ4_NL, IQ4_XS, levelled, lowBits, pieces, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K,
  superblockBytes,
} from './block-formats';
import { multipliesFours } from './fours';
import { storePart } from './math';
import { group } from './piece-blocks';
import { BODY, clearTiles, Fours, fourGroups8, HEAD_Q8_0, HEAD_Q8_F32, Pairs, tile8 } from './piece-q8';
import { tile } from './tile-blocks';
import { unpack } from './unpack-blocks';

/** The int8 formats, beside the small codes of block-formats.ts. */
const Q8_0: i32 = 11;
const Q8_F32: i32 = 12;

/** Pieces of a group that one token meets before the next stream has its turn. */
const TURN: i32 = 16;
/** Pieces unpacked at a time: a superblock, or as many blocks. */
const CHUNK: i32 = 8;
/** Tokens for which unpacking small codes pays. (Measured: 16 G multiply-adds/s of 4 tokens, 24 of one, 28 of 64.) */
const UNPACK_FROM: i32 = ASC_FEATURE_RELAXED_SIMD ? 16 : 8;
/** Two groups' unpacked pieces, of 336 bytes at most. */
const UNPACKED_W = memory.data(8 * 336, 16), UNPACKED_V = memory.data(8 * 336, 16);
/** Rows of a group on their way to a place that is shorter. */
const LAST = memory.data(16, 16);

// @ts-ignore: decorator
@inline
function int8(format: i32): bool {
  return format >= Q8_0;
}

// @ts-ignore: decorator
@inline
function headOf(format: i32): usize {
  return format == Q8_0 ? HEAD_Q8_0 : HEAD_Q8_F32;
}

/** Bytes of four rows of so many blocks of 32 columns. */
function bytesOfGroup(format: i32, blocks: i32): usize {
  if (int8(format)) return <usize>blocks * (headOf(format) + BODY);
  return <usize>(blocks / pieces(format)) * superblockBytes(format);
}

/**
 * The rows of four groups that lie `far` bytes apart with one token: out (4) four times, `outFar` bytes apart. `far` is 0
 * for a single group: it is then computed four times.
 */
function fourGroups(format: i32, out: usize, outFar: usize, w: usize, far: usize, x: usize, blocks: i32): void {
  if (int8(format)) {
    if (ASC_FEATURE_RELAXED_SIMD && multipliesFours()) {
      fourGroups8<Fours>(out, outFar, w, far, x, blocks, headOf(format));
    } else {
      fourGroups8<Pairs>(out, outFar, w, far, x, blocks, headOf(format));
    }
    return;
  }
  const bytes = bytesOfGroup(format, TURN), far2 = far << 1, far3 = far2 + far;
  let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
  for (; blocks > 0; blocks -= TURN) {
    const count = min(TURN, blocks);
    s0 = group(format, s0, w, x, count);
    s1 = group(format, s1, w + far, x, count);
    s2 = group(format, s2, w + far2, x, count);
    s3 = group(format, s3, w + far3, x, count);
    w += bytes;
    x += TURN * X_BLOCK;
  }
  v128.store(out, s0); out += outFar;
  v128.store(out, s1); out += outFar;
  v128.store(out, s2); out += outFar;
  v128.store(out, s3);
}

/** The rows of groups first … last − 1 with one token. */
function oneToken(
  format: i32, out: usize, x: usize, w: usize, first: i32, last: i32, groupBytes: usize, blocks: i32,
): void {
  const quarter = (last - first) >> 2;
  const far = <usize>quarter * groupBytes;
  let g = first, at = w + <usize>g * groupBytes, o = out + (<usize>g << 4);
  for (; g < first + quarter; g++) {
    fourGroups(format, o, <usize>quarter << 4, at, far, x, blocks);
    at += groupBytes;
    o += 16;
  }
  for (g += 3 * quarter; g < last; g++) {
    fourGroups(format, out + (<usize>g << 4), 0, w + <usize>g * groupBytes, 0, x, blocks);
  }
}

// @ts-ignore: decorator
@inline
function int8Tile(
  out: usize, outStride: usize, w: usize, v: usize, x: usize, xStride: usize, blocks: i32, head: usize,
): void {
  if (ASC_FEATURE_RELAXED_SIMD && multipliesFours()) tile8<Fours>(out, outStride, w, v, x, xStride, blocks, head);
  else tile8<Pairs>(out, outStride, w, v, x, xStride, blocks, head);
}

/** out (n, 8) at a stride, n a multiple of four: the eight rows of the groups at w and v with n tokens. */
function tiles(
  format: i32, out: usize, outStride: usize, w: usize, v: usize, x: usize, n: i32, blocks: i32,
): void {
  const xStride = <usize>blocks * X_BLOCK;
  clearTiles(out, outStride, n);
  // levels are unpacked into pieces of q8_f32
  const asInt8 = int8(format) || levelled(format), head = headOf(format);
  const bits = lowBits(format) + highBits(format), quarters = bits == 6 ? 1 : bits == 4 ? 4 : 2;
  const atOnce = int8(format) ? blocks : CHUNK;
  const bytes = bytesOfGroup(format, atOnce);
  for (let b = 0; b < blocks; b += atOnce) {
    const count = min(atOnce, blocks - b);
    let p = w, q = v;
    if (!int8(format)) {
      p = UNPACKED_W;
      q = UNPACKED_V;
      unpack(format, p, w, count);
      unpack(format, q, v, count);
    }
    w += bytes;
    v += bytes;
    let o = out, xt = x + <usize>b * X_BLOCK;
    for (let t = 0; t < n; t += 4) {
      if (asInt8) int8Tile(o, outStride, p, q, xt, xStride, count, head);
      else tile(o, outStride, p, q, xt, xStride, count, affine(format), quarters);
      o += outStride << 2;
      xt += xStride << 2;
    }
  }
}

function matmul(format: i32, out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  assert(cols % (int8(format) ? 32 : 32 * pieces(format)) == 0, 'matmul: cols must be a multiple of the block');
  const blocks = cols >> 5, groups = rows >> 2, rest = rows & 3;
  const groupBytes = bytesOfGroup(format, blocks), xStride = <usize>blocks * X_BLOCK;
  const outStride = <usize>rows << 2;
  const inTiles = n >= (int8(format) ? 4 : UNPACK_FROM) ? n & ~3 : 0;
  // sixteen rows stay in the nearest caches while all tokens pass
  const step = n == 1 ? max(groups, 1) : 4;
  for (let g = 0; g < groups; g += step) {
    const last = min(groups, g + step);
    let paired = g;
    for (; inTiles && paired + 2 <= last; paired += 2) {
      const at = w + <usize>paired * groupBytes;
      tiles(format, out + (<usize>paired << 4), outStride, at, at + groupBytes, x, inTiles, blocks);
    }
    for (let t = 0; t < n; t++) {
      const from = t < inTiles ? paired : g;
      oneToken(format, out + <usize>t * outStride, x + <usize>t * xStride, w, from, last, groupBytes, blocks);
    }
  }
  if (!rest) return;
  for (let t = 0; t < n; t++) {
    fourGroups(format, LAST, 0, w + <usize>groups * groupBytes, 0, x + <usize>t * xStride, blocks);
    storePart(out + <usize>t * outStride + (<usize>groups << 4), v128.load(LAST), rest);
  }
}

/** x (n, cols/32) blocks of activations, w ⌈rows/4⌉ groups, out (n, rows). 7-bit activations: */
export function matmul_q8_0(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  matmul(Q8_0, out, x, w, n, rows, cols);
}
export function matmul_q8_f32(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  matmul(Q8_F32, out, x, w, n, rows, cols);
}
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
