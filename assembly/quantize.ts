// Activations rounded to int8 per 32 values, kept as i16 because the baseline integer dot product wants i16.
//
//     block (72 bytes): i16 q[32], f32 d, i32 eightSum          value ≈ q·d, eightSum = 8·Σq
//
// d = max|x| / 127; q = x · (127 / max|x|), rounded to the nearest, ties to even. In the `paired` order the values
// of a block stand as the nibbles of a q4_0 block come out of 16-bit shifts: 0 2 … 14, 16 18 … 30, 1 3 … 15, 17 … 31.

export const ACTIVATION_BLOCK: usize = 72;

// @ts-ignore: decorator
@inline
function maxAbs(m: v128, p: usize): v128 {
  return f32x4.max(m, f32x4.abs(v128.load(p)));
}

// @ts-ignore: decorator
@inline
function round8(p: usize, inverse: v128): v128 {
  const low = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(p), inverse)));
  const high = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(p, 16), inverse)));
  return i16x8.narrow_i32x4_s(low, high);
}

// @ts-ignore: decorator
@inline
function evens(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(a, b, 0, 2, 4, 6, 8, 10, 12, 14);
}

// @ts-ignore: decorator
@inline
function odds(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(a, b, 1, 3, 5, 7, 9, 11, 13, 15);
}

// @ts-ignore: decorator
@inline
function quantize(out: usize, x: usize, blocks: i32, paired: bool): void {
  for (let b = 0; b < blocks; b++) {
    let m = f32x4.abs(v128.load(x));
    for (let i: usize = 16; i < 128; i += 16) m = maxAbs(m, x + i);
    m = f32x4.max(m, v128.shuffle<f32>(m, m, 2, 3, 0, 1));
    m = f32x4.max(m, v128.shuffle<f32>(m, m, 1, 0, 3, 2));
    const amax = f32x4.extract_lane(m, 0);
    const inverse = f32x4.splat(amax > 0 ? <f32>127 / amax : 0);
    const q0 = round8(x, inverse), q1 = round8(x + 32, inverse);
    const q2 = round8(x + 64, inverse), q3 = round8(x + 96, inverse);
    v128.store(out, paired ? evens(q0, q1) : q0);
    v128.store(out, paired ? evens(q2, q3) : q1, 16);
    v128.store(out, paired ? odds(q0, q1) : q2, 32);
    v128.store(out, paired ? odds(q2, q3) : q3, 48);
    store<f32>(out, amax / 127, 64);
    const sums = i32x4.dot_i16x8_s(i16x8.add(i16x8.add(q0, q1), i16x8.add(q2, q3)), i16x8.splat(8));
    const sum = i32x4.extract_lane(sums, 0) + i32x4.extract_lane(sums, 1) +
      i32x4.extract_lane(sums, 2) + i32x4.extract_lane(sums, 3);
    store<i32>(out, sum, 68);
    out += ACTIVATION_BLOCK;
    x += 128;
  }
}

/** x (blocks · 32) → out (blocks), values in their order */
export function quantizeActivations(out: usize, x: usize, blocks: i32): void {
  quantize(out, x, blocks, false);
}

/** x (blocks · 32) → out (blocks), values in the paired order */
export function quantizeActivationsPaired(out: usize, x: usize, blocks: i32): void {
  quantize(out, x, blocks, true);
}
