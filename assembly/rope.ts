// Rotary position embedding, Su et al. 2021, "RoFormer"; Llama rotates adjacent pairs.

import { exp64, log64 } from './log';
import { storeCosSin } from './trig';

/**
 * Rows first … first + count − 1 of table[p][i] = (cos a, sin a), a = p/scale · base^(−2i/headDim) / factors[i], in f64;
 * table (positions, headDim/2, 2), factors (headDim/2) or 0
 */
export function ropeTable(
  table: usize, factors: usize, first: i32, count: i32, headDim: i32, base: f64, scale: f64,
): void {
  const logBase = -log64(base);
  for (let i = 0; i < headDim; i += 2) {
    let frequency = exp64(logBase * (<f64>i / <f64>headDim)) / scale;
    if (factors) frequency /= <f64>load<f32>(factors + (<usize>i << 1));
    let entry = table + ((<usize>first * headDim + i) << 2);
    for (let p = first; p < first + count; p++) {
      storeCosSin(entry, <f64>p * frequency);
      entry += <usize>headDim << 2;
    }
  }
}

/** Rotates the pairs of every head by its angle, or back where `sign` is −1. */
// @ts-ignore: decorator
@inline
function rotate(x: usize, positions: usize, table: usize, n: i32, heads: i32, headDim: i32, sign: f32): void {
  const headBytes = <usize>headDim << 2;
  const even = headBytes & ~15;
  const minusPlus = f32x4(-sign, sign, -sign, sign);
  for (let t = 0; t < n; t++) {
    const angles = table + <usize>load<u32>(positions + (<usize>t << 2)) * headBytes;
    for (let h = 0; h < heads; h++) {
      for (let i: usize = 0; i < even; i += 16) {
        const v = v128.load(x + i);
        const a = v128.load(angles + i); // c0 s0 c1 s1
        const cos = v128.shuffle<f32>(a, a, 0, 0, 2, 2);
        const sin = f32x4.mul(v128.shuffle<f32>(a, a, 1, 1, 3, 3), minusPlus);
        const swapped = v128.shuffle<f32>(v, v, 1, 0, 3, 2);
        v128.store(x + i, f32x4.add(f32x4.mul(v, cos), f32x4.mul(swapped, sin)));
      }
      if (even < headBytes) {
        const v0 = load<f32>(x + even), v1 = load<f32>(x + even, 4);
        const cos = load<f32>(angles + even), sin = sign * load<f32>(angles + even, 4);
        store<f32>(x + even, v0 * cos + v1 * -sin);
        store<f32>(x + even, v1 * cos + v0 * sin, 4);
      }
      x += headBytes;
    }
  }
}

/** Rotates (x[2i], x[2i+1]) of every head by table[positions[t]][i], in place;  x (n, heads, headDim), positions (n) */
export function rope(x: usize, positions: usize, table: usize, n: i32, heads: i32, headDim: i32): void {
  assert(headDim % 2 == 0, 'rope: headDim must be even');
  rotate(x, positions, table, n, heads, headDim, 1);
}

/** Turns the gradient of what `rope` gave into that of what it took, in place: the rotation back. */
export function ropeBackward(dX: usize, positions: usize, table: usize, n: i32, heads: i32, headDim: i32): void {
  assert(headDim % 2 == 0, 'ropeBackward: headDim must be even');
  rotate(dX, positions, table, n, heads, headDim, -1);
}
