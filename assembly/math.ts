// exp of four lanes, from additions and multiplications only: the same bits on every engine and CPU.
// Range reduction x = n·ln2 + r with |r| ≤ ln2/2, a polynomial in r, and n added to the exponent.
// Coefficients: S. Moshier's Cephes library, expf. Relative error over [-87, 88], measured: below 1.5e-7.

// In memory, as engines build a vector constant anew, in four instructions, wherever it is used. In order: log2 e;
// 1.5 · 2^23, which added to a small number rounds it to an integer, ties to even, that the sum has in its lowest bits;
// ln2 in two parts, so that n times the first is exact for |n| < 2^9; the coefficients of p, the highest first; 1; the
// least and the largest x.
const EXP = memory.data<f32>([
  1.44269504, 12582912, 0.693359375, -2.12194440e-4,
  1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1,
  1, -87.33, 88.37,
]);

/** A constant of EXP in all lanes. */
// @ts-ignore: decorator
@inline
function constant(index: usize): v128 {
  return v128.load32_splat(EXP + (index << 2));
}

/** exp(x) a lane; 0 below −87.33, e^88.37 above 88.37; NaN stays NaN. */
// @ts-ignore: decorator
@inline
export function exp4(x: v128): v128 {
  const least = constant(11);
  const tiny = f32x4.lt(x, least);
  x = f32x4.pmax(f32x4.pmin(x, constant(12)), least);
  const shifted = f32x4.add(f32x4.mul(x, constant(0)), constant(1));
  const n = f32x4.sub(shifted, constant(1));
  let r = f32x4.sub(x, f32x4.mul(n, constant(2)));
  r = f32x4.sub(r, f32x4.mul(n, constant(3)));
  // e^r ≈ 1 + r + r²·p(r)
  let p = constant(4);
  p = f32x4.add(f32x4.mul(p, r), constant(5));
  p = f32x4.add(f32x4.mul(p, r), constant(6));
  p = f32x4.add(f32x4.mul(p, r), constant(7));
  p = f32x4.add(f32x4.mul(p, r), constant(8));
  p = f32x4.add(f32x4.mul(p, r), constant(9));
  const one = constant(10);
  p = f32x4.add(f32x4.add(f32x4.mul(f32x4.mul(r, r), p), r), one);
  // 2^n: n added to the exponent of 1
  const scale = i32x4.add(i32x4.shl(shifted, 23), one);
  return v128.andnot(f32x4.mul(p, scale), tiny);
}

/** `exp4` as a call, for where it is not worth being inlined. */
export function expCall4(x: v128): v128 {
  return exp4(x);
}

/** `exp1` likewise. */
export function expCall1(x: f32): f32 {
  return f32x4.extract_lane(expCall4(f32x4.splat(x)), 0);
}

/** exp of one number, by the same steps as `exp4`. */
// @ts-ignore: decorator
@inline
export function exp1(x: f32): f32 {
  return f32x4.extract_lane(exp4(f32x4.splat(x)), 0);
}

/** (l0 + l2) + (l1 + l3): the one order in which lanes are summed, here and in `sumLanes4`. */
// @ts-ignore: decorator
@inline
export function sumLanes(a: v128): f32 {
  return (
    f32x4.extract_lane(a, 0) + f32x4.extract_lane(a, 2) +
    (f32x4.extract_lane(a, 1) + f32x4.extract_lane(a, 3))
  );
}

// @ts-ignore: decorator
@inline
export function largestLane(m: v128): f32 {
  m = f32x4.max(m, v128.shuffle<f32>(m, m, 2, 3, 0, 1));
  m = f32x4.max(m, v128.shuffle<f32>(m, m, 1, 0, 3, 2));
  return f32x4.extract_lane(m, 0);
}

/** The lane sums of four vectors as one vector. */
// @ts-ignore: decorator
@inline
export function sumLanes4(a0: v128, a1: v128, a2: v128, a3: v128): v128 {
  const t0 = f32x4.add(v128.shuffle<f32>(a0, a1, 0, 4, 1, 5), v128.shuffle<f32>(a0, a1, 2, 6, 3, 7));
  const t1 = f32x4.add(v128.shuffle<f32>(a2, a3, 0, 4, 1, 5), v128.shuffle<f32>(a2, a3, 2, 6, 3, 7));
  return f32x4.add(v128.shuffle<f32>(t0, t1, 0, 1, 4, 5), v128.shuffle<f32>(t0, t1, 2, 3, 6, 7));
}

/** The first `count` (1 to 3) floats at p, the other lanes 0; reads nothing beyond them. */
// @ts-ignore: decorator
@inline
export function loadPart(p: usize, count: i32): v128 {
  let v = v128.load_zero<u32>(p);
  if (count > 1) v = v128.load_lane<u32>(p, v, 1, 4);
  if (count > 2) v = v128.load_lane<u32>(p, v, 2, 8);
  return v;
}

/** Stores the first `count` (1 to 3) lanes. */
// @ts-ignore: decorator
@inline
export function storePart(p: usize, v: v128, count: i32): void {
  store<f32>(p, f32x4.extract_lane(v, 0));
  if (count > 1) store<f32>(p, f32x4.extract_lane(v, 1), 4);
  if (count > 2) store<f32>(p, f32x4.extract_lane(v, 2), 8);
}
