// Pieces of small codes (block-formats.ts) in the form in which several tokens meet them: every code a byte of its own
// (relaxed build) or an i16 (baseline build), scales as the products want them. A matmul of many tokens unpacks a weight
// once, and all formats share what follows (tile-blocks.ts).
//
//     f32 D[4], f32 M[4], i16 t[8], i16 s[2][8], codes       D, M, t: piece-blocks.ts; s a half's scales, each twice, or 1
//
// Levels become pieces of q8_f32 (relayout.ts).

import {
  affine, centre, headBytes, highBits, IQ4_NL, levelled, lowBits, pieceBytes, pieces, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0,
  Q6_K, scaleBytes, scaled16,
} from './block-formats';
import { aidOf, highQuarter, lowQuarter, maskOf, nextHigh, nextLow, unit, UNITS } from './codes';
import { halfScaleTwice, minOf, pieceMin, pieceScale, scaleOf } from './piece-blocks';

/** Places in an unpacked piece. */
export const MIN: usize = 16;
export const TOTAL: usize = 32;
export const SCALES: usize = 48;
export const CODES: usize = 80;
/** Bytes of a code and of a piece. */
const CODE: usize = ASC_FEATURE_RELAXED_SIMD ? 1 : 2;
export const UNPACKED: usize = CODES + 128 * CODE;

/** Places in a piece of q8_f32, and its bytes. */
const LEVEL_SUMS: usize = 16;
const LEVELS: usize = 24;
const LEVEL_PIECE: usize = 152;

/** The codes of quarter q of the planes. */
// @ts-ignore: decorator
@inline
function quarterOf(format: i32, out: usize, planes: usize, q: i32, mask: v128, aid: v128): void {
  let low = lowQuarter(format, planes, q), high = highQuarter(format, planes, q);
  out += <usize>q * (levelled(format) ? 32 : 32 * CODE);
  for (let u = 0; u < UNITS; u += 2) {
    const a = unit(format, low, high, 0, mask, aid), b = unit(format, low, high, 1, mask, aid);
    if (levelled(format) && !ASC_FEATURE_RELAXED_SIMD) {
      v128.store(out, i8x16.narrow_i16x8_s(a, b));
      out += 16;
    } else {
      v128.store(out, a);
      v128.store(out, b, 16);
      out += 32;
    }
    if (!ASC_FEATURE_RELAXED_SIMD) {
      low = nextLow(format, low);
      high = nextHigh(format, high);
    }
  }
}

// @ts-ignore: decorator
@inline
function codesOf(format: i32, out: usize, planes: usize): void {
  const mask = maskOf(lowBits(format)), aid = aidOf(format);
  for (let q = 0; q < 4; q++) quarterOf(format, out, planes, q, mask, aid);
}

/** Unrolled, since batches of a few tokens spend half their time in unpacking. */
// @ts-ignore: decorator
@inline
function codes4(out: usize, planes: usize): void {
  const mask = maskOf(4);
  quarterOf(Q4_0, out, planes, 0, mask, mask);
  quarterOf(Q4_0, out, planes, 1, mask, mask);
  quarterOf(Q4_0, out, planes, 2, mask, mask);
  quarterOf(Q4_0, out, planes, 3, mask, mask);
}
function codes5(out: usize, planes: usize): void {
  codesOf(Q5_0, out, planes);
}
function codes6(out: usize, planes: usize): void {
  codesOf(Q6_K, out, planes);
}
function codes3(out: usize, planes: usize): void {
  codesOf(Q3_K, out, planes);
}
function codes2(out: usize, planes: usize): void {
  codesOf(Q2_K, out, planes);
}
function codesOfLevels(out: usize, planes: usize): void {
  codesOf(IQ4_NL, out, planes);
}

/** A piece of Q4_0, Q4_1 or Q4_K. */
// @ts-ignore: decorator
@inline
function unpackNibbles(format: i32, out: usize, head: usize, w: usize): void {
  let d = scaleOf(head), m = d, total = i16x8.splat(8);
  const ones = i16x8.splat(1);
  if (format == Q4_K) {
    d = pieceScale(Q4_K, w, d);
    m = pieceMin(Q4_K, w, minOf(Q4_K, head));
    w += scaleBytes(Q4_K);
    total = ones;
  } else if (format == Q4_1) {
    m = minOf(Q4_1, head);
    total = ones;
  }
  v128.store(out, d);
  v128.store(out, m, MIN);
  v128.store(out, total, TOTAL);
  v128.store(out, ones, SCALES);
  v128.store(out, ones, SCALES + 16);
  codes4(out + CODES, w);
}

/** Unpacks the piece at w in a superblock that begins at `head`; in the baseline build codes are not yet scaled. */
export function unpackPiece(format: i32, out: usize, head: usize, w: usize): void {
  const bits = lowBits(format) + highBits(format);
  if (bits == 4 && !levelled(format)) {
    unpackNibbles(format, out, head, w);
    return;
  }
  const min = minOf(format, head), m = pieceMin(format, w, min), planes = w + scaleBytes(format);
  v128.store(out, pieceScale(format, w, scaleOf(head)));
  if (levelled(format)) {
    v128.store64_lane(out, i16x8.neg(i16x8.narrow_i32x4_s(m, m)), 0, LEVEL_SUMS);
    codesOfLevels(out + LEVELS, planes);
    return;
  }
  let total: v128, first = i16x8.splat(1), second = first;
  if (scaled16(format)) {
    v128.store(out, min, MIN);
    total = affine(format) ? m : i16x8.shl(m, centre(format));
    first = halfScaleTwice(format, w, 0);
    second = halfScaleTwice(format, w, 1);
  } else {
    v128.store(out, m, MIN);
    total = affine(format) ? first : i16x8.splat(<i16>1 << <i16>centre(format));
  }
  v128.store(out, total, TOTAL);
  v128.store(out, first, SCALES);
  v128.store(out, second, SCALES + 16);
  out += CODES;
  if (bits == 5) codes5(out, planes);
  else if (bits == 6) codes6(out, planes);
  else if (bits == 3) codes3(out, planes);
  else codes2(out, planes);
}

/** codes · scales */
function scaleCodes(piece: usize): void {
  for (let half: usize = 0; half < 2; half++) {
    const s = v128.load(piece + (half << 4), SCALES);
    let p = piece + CODES + 64 * CODE * half;
    for (const end = p + 64 * CODE; p < end; p += 16) v128.store(p, i16x8.mul(v128.load(p), s));
  }
}

/** Unpacks `count` pieces, as many as superblocks have, from w on. */
export function unpack(format: i32, out: usize, w: usize, count: i32): void {
  const step = levelled(format) ? LEVEL_PIECE : UNPACKED, bytes = pieceBytes(format), headSize = headBytes(format);
  const perBlock = pieces(format), scaled = !ASC_FEATURE_RELAXED_SIMD && scaled16(format);
  for (; count > 0; count -= perBlock) {
    const head = w;
    w += headSize;
    for (let p = perBlock; p > 0; p--) {
      unpackPiece(format, out, head, w);
      if (scaled) scaleCodes(out);
      w += bytes;
      out += step;
    }
  }
}
