// Codes of four rows × 32 columns in planes of 1, 2 or 4 bits a code. A vector of codes in use is a unit: what one dot
// product instruction takes of every row, four columns as bytes (relaxed build: column k of row r in byte 4r + k) or two
// as i16 (baseline build: column k of row r in lane 2r + k). Units fill the bytes or i16 of a plane's vectors from the
// low bits up. Eight columns, a quarter of a piece, are 2 units or 4.

import { highBits, highPlane, levelled, lowBits } from './block-formats';

export const UNITS: i32 = ASC_FEATURE_RELAXED_SIMD ? 2 : 4;

// Loaded once a call, so that they stay in registers (half.ts says why they are no constants).
const MASKS = memory.data<u16>([0, 1, 3, 0, 15, 0, 0, 0, 255], 2);
const LEVELS = memory.data<i8>([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], 16);

/** The low `bits` (1, 2 or 4) of every byte. */
// @ts-ignore: decorator
@inline
export function byteMask(bits: i32): v128 {
  return v128.load8_splat(MASKS + (<usize>bits << 1));
}

/** The low `bits` (1, 2 or 4, in the baseline build also 8) of every byte or i16 of a unit. */
// @ts-ignore: decorator
@inline
export function maskOf(bits: i32): v128 {
  return ASC_FEATURE_RELAXED_SIMD ? byteMask(bits) : v128.load16_splat(MASKS + (<usize>bits << 1));
}

/** The 16 levels of IQ4_NL and IQ4_XS (ggml-common.h, kvalues_iq4nl). */
// @ts-ignore: decorator
@inline
export function levels(): v128 {
  return v128.load(LEVELS);
}

/** What `unit` needs beside the low bits' mask: that of the high ones, or the levels. */
// @ts-ignore: decorator
@inline
export function aidOf(format: i32): v128 {
  return levelled(format) ? levels() : i16x8.shl(maskOf(highBits(format)), lowBits(format));
}

/** Quarter q of a plane, its codes in the low bits. What the shift drags over from a neighbour lies above them. */
// @ts-ignore: decorator
@inline
function quarterOf(plane: usize, bits: i32, q: i32): v128 {
  if (bits == 4) return v128.load(plane + (<usize>q << 4));
  if (bits == 2) return i16x8.shr_u(v128.load(plane + (<usize>(q >> 1) << 4)), (q & 1) * 2 * UNITS);
  return i16x8.shr_u(v128.load(plane), q * UNITS);
}

// @ts-ignore: decorator
@inline
export function lowQuarter(format: i32, planes: usize, q: i32): v128 {
  return quarterOf(planes, lowBits(format), q);
}

/** Not to be used where there is no high plane. */
// @ts-ignore: decorator
@inline
export function highQuarter(format: i32, planes: usize, q: i32): v128 {
  return highBits(format) ? quarterOf(planes + highPlane(format), highBits(format), q) : i32x4.splat(0);
}

/** Moves the units after the first two to the places of these. */
// @ts-ignore: decorator
@inline
export function nextLow(format: i32, low: v128): v128 {
  return i16x8.shr_u(low, 2 * lowBits(format));
}

// @ts-ignore: decorator
@inline
export function nextHigh(format: i32, high: v128): v128 {
  return highBits(format) ? i16x8.shr_u(high, 2 * highBits(format)) : high;
}

/** Unit i (0 or 1) of a quarter's bits: codes, or levels where the format has them. */
// @ts-ignore: decorator
@inline
export function unit(format: i32, low: v128, high: v128, i: i32, mask: v128, aid: v128): v128 {
  const code = v128.and(i ? i16x8.shr_u(low, lowBits(format)) : low, mask);
  if (levelled(format)) {
    const level = i8x16.swizzle(aid, code);
    return ASC_FEATURE_RELAXED_SIMD ? level : i16x8.shr_s(i16x8.shl(level, 8), 8);
  }
  if (!highBits(format)) return code;
  return v128.or(code, v128.and(i16x8.shl(high, lowBits(format) - i * highBits(format)), aid));
}
