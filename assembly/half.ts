// Half floats and bfloat16 as f32. Weights are finite (checked when loaded), so infinities need no care.

const HALF_SCALE: f32 = 5.192296858534828e33; // 2^112: moves an exponent of bias 15 to bias 127, subnormals included

/** Four half floats in the low 16 bits of the lanes → f32. Exact. */
// @ts-ignore: decorator
@inline
export function halfToFloat4(h: v128): v128 {
  const magnitude = i32x4.shl(v128.and(h, i32x4.splat(0x7fff)), 13);
  const sign = i32x4.shl(v128.and(h, i32x4.splat(0x8000)), 16);
  return v128.or(f32x4.mul(magnitude, f32x4.splat(HALF_SCALE)), sign);
}

/** One half float → f32. Exact. */
// @ts-ignore: decorator
@inline
export function halfToFloat(h: u32): f32 {
  return f32x4.extract_lane(halfToFloat4(i32x4.splat(h)), 0);
}
