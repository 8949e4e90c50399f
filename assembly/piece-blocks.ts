// Products of small codes in groups of four rows (block-formats.ts) with rounded activations. Inside 32 columns all is
// exact integers; pieces are summed in ascending order, in one of these forms:
//
//     sum ← sum + (f32(Σ q·qx) · D + f32(Σqx) · M) · dx           a scale and a min for 32 columns: D = d·s, M = ±m
//     sum ← sum + f32(Σ (q − centre)·qx) · (D · dx)               a scale for 32 columns
//     sum ← sum + f32(Σ w·qx − z·Σw) · (D · dx)                   levels w
//     sum ← sum + f32(Σ s·(q − centre)·qx) · (d · dx)             a scale for 16 columns: exact up to there
//     sum ← sum + (f32(Σ s·q·qx) · d − f32(Σ m·qx) · dmin) · dx   the same with mins

import { X_BLOCK, X_OFFSET, X_SCALE } from './activations';
import {
  affine, centre, headBytes, highBits, IQ4_NL, IQ4_XS, levelled, lowBits, pieceBytes, pieces, Q2_K, Q3_K, Q4_0, Q4_1,
  Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, scaleBytes, scaled16, scaled32,
} from './block-formats';
import { aidOf, highQuarter, lowQuarter, maskOf, nextHigh, nextLow, unit, UNITS } from './codes';
import { halfToFloat4 } from './half';

/** 2ⁱ; read from memory for the reason given in half.ts. */
const POWERS = memory.data<i16>([1, 2, 4, 8, 16]);

/** d of the four rows. */
// @ts-ignore: decorator
@inline
export function scaleOf(head: usize): v128 {
  return halfToFloat4(v128.load_ext<u16>(head));
}

/** What a min is multiplied with, or is. */
// @ts-ignore: decorator
@inline
export function minOf(format: i32, head: usize): v128 {
  if (!affine(format)) return f32x4.splat(0);
  const min = halfToFloat4(v128.load_ext<u16>(head, 8));
  return pieces(format) == 1 ? min : f32x4.neg(min);
}

/** Four bytes as i32. */
// @ts-ignore: decorator
@inline
function bytes4<S>(p: usize): v128 {
  const v = v128.load32_zero(p);
  return isSigned<S>()
    ? i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(v))
    : i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v));
}

/** D of a piece. */
// @ts-ignore: decorator
@inline
export function pieceScale(format: i32, w: usize, d: v128): v128 {
  if (scaled32(format)) return f32x4.mul(d, f32x4.convert_i32x4_s(bytes4<u8>(w)));
  if (format == IQ4_XS) return f32x4.mul(d, f32x4.convert_i32x4_s(bytes4<i8>(w)));
  return d;
}

/** M of a piece; Σw of levels; a row's two scales, or its two mins, as i16. */
// @ts-ignore: decorator
@inline
export function pieceMin(format: i32, w: usize, min: v128): v128 {
  if (scaled32(format)) return f32x4.mul(min, f32x4.convert_i32x4_s(bytes4<u8>(w + 4)));
  if (levelled(format)) return v128.load_ext<i16>(w + scaleBytes(format) - 8);
  if (format == Q2_K) return i16x8.shr_u(v128.load_ext<u8>(w), 4);
  if (scaled16(format)) return v128.load_ext<i8>(w);
  return min;
}

/** The scales of both halves of a piece, a row's two as i16. */
// @ts-ignore: decorator
@inline
function halfScales(format: i32, w: usize): v128 {
  if (format == Q2_K) return i16x8.shr_u(i16x8.shl(v128.load_ext<u8>(w), 12), 12);
  return v128.load_ext<i8>(w);
}

/** The scales of 16 columns, each twice, as i16. */
// @ts-ignore: decorator
@inline
export function halfScaleTwice(format: i32, w: usize, half: i32): v128 {
  const both = halfScales(format, w);
  const one = half ? i32x4.shr_u(both, 16) : i32x4.shl(both, 16);
  return v128.or(one, half ? i32x4.shl(one, 16) : i32x4.shr_u(one, 16));
}

/** The scales of 16 columns as `take` wants them: in the relaxed build each twice, as i16, in the other as i32. */
// @ts-ignore: decorator
@inline
function halfScale(format: i32, w: usize, half: i32): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return halfScaleTwice(format, w, half);
  const both = halfScales(format, w);
  return i32x4.shr_s(half ? both : i32x4.shl(both, 16), 16);
}

/** sum + the product of a piece, from its integers and what `pieceScale` and `pieceMin` say. */
// @ts-ignore: decorator
@inline
function addPiece(format: i32, sum: v128, dots: v128, scale: v128, least: v128, min: v128, x: usize): v128 {
  const dx = v128.load32_splat(x, X_SCALE), offset = v128.load32_splat(x, X_OFFSET);
  if (affine(format)) {
    const total = i32x4.dot_i16x8_s(offset, scaled16(format) ? least : v128.load16_splat(POWERS));
    const product = f32x4.mul(f32x4.convert_i32x4_s(total), scaled16(format) ? min : least);
    return f32x4.add(sum, f32x4.mul(f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(dots), scale), product), dx));
  }
  let excess: v128;
  if (levelled(format)) excess = i32x4.mul(least, offset);
  else if (scaled16(format)) excess = i32x4.shl(i32x4.dot_i16x8_s(offset, least), centre(format));
  else excess = i32x4.dot_i16x8_s(offset, v128.load16_splat(POWERS + (<usize>centre(format) << 1)));
  return f32x4.add(sum, f32x4.mul(f32x4.convert_i32x4_s(i32x4.sub(dots, excess)), f32x4.mul(scale, dx)));
}

/**
 * acc + w · x for a unit; x is a splat of its activations. In the relaxed build codes sum up in i16, two lanes a row, as
 * long as that holds them (`stage`). (Measured on a Zen 4, where the engine has no VNNI to use: 43 G multiply-adds/s
 * with nibbles against 28 for the i32 product, which takes five instructions there; with VNNI it would take one against
 * two.) A product of levels fills an i16 alone.
 */
// @ts-ignore: decorator
@inline
function dot(format: i32, acc: v128, w: v128, x: v128): v128 {
  if (!ASC_FEATURE_RELAXED_SIMD) return i32x4.add(acc, i32x4.dot_i16x8_s(w, x));
  if (levelled(format)) return i32x4.add(acc, i32x4.extadd_pairwise_i16x8_s(i16x8.relaxed_dot_i8x16_i7x16_s(w, x)));
  return i16x8.add(acc, i16x8.relaxed_dot_i8x16_i7x16_s(x, w));
}

/**
 * Quarters of a piece after which `take` must take its sum: 2 · 127 · code a unit may reach 32767, and scales change
 * after two quarters.
 */
// @ts-ignore: decorator
@inline
function stage(format: i32): i32 {
  if (ASC_FEATURE_RELAXED_SIMD && lowBits(format) + highBits(format) == 6) return 1;
  if (ASC_FEATURE_RELAXED_SIMD && lowBits(format) + highBits(format) == 5) return 2;
  return scaled16(format) ? 2 : 4;
}

/** A sum of products of one half of the piece at w, or of both, as i32 a row, times the half's scale if it has one. */
// @ts-ignore: decorator
@inline
function take(format: i32, sum: v128, w: usize, half: i32): v128 {
  if (!ASC_FEATURE_RELAXED_SIMD) return scaled16(format) ? i32x4.mul(sum, halfScale(format, w, half)) : sum;
  if (scaled16(format)) return i32x4.dot_i16x8_s(sum, halfScale(format, w, half));
  return levelled(format) ? sum : i32x4.extadd_pairwise_i16x8_s(sum);
}

/** acc + w · x for quarter q of the planes. */
// @ts-ignore: decorator
@inline
function dotQuarter(format: i32, acc: v128, planes: usize, q: i32, x: usize, mask: v128, aid: v128): v128 {
  let low = lowQuarter(format, planes, q), high = highQuarter(format, planes, q);
  x += <usize>(q * UNITS) << 2;
  acc = dot(format, acc, unit(format, low, high, 0, mask, aid), v128.load32_splat(x));
  acc = dot(format, acc, unit(format, low, high, 1, mask, aid), v128.load32_splat(x, 4));
  if (ASC_FEATURE_RELAXED_SIMD) return acc;
  low = nextLow(format, low);
  high = nextHigh(format, high);
  acc = dot(format, acc, unit(format, low, high, 0, mask, aid), v128.load32_splat(x, 8));
  return dot(format, acc, unit(format, low, high, 1, mask, aid), v128.load32_splat(x, 12));
}

/** sum + the four rows of the group at w with one token; `blocks` of 32 columns. */
// @ts-ignore: decorator
@inline
function groupOf(format: i32, sum: v128, w: usize, x: usize, blocks: i32): v128 {
  const mask = maskOf(lowBits(format)), aid = aidOf(format);
  for (; blocks > 0; blocks -= pieces(format)) {
    const d = scaleOf(w), min = minOf(format, w);
    w += headBytes(format);
    for (let p = 0; p < pieces(format); p++) {
      const planes = w + scaleBytes(format);
      // two chains, since a product waits for the one before
      let a = dotQuarter(format, i32x4.splat(0), planes, 0, x, mask, aid);
      let c = dotQuarter(format, i32x4.splat(0), planes, 2, x, mask, aid);
      if (stage(format) == 1) {
        const b = dotQuarter(format, i32x4.splat(0), planes, 1, x, mask, aid);
        const d = dotQuarter(format, i32x4.splat(0), planes, 3, x, mask, aid);
        a = i32x4.add(take(format, a, w, 0), take(format, b, w, 0));
        c = i32x4.add(take(format, c, w, 1), take(format, d, w, 1));
      } else {
        a = take(format, dotQuarter(format, a, planes, 1, x, mask, aid), w, 0);
        c = take(format, dotQuarter(format, c, planes, 3, x, mask, aid), w, 1);
      }
      sum = addPiece(format, sum, i32x4.add(a, c), pieceScale(format, w, d), pieceMin(format, w, min), min, x);
      w += pieceBytes(format);
      x += X_BLOCK;
    }
  }
  return sum;
}

// A kernel of its own for every format: one token is where the time goes in decoding.
function group_q4_0(sum: v128, w: usize, x: usize, blocks: i32): v128 {
  return groupOf(Q4_0, sum, w, x, blocks);
}
function group_q4_1(sum: v128, w: usize, x: usize, blocks: i32): v128 {
  return groupOf(Q4_1, sum, w, x, blocks);
}
function group_q5_0(sum: v128, w: usize, x: usize, blocks: i32): v128 {
  return groupOf(Q5_0, sum, w, x, blocks);
}
function group_q5_1(sum: v128, w: usize, x: usize, blocks: i32): v128 {
  return groupOf(Q5_1, sum, w, x, blocks);
}
function group_q4_k(sum: v128, w: usize, x: usize, blocks: i32): v128 {
  return groupOf(Q4_K, sum, w, x, blocks);
}
function group_q5_k(sum: v128, w: usize, x: usize, blocks: i32): v128 {
  return groupOf(Q5_K, sum, w, x, blocks);
}
function group_q6_k(sum: v128, w: usize, x: usize, blocks: i32): v128 {
  return groupOf(Q6_K, sum, w, x, blocks);
}
function group_q3_k(sum: v128, w: usize, x: usize, blocks: i32): v128 {
  return groupOf(Q3_K, sum, w, x, blocks);
}
function group_q2_k(sum: v128, w: usize, x: usize, blocks: i32): v128 {
  return groupOf(Q2_K, sum, w, x, blocks);
}
function group_iq4_nl(sum: v128, w: usize, x: usize, blocks: i32): v128 {
  return groupOf(IQ4_NL, sum, w, x, blocks);
}
function group_iq4_xs(sum: v128, w: usize, x: usize, blocks: i32): v128 {
  return groupOf(IQ4_XS, sum, w, x, blocks);
}

/** sum + the four rows of the group at w with one token; `blocks` of 32 columns. */
export function group(format: i32, sum: v128, w: usize, x: usize, blocks: i32): v128 {
  switch (format) {
    case Q4_0:
      return group_q4_0(sum, w, x, blocks);
    case Q4_1:
      return group_q4_1(sum, w, x, blocks);
    case Q5_0:
      return group_q5_0(sum, w, x, blocks);
    case Q5_1:
      return group_q5_1(sum, w, x, blocks);
    case Q4_K:
      return group_q4_k(sum, w, x, blocks);
    case Q5_K:
      return group_q5_k(sum, w, x, blocks);
    case Q6_K:
      return group_q6_k(sum, w, x, blocks);
    case Q3_K:
      return group_q3_k(sum, w, x, blocks);
    case Q2_K:
      return group_q2_k(sum, w, x, blocks);
    case IQ4_NL:
      return group_iq4_nl(sum, w, x, blocks);
    default:
      return group_iq4_xs(sum, w, x, blocks);
  }
}
