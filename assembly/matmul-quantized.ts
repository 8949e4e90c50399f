// out = x · wᵀ for small codes in groups of four rows. One token: a group at a time, which reads weights as fast
// as memory gives them. Four tokens: two groups at a time, so that a loaded activation serves eight rows and a loaded
// weight four tokens. Both sum in the same order, so a token's result does not depend on its company.

import { X_BLOCK } from './activations';
import {
  IQ4_NL, IQ4_XS, pieces, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, superblockBytes,
} from './block-formats';
import { storePart } from './math';
import { groupOf, tileOf } from './piece-blocks';

// @ts-ignore: decorator
@inline
function matmul<T>(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  assert(cols % (32 * pieces<T>()) == 0, 'matmul: cols must be a multiple of the block');
  const blocks = cols >> 5;
  const groupBytes = <usize>(blocks / pieces<T>()) * superblockBytes<T>(), xStride = <usize>blocks * X_BLOCK;
  const outStride = <usize>rows << 2;
  let r = 0;
  for (; r + 8 <= rows && n >= 4; r += 8) {
    let t = 0, o = out + (<usize>r << 2), xt = x;
    for (; t + 4 <= n; t += 4) {
      tileOf<T>(o, outStride, w, w + groupBytes, xt, xStride, blocks);
      o += outStride << 2;
      xt += xStride << 2;
    }
    for (; t < n; t++) {
      v128.store(o, groupOf<T>(w, xt, blocks));
      v128.store(o, groupOf<T>(w + groupBytes, xt, blocks), 16);
      o += outStride;
      xt += xStride;
    }
    w += groupBytes << 1;
  }
  for (; r < rows; r += 4) {
    let o = out + (<usize>r << 2), xt = x;
    for (let t = 0; t < n; t++) {
      const sums = groupOf<T>(w, xt, blocks);
      if (rows - r >= 4) v128.store(o, sums);
      else storePart(o, sums, rows - r);
      o += outStride;
      xt += xStride;
    }
    w += groupBytes;
  }
}

/** x (n, cols/32) blocks of activations, w ⌈rows/4⌉ groups, out (n, rows). 7-bit activations: */
export function matmul_iq4_nl(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  matmul<IQ4_NL>(out, x, w, n, rows, cols);
}
export function matmul_iq4_xs(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  matmul<IQ4_XS>(out, x, w, n, rows, cols);
}
/** 8-bit activations: */
export function matmul_q4_0(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  matmul<Q4_0>(out, x, w, n, rows, cols);
}
export function matmul_q4_1(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  matmul<Q4_1>(out, x, w, n, rows, cols);
}
export function matmul_q5_0(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  matmul<Q5_0>(out, x, w, n, rows, cols);
}
export function matmul_q5_1(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  matmul<Q5_1>(out, x, w, n, rows, cols);
}
export function matmul_q2_k(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  matmul<Q2_K>(out, x, w, n, rows, cols);
}
export function matmul_q3_k(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  matmul<Q3_K>(out, x, w, n, rows, cols);
}
export function matmul_q4_k(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  matmul<Q4_K>(out, x, w, n, rows, cols);
}
export function matmul_q5_k(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  matmul<Q5_K>(out, x, w, n, rows, cols);
}
export function matmul_q6_k(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  matmul<Q6_K>(out, x, w, n, rows, cols);
}
