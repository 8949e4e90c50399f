// Products of unpacked pieces (unpack-blocks.ts) with four tokens at a time, in the order and form of piece-blocks.ts.

import { X_BLOCK, X_OFFSET, X_SCALE } from './activations';
import { CODES, MIN, SCALES, TOTAL, UNPACKED } from './unpack-blocks';

/** acc + w · x for a unit; in the relaxed build as piece-blocks.ts says. */
// @ts-ignore: decorator
@inline
function dot(acc: v128, w: v128, x: v128): v128 {
  if (!ASC_FEATURE_RELAXED_SIMD) return i32x4.add(acc, i32x4.dot_i16x8_s(w, x));
  return i16x8.add(acc, i16x8.relaxed_dot_i8x16_i7x16_s(x, w));
}

/** sum + the product of the piece at w, from its integers. */
// @ts-ignore: decorator
@inline
function addPiece(sum: v128, dots: v128, scale: v128, least: v128, x: usize): v128 {
  const dx = v128.load32_splat(x, X_SCALE);
  const excess = i32x4.dot_i16x8_s(v128.load32_splat(x, X_OFFSET), least);
  return f32x4.add(sum, f32x4.mul(f32x4.convert_i32x4_s(i32x4.sub(dots, excess)), f32x4.mul(scale, dx)));
}

/** The same with a min. */
// @ts-ignore: decorator
@inline
function addAffine(sum: v128, dots: v128, scale: v128, least: v128, min: v128, x: usize): v128 {
  const dx = v128.load32_splat(x, X_SCALE);
  const total = i32x4.dot_i16x8_s(v128.load32_splat(x, X_OFFSET), least);
  const product = f32x4.mul(f32x4.convert_i32x4_s(total), min);
  return f32x4.add(sum, f32x4.mul(f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(dots), scale), product), dx));
}

/**
 * out (4, 8) at a stride += `count` pieces of each of two groups, unpacked at w and v, times four tokens.
 * `quarters` (1, 2 or 4) of a piece sum up in i16 in the relaxed build: as many as 2 · 127 · code a unit lets them, and
 * two at most where scales change between them.
 */
export function tile(
  out: usize, outStride: usize, w: usize, v: usize, x0: usize, xStride: usize, count: i32, affine: bool, quarters: i32,
): void {
  const zero = i32x4.splat(0);
  const o1 = out + outStride, o2 = o1 + outStride, o3 = o2 + outStride;
  let x1 = x0 + xStride, x2 = x1 + xStride, x3 = x2 + xStride;
  let w0 = v128.load(out), w1 = v128.load(o1), w2 = v128.load(o2), w3 = v128.load(o3);
  let v0 = v128.load(out, 16), v1 = v128.load(o1, 16), v2 = v128.load(o2, 16), v3 = v128.load(o3, 16);
  for (; count > 0; count--) {
    let f0 = zero, f1 = zero, f2 = zero, f3 = zero, g0 = zero, g1 = zero, g2 = zero, g3 = zero;
    let p = w + CODES, q = v + CODES;
    if (ASC_FEATURE_RELAXED_SIMD) {
      for (let taken = 0; taken < 4; taken += quarters) {
        let a0 = zero, a1 = zero, a2 = zero, a3 = zero, c0 = zero, c1 = zero, c2 = zero, c3 = zero;
        for (const end = x0 + (quarters << 3); x0 < end; ) {
          const k = v128.load(p), l = v128.load(p, 16), m = v128.load(q), n = v128.load(q, 16);
          let x = v128.load32_splat(x0), y = v128.load32_splat(x0, 4);
          a0 = dot(dot(a0, k, x), l, y); c0 = dot(dot(c0, m, x), n, y);
          x = v128.load32_splat(x1), y = v128.load32_splat(x1, 4);
          a1 = dot(dot(a1, k, x), l, y); c1 = dot(dot(c1, m, x), n, y);
          x = v128.load32_splat(x2), y = v128.load32_splat(x2, 4);
          a2 = dot(dot(a2, k, x), l, y); c2 = dot(dot(c2, m, x), n, y);
          x = v128.load32_splat(x3), y = v128.load32_splat(x3, 4);
          a3 = dot(dot(a3, k, x), l, y); c3 = dot(dot(c3, m, x), n, y);
          x0 += 8; x1 += 8; x2 += 8; x3 += 8;
          p += 32; q += 32;
        }
        const half = <usize>(taken & 2) << 3;
        let s = v128.load(w + half, SCALES);
        f0 = i32x4.add(f0, i32x4.dot_i16x8_s(a0, s)); f1 = i32x4.add(f1, i32x4.dot_i16x8_s(a1, s));
        f2 = i32x4.add(f2, i32x4.dot_i16x8_s(a2, s)); f3 = i32x4.add(f3, i32x4.dot_i16x8_s(a3, s));
        s = v128.load(v + half, SCALES);
        g0 = i32x4.add(g0, i32x4.dot_i16x8_s(c0, s)); g1 = i32x4.add(g1, i32x4.dot_i16x8_s(c1, s));
        g2 = i32x4.add(g2, i32x4.dot_i16x8_s(c2, s)); g3 = i32x4.add(g3, i32x4.dot_i16x8_s(c3, s));
      }
    } else {
      for (const end = x0 + X_SCALE; x0 < end; ) {
        const k = v128.load(p), l = v128.load(p, 16), m = v128.load(q), n = v128.load(q, 16);
        let x = v128.load32_splat(x0), y = v128.load32_splat(x0, 4);
        f0 = dot(dot(f0, k, x), l, y); g0 = dot(dot(g0, m, x), n, y);
        x = v128.load32_splat(x1), y = v128.load32_splat(x1, 4);
        f1 = dot(dot(f1, k, x), l, y); g1 = dot(dot(g1, m, x), n, y);
        x = v128.load32_splat(x2), y = v128.load32_splat(x2, 4);
        f2 = dot(dot(f2, k, x), l, y); g2 = dot(dot(g2, m, x), n, y);
        x = v128.load32_splat(x3), y = v128.load32_splat(x3, 4);
        f3 = dot(dot(f3, k, x), l, y); g3 = dot(dot(g3, m, x), n, y);
        x0 += 8; x1 += 8; x2 += 8; x3 += 8;
        p += 32; q += 32;
      }
    }
    // the x pointers stand at the ends of the values now
    const y0 = x0 - X_SCALE, y1 = x1 - X_SCALE, y2 = x2 - X_SCALE, y3 = x3 - X_SCALE;
    let d = v128.load(w), t = v128.load(w, TOTAL);
    if (affine) {
      let m = v128.load(w, MIN);
      w0 = addAffine(w0, f0, d, t, m, y0); w1 = addAffine(w1, f1, d, t, m, y1);
      w2 = addAffine(w2, f2, d, t, m, y2); w3 = addAffine(w3, f3, d, t, m, y3);
      d = v128.load(v); t = v128.load(v, TOTAL); m = v128.load(v, MIN);
      v0 = addAffine(v0, g0, d, t, m, y0); v1 = addAffine(v1, g1, d, t, m, y1);
      v2 = addAffine(v2, g2, d, t, m, y2); v3 = addAffine(v3, g3, d, t, m, y3);
    } else {
      w0 = addPiece(w0, f0, d, t, y0); w1 = addPiece(w1, f1, d, t, y1);
      w2 = addPiece(w2, f2, d, t, y2); w3 = addPiece(w3, f3, d, t, y3);
      d = v128.load(v); t = v128.load(v, TOTAL);
      v0 = addPiece(v0, g0, d, t, y0); v1 = addPiece(v1, g1, d, t, y1);
      v2 = addPiece(v2, g2, d, t, y2); v3 = addPiece(v3, g3, d, t, y3);
    }
    w += UNPACKED; v += UNPACKED;
    x0 += X_BLOCK - X_SCALE; x1 += X_BLOCK - X_SCALE; x2 += X_BLOCK - X_SCALE; x3 += X_BLOCK - X_SCALE;
  }
  v128.store(out, w0); v128.store(out, v0, 16);
  v128.store(o1, w1); v128.store(o1, v1, 16);
  v128.store(o2, w2); v128.store(o2, v2, 16);
  v128.store(o3, w3); v128.store(o3, v3, 16);
}
