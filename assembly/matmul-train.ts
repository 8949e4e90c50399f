// The matmul of training and its two gradients, for many tokens and f32 weights, each one product of matrices. Its sums
// stand in another order than those of `matmul_f32`, which is made for few tokens.

import { gemm } from './gemm';

/** out = x · wᵀ;  x (n, cols), w (rows, cols), out (n, rows), work (gemmBytes(n, rows, cols)) */
export function matmulForward(out: usize, x: usize, w: usize, work: usize, n: i32, rows: i32, cols: i32): void {
  const row = <usize>cols << 2;
  gemm(out, x, w, work, n, rows, cols, <usize>rows << 2, row, row, false, true, false);
}

/** dX += dOut · w;  dX (n, cols), dOut (n, rows), w (rows, cols), work (gemmBytes(n, cols, rows)) */
export function matmulBackwardX(dX: usize, dOut: usize, w: usize, work: usize, n: i32, rows: i32, cols: i32): void {
  const row = <usize>cols << 2;
  gemm(dX, dOut, w, work, n, cols, rows, row, <usize>rows << 2, row, false, false, true);
}

/** dW += dOutᵀ · x;  dW (rows, cols), dOut (n, rows), x (n, cols), work (gemmBytes(rows, cols, n)) */
export function matmulBackwardW(dW: usize, dOut: usize, x: usize, work: usize, n: i32, rows: i32, cols: i32): void {
  const row = <usize>cols << 2;
  gemm(dW, dOut, x, work, rows, cols, n, row, <usize>rows << 2, row, true, false, true);
}
