// Half floats and bfloat16 as f32. Weights are finite (checked when loaded), so infinities need no care.

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
