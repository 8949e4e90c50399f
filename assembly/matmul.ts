// out = x · wᵀ for unquantised weights: four rows at a time against every token, so that rows are read from memory
// once and stay in the first cache. The last rows of a matrix whose number is no multiple of four are computed with
// one of them repeated: the same steps, the same bits.

import { BF16, F16, F32, dot4, valueBytes } from './dot';
import { storePart } from './math';

// @ts-ignore: decorator
@inline
function matmul<T>(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  const stride = <usize>cols * valueBytes<T>();
  const outStride = <usize>rows << 2, xStride = <usize>cols << 2;
  for (let r = 0; r < rows; r += 4) {
    const left = rows - r;
    const w1 = left > 1 ? w + stride : w, w2 = left > 2 ? w1 + stride : w, w3 = left > 3 ? w2 + stride : w;
    let o = out + (<usize>r << 2), xt = x;
    for (let t = 0; t < n; t++) {
      const sums = dot4<T>(xt, w, w1, w2, w3, cols);
      if (left >= 4) v128.store(o, sums);
      else storePart(o, sums, left);
      o += outStride;
      xt += xStride;
    }
    w += stride << 2;
  }
}

/** x (n, cols), w (rows, cols), out (n, rows) */
export function matmul_f32(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  matmul<F32>(out, x, w, n, rows, cols);
}
export function matmul_f16(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  matmul<F16>(out, x, w, n, rows, cols);
}
export function matmul_bf16(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  matmul<BF16>(out, x, w, n, rows, cols);
}
