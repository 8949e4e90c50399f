// out = x · wᵀ for block-quantised weights against activations rounded by `quantizeActivations`. Inside a block of 32
// the dot product is an exact integer; across blocks it is summed in ascending order:
//
//     sum ← sum + f32(Σ q·qx) · (d · dx)
//
// Four rows at a time against every token; rows beyond a multiple of four are computed with one repeated.

import { halfToFloat4 } from './half';
import { storePart, sumLanesI4 } from './math';
import { ACTIVATION_BLOCK } from './quantize';

/** Markers of the stored formats (host/dtype.ts), told apart at compile time. */
class Q8_0 {}
class Q8_F32 {}
class Q4_0 {}

// @ts-ignore: decorator
@inline
function blockBytes<T>(): usize {
  if (idof<T>() == idof<Q4_0>()) return 18;
  return idof<T>() == idof<Q8_0>() ? 34 : 36;
}

/** The scales of the blocks at four addresses. */
// @ts-ignore: decorator
@inline
function scales<T>(w0: usize, w1: usize, w2: usize, w3: usize): v128 {
  if (idof<T>() == idof<Q8_F32>()) {
    const d = v128.load_lane<u32>(w1, v128.load_zero<u32>(w0), 1);
    return v128.load_lane<u32>(w3, v128.load_lane<u32>(w2, d, 2), 3);
  }
  return halfToFloat4(i32x4(load<u16>(w0), load<u16>(w1), load<u16>(w2), load<u16>(w3)));
}

/** Σ q·qx of one block as four partial sums; x0 … x3 are its activations. */
// @ts-ignore: decorator
@inline
function blockDot<T>(w: usize, x0: v128, x1: v128, x2: v128, x3: v128): v128 {
  if (idof<T>() == idof<Q4_0>()) {
    const v = v128.load(w, 2), nibble = i16x8.splat(15);
    return i32x4.add(
      i32x4.add(
        i32x4.dot_i16x8_s(v128.and(v, nibble), x0),
        i32x4.dot_i16x8_s(v128.and(i16x8.shr_u(v, 4), nibble), x1),
      ),
      i32x4.add(
        i32x4.dot_i16x8_s(v128.and(i16x8.shr_u(v, 8), nibble), x2),
        i32x4.dot_i16x8_s(i16x8.shr_u(v, 12), x3),
      ),
    );
  }
  if (idof<T>() == idof<Q8_F32>()) w += 2;
  return i32x4.add(
    i32x4.add(
      i32x4.dot_i16x8_s(v128.load_ext<i8>(w, 2), x0),
      i32x4.dot_i16x8_s(v128.load_ext<i8>(w, 10), x1),
    ),
    i32x4.add(
      i32x4.dot_i16x8_s(v128.load_ext<i8>(w, 18), x2),
      i32x4.dot_i16x8_s(v128.load_ext<i8>(w, 26), x3),
    ),
  );
}

// @ts-ignore: decorator
@inline
function rows4<T>(x: usize, w0: usize, w1: usize, w2: usize, w3: usize, blocks: i32): v128 {
  let sum = f32x4.splat(0);
  for (let b = 0; b < blocks; b++) {
    const x0 = v128.load(x), x1 = v128.load(x, 16), x2 = v128.load(x, 32), x3 = v128.load(x, 48);
    let dots = sumLanesI4(
      blockDot<T>(w0, x0, x1, x2, x3),
      blockDot<T>(w1, x0, x1, x2, x3),
      blockDot<T>(w2, x0, x1, x2, x3),
      blockDot<T>(w3, x0, x1, x2, x3),
    );
    // a stored nibble is the value plus 8
    if (idof<T>() == idof<Q4_0>()) dots = i32x4.sub(dots, v128.load_splat<u32>(x, 68));
    const scale = f32x4.mul(scales<T>(w0, w1, w2, w3), v128.load_splat<u32>(x, 64));
    sum = f32x4.add(sum, f32x4.mul(f32x4.convert_i32x4_s(dots), scale));
    x += ACTIVATION_BLOCK;
    w0 += blockBytes<T>(); w1 += blockBytes<T>(); w2 += blockBytes<T>(); w3 += blockBytes<T>();
  }
  return sum;
}

// @ts-ignore: decorator
@inline
function matmul<T>(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  assert(cols % 32 == 0, 'matmul: cols must be a multiple of the block');
  const blocks = cols >> 5;
  const stride = <usize>blocks * blockBytes<T>(), xStride = <usize>blocks * ACTIVATION_BLOCK;
  const outStride = <usize>rows << 2;
  for (let r = 0; r < rows; r += 4) {
    const left = rows - r;
    const w1 = left > 1 ? w + stride : w, w2 = left > 2 ? w1 + stride : w, w3 = left > 3 ? w2 + stride : w;
    let o = out + (<usize>r << 2), xt = x;
    for (let t = 0; t < n; t++) {
      const sums = rows4<T>(xt, w, w1, w2, w3, blocks);
      if (left >= 4) v128.store(o, sums);
      else storePart(o, sums, left);
      o += outStride;
      xt += xStride;
    }
    w += stride << 2;
  }
}

/** x (n, cols/32) activation blocks in their order, w (rows, cols/32) blocks, out (n, rows) */
export function matmul_q8_0(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  matmul<Q8_0>(out, x, w, n, rows, cols);
}
export function matmul_q8_f32(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  matmul<Q8_F32>(out, x, w, n, rows, cols);
}
/** As the others, but with activation blocks in the paired order. */
export function matmul_q4_0(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  matmul<Q4_0>(out, x, w, n, rows, cols);
}
