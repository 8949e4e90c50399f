// Whether stored values are finite: exponent bits all set mean infinity or NaN. Quantised blocks can only go wrong
// in their scale.

/** values (count) f32 */
export function finite_f32(p: usize, count: i32): bool {
  for (const end = p + (<usize>count << 2); p < end; p += 4) {
    if ((load<u32>(p) & 0x7f800000) == 0x7f800000) return false;
  }
  return true;
}

// @ts-ignore: decorator
@inline
function finite16(p: usize, count: i32, stride: usize, exponent: u32): bool {
  for (; count > 0; count--) {
    if ((load<u16>(p) & exponent) == exponent) return false;
    p += stride;
  }
  return true;
}

export function finite_f16(p: usize, count: i32): bool {
  return finite16(p, count, 2, 0x7c00);
}
export function finite_bf16(p: usize, count: i32): bool {
  return finite16(p, count, 2, 0x7f80);
}
/** blocks of 32 values: count = blocks · 32 */
export function finite_q8_0(p: usize, count: i32): bool {
  return finite16(p, count >> 5, 34, 0x7c00);
}
export function finite_q8_f32(p: usize, count: i32): bool {
  for (const end = p + <usize>(count >> 5) * 36; p < end; p += 36) {
    if ((load<u32>(p) & 0x7f800000) == 0x7f800000) return false;
  }
  return true;
}
/** half floats, `count` of them, at a stride: a scale of every block */
export function finite_halves(p: usize, count: i32, stride: i32): bool {
  return finite16(p, count, stride, 0x7c00);
}
