// Matrices for the gemm in panels: `width` rows (or columns) side by side, index after index, so that the innermost loop
// reads both of its operands in one stream each. What the last panel lacks is filled with zeros.

import { loadPart } from './math';

/** Four numbers of each of four rows, turned: vectors of one index each, `step` bytes apart. */
// @ts-ignore: decorator
@inline
function storeTurned(out: usize, step: usize, r0: v128, r1: v128, r2: v128, r3: v128): void {
  const a = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5), b = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5);
  v128.store(out, v128.shuffle<f32>(a, b, 0, 1, 4, 5));
  v128.store(out + step, v128.shuffle<f32>(a, b, 2, 3, 6, 7));
  const c = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7), d = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
  v128.store(out + 2 * step, v128.shuffle<f32>(c, d, 0, 1, 4, 5));
  v128.store(out + 3 * step, v128.shuffle<f32>(c, d, 2, 3, 6, 7));
}

/** Panels of `width` (4 or 8) rows of x, which has `rows` rows of k numbers, `stride` bytes apart. */
export function packRows(out: usize, x: usize, rows: i32, k: i32, stride: usize, width: i32): void {
  const step = <usize>width << 2;
  for (let r = 0; r < rows; r += width) {
    for (let g = 0; g < width; g += 4) {
      const left = rows - r - g;
      let to = out + (<usize>g << 2);
      let p0 = x + <usize>(r + g) * stride, p1 = p0 + stride, p2 = p1 + stride, p3 = p2 + stride;
      let i = 0;
      if (left >= 4) {
        for (; i + 4 <= k; i += 4) {
          storeTurned(to, step, v128.load(p0), v128.load(p1), v128.load(p2), v128.load(p3));
          to += step << 2;
          p0 += 16; p1 += 16; p2 += 16; p3 += 16;
        }
      }
      for (; i < k; i++) {
        let v = f32x4.splat(0);
        if (left > 0) v = v128.load_zero<u32>(p0);
        if (left > 1) v = v128.load_lane<u32>(p1, v, 1);
        if (left > 2) v = v128.load_lane<u32>(p2, v, 2);
        if (left > 3) v = v128.load_lane<u32>(p3, v, 3);
        v128.store(to, v);
        to += step;
        p0 += 4; p1 += 4; p2 += 4; p3 += 4;
      }
    }
    out += <usize>k * step;
  }
}

/** Panels of `width` (4 or 8) columns of x, which has k rows of `cols` numbers, `stride` bytes apart. */
export function packColumns(out: usize, x: usize, cols: i32, k: i32, stride: usize, width: i32): void {
  const step = <usize>width << 2;
  for (let c = 0; c < cols; c += width) {
    for (let g = 0; g < width; g += 4) {
      const left = cols - c - g;
      let from = x + (<usize>(c + g) << 2), to = out + (<usize>g << 2);
      if (left >= 4) {
        for (let i = 0; i < k; i++) {
          v128.store(to, v128.load(from));
          to += step;
          from += stride;
        }
      } else {
        for (let i = 0; i < k; i++) {
          v128.store(to, left > 0 ? loadPart(from, left) : f32x4.splat(0));
          to += step;
          from += stride;
        }
      }
    }
    out += <usize>k * step;
  }
}
