// Dot products of f32 activations with f32, f16 or bf16 rows. Lane j sums the products of indexes ≡ j mod 4 in
// ascending order, the lanes are then added by `sumLanes4`: one order, whatever the row, the batch or the caller.

import { halfToFloat4 } from './half';
import { loadPart, sumLanes4 } from './math';

/** Markers of the stored formats, told apart at compile time. */
export class F32 {}
export class F16 {}
export class BF16 {}

/** Bytes of a stored value. */
// @ts-ignore: decorator
@inline
export function valueBytes<T>(): usize {
  return idof<T>() == idof<F32>() ? 4 : 2;
}

/** Four stored values → f32. */
// @ts-ignore: decorator
@inline
export function load4<T>(p: usize): v128 {
  if (idof<T>() == idof<F32>()) return v128.load(p);
  if (idof<T>() == idof<F16>()) return halfToFloat4(v128.load_ext<u16>(p));
  return i32x4.shl(v128.load_ext<u16>(p), 16);
}

/** The first `count` (1 to 3) stored values → f32, the other lanes 0. */
// @ts-ignore: decorator
@inline
export function load4Part<T>(p: usize, count: i32): v128 {
  if (idof<T>() == idof<F32>()) return loadPart(p, count);
  let v = i32x4.replace_lane(i32x4.splat(0), 0, load<u16>(p));
  if (count > 1) v = i32x4.replace_lane(v, 1, load<u16>(p, 2));
  if (count > 2) v = i32x4.replace_lane(v, 2, load<u16>(p, 4));
  if (idof<T>() == idof<F16>()) return halfToFloat4(v);
  return i32x4.shl(v, 16);
}

/** (x·w0, x·w1, x·w2, x·w3) over `cols` values. */
// @ts-ignore: decorator
@inline
export function dot4<T>(x: usize, w0: usize, w1: usize, w2: usize, w3: usize, cols: i32): v128 {
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
  const step = valueBytes<T>() * 4;
  const end = x + (<usize>(cols & ~3) << 2);
  for (; x < end; x += 16) {
    const v = v128.load(x);
    a0 = f32x4.add(a0, f32x4.mul(v, load4<T>(w0)));
    a1 = f32x4.add(a1, f32x4.mul(v, load4<T>(w1)));
    a2 = f32x4.add(a2, f32x4.mul(v, load4<T>(w2)));
    a3 = f32x4.add(a3, f32x4.mul(v, load4<T>(w3)));
    w0 += step; w1 += step; w2 += step; w3 += step;
  }
  const rest = cols & 3;
  if (rest) {
    const v = loadPart(x, rest);
    a0 = f32x4.add(a0, f32x4.mul(v, load4Part<T>(w0, rest)));
    a1 = f32x4.add(a1, f32x4.mul(v, load4Part<T>(w1, rest)));
    a2 = f32x4.add(a2, f32x4.mul(v, load4Part<T>(w2, rest)));
    a3 = f32x4.add(a3, f32x4.mul(v, load4Part<T>(w3, rest)));
  }
  return sumLanes4(a0, a1, a2, a3);
}
