// Half floats and f32. Weights are finite (checked when loaded), so infinities need no care; a cache may hold NaN, which
// assembly/cache.ts looks for.

// The bits that a half float has in an f32 when its exponent is taken as it is, and 2^112 as an f32, which moves an
// exponent of bias 15 to bias 127, subnormals included. In memory, since engines build a vector constant anew in four
// instructions wherever it is used.
const HALF = memory.data<u32>([0x8fffe000, 0x77800000]);

/** Four half floats in the low 16 bits of the lanes → f32. Exact. */
// @ts-ignore: decorator
@inline
export function halfToFloat4(h: v128): v128 {
  // the sign at the top, copied to three more bits that are then cleared
  const moved = i32x4.shr_s(i32x4.shl(h, 16), 3);
  return f32x4.mul(v128.and(moved, v128.load32_splat(HALF)), v128.load32_splat(HALF, 4));
}

/** One half float → f32. Exact. */
// @ts-ignore: decorator
@inline
export function halfToFloat(h: u32): f32 {
  return f32x4.extract_lane(halfToFloat4(i32x4.splat(h)), 0);
}

/** From these bits on, without the sign, a half float is infinite or NaN. */
export const NOT_FINITE: u32 = 0x7c00;
const NAN: i32 = 0x7e00;

/**
 * The half floats nearest to four numbers, ties to even, in the low 16 bits of the lanes. A number beyond the largest half
 * becomes the largest half, one that is not finite NaN.
 */
// @ts-ignore: decorator
@inline
export function floatToHalf4(x: v128): v128 {
  const sign = v128.and(i32x4.shr_u(x, 16), i32x4.splat(0x8000));
  const finite = f32x4.lt(f32x4.abs(x), f32x4.splat(Infinity));
  const a = f32x4.pmin(f32x4.abs(x), f32x4.splat(65504));
  // a carry out of the fraction moves into the exponent by itself; 112 is the difference of the exponents' offsets
  const odd = v128.and(i32x4.shr_u(a, 13), i32x4.splat(1));
  const rounded = i32x4.shr_u(i32x4.add(i32x4.add(a, i32x4.splat(0xfff)), odd), 13);
  const normal = i32x4.sub(rounded, i32x4.splat(112 << 10));
  // below 2^−14 halves are the multiples of 2^−24, and so are the f32 from 0.5 to 1
  const subnormal = i32x4.sub(f32x4.add(a, f32x4.splat(0.5)), f32x4.splat(0.5));
  const magnitude = v128.bitselect(subnormal, normal, f32x4.lt(a, f32x4.splat(0.00006103515625)));
  return v128.bitselect(v128.or(magnitude, sign), i32x4.splat(NAN), finite);
}
