// Activations rounded to integers per 32 values, as the integer dot products want them. The build decides how a value
// is kept: as a byte for the relaxed dot product, as an i16 for the baseline one, whose operands are i16.
//
//     block: 32 values q, f32 d, offset              VALUES · 32 + 8 bytes
//
// 8-bit, for weights that are small unsigned numbers:   x ≈ q·d,        |q| ≤ 127,      offset = i16 Σq of either half
// 7-bit, for weights that are signed bytes:             x ≈ (q − z)·d,  0 ≤ q ≤ 127,    offset = i32 z
//
// The relaxed product `i32x4.relaxed_dot_i8x16_i7x16_add_s` is exact only while one operand stays in 0 … 127, and a
// signed weight cannot be that operand. The 7-bit form uses the whole range from the block's least to its largest value.

import { largestLane } from './math';

/** Bytes of a value, of a block, and the places in it of d and of the offset. */
const VALUE: usize = ASC_FEATURE_RELAXED_SIMD ? 1 : 2;
export const X_SCALE: usize = 32 * VALUE;
export const X_OFFSET: usize = X_SCALE + 4;
export const X_BLOCK: usize = X_SCALE + 8;

/** Below this a block's largest value is taken for 0, since its inverse would overflow. */
const TINY: f32 = 1e-30;

/** The largest of 32 values. */
// @ts-ignore: decorator
@inline
function largestOf(x: usize): f32 {
  let m = v128.load(x);
  for (let i: usize = 16; i < 128; i += 16) m = f32x4.max(m, v128.load(x + i));
  return largestLane(m);
}

/** Four values times `inverse`, to the nearest, ties to even. */
// @ts-ignore: decorator
@inline
function round4(x: usize, inverse: v128): v128 {
  return i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(x), inverse)));
}

/** Stores 16 values. */
// @ts-ignore: decorator
@inline
function put16(out: usize, a: v128, b: v128, c: v128, d: v128): void {
  const low = i16x8.narrow_i32x4_s(a, b), high = i16x8.narrow_i32x4_s(c, d);
  if (ASC_FEATURE_RELAXED_SIMD) {
    v128.store(out, i8x16.narrow_i16x8_s(low, high));
  } else {
    v128.store(out, low);
    v128.store(out, high, 16);
  }
}

/** x (blocks · 32) → out (blocks): d = max|x| / 127, q = x · (127 / max|x|) */
export function activations8(out: usize, x: usize, blocks: i32): void {
  for (; blocks > 0; blocks--) {
    let m = f32x4.abs(v128.load(x));
    for (let i: usize = 16; i < 128; i += 16) m = f32x4.max(m, f32x4.abs(v128.load(x + i)));
    const largest = largestLane(m);
    const inverse = f32x4.splat(largest > TINY ? <f32>127 / largest : 0);
    for (let i: usize = 0; i < 2; i++) {
      const from = x + (i << 6);
      const a = round4(from, inverse), b = round4(from + 16, inverse);
      const c = round4(from + 32, inverse), d = round4(from + 48, inverse);
      put16(out + i * (16 * VALUE), a, b, c, d);
      const sum = i32x4.add(i32x4.add(a, b), i32x4.add(c, d));
      store<i16>(
        out + 2 * i,
        <i16>(i32x4.extract_lane(sum, 0) + i32x4.extract_lane(sum, 1) +
          i32x4.extract_lane(sum, 2) + i32x4.extract_lane(sum, 3)),
        X_OFFSET,
      );
    }
    store<f32>(out, largest > TINY ? largest / 127 : 0, X_SCALE);
    out += X_BLOCK;
    x += 128;
  }
}

/**
 * x (blocks · 32) → out (blocks): with least ≤ 0 ≤ largest, d = (largest − least) / 127, z = −least / d,
 * q = x / d + z, both to the nearest
 */
export function activations7(out: usize, x: usize, blocks: i32): void {
  // q ≥ 0 by itself, since the least value rounds to −z
  const most = i32x4.splat(127);
  for (; blocks > 0; blocks--) {
    const largest = max<f32>(largestOf(x), 0);
    let m = v128.load(x);
    for (let i: usize = 16; i < 128; i += 16) m = f32x4.min(m, v128.load(x + i));
    const least = min<f32>(-largestLane(f32x4.neg(m)), 0);
    const range = largest - least;
    const perUnit: f32 = range > TINY ? <f32>127 / range : 0;
    const z = <i32>nearest<f32>(-least * perUnit);
    const inverse = f32x4.splat(perUnit), shift = i32x4.splat(z);
    for (let i: usize = 0; i < 2; i++) {
      const from = x + (i << 6);
      put16(
        out + i * (16 * VALUE),
        i32x4.min_s(most, i32x4.add(round4(from, inverse), shift)),
        i32x4.min_s(most, i32x4.add(round4(from + 16, inverse), shift)),
        i32x4.min_s(most, i32x4.add(round4(from + 32, inverse), shift)),
        i32x4.min_s(most, i32x4.add(round4(from + 48, inverse), shift)),
      );
    }
    store<f32>(out, range > TINY ? range / 127 : 0, X_SCALE);
    store<i32>(out, z, X_OFFSET);
    out += X_BLOCK;
    x += 128;
  }
}
