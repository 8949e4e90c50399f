// Products of 4-bit weights in groups of four rows (relayout.ts) with 8-bit activations (activations.ts). A stored
// nibble is the value plus 8, which the activations' sum corrects. Blocks are summed in ascending order:
//
//     sum ← sum + f32(Σ q·qx − 8·Σqx) · (d · dx)

import { X_BLOCK, X_OFFSET, X_SCALE } from './activations';
import { halfToFloat4 } from './half';

export const PIECE_Q4: usize = 72;

/** sum + f32(dots − 8·Σqx) · (d · dx) */
// @ts-ignore: decorator
@inline
function addPiece(sum: v128, dots: v128, d: v128, x: usize): v128 {
  const exact = i32x4.sub(rows(dots), i32x4.shl(v128.load32_splat(x, X_OFFSET), 3));
  return f32x4.add(sum, f32x4.mul(f32x4.convert_i32x4_s(exact), f32x4.mul(d, v128.load32_splat(x, X_SCALE))));
}

/**
 * acc + w · x for four columns a row: signed activations, nibbles in bytes, sums of two columns in i16. A block's eight
 * products reach 8 · 2 · 127 · 15 = 30,480 at most, so nothing overflows before `rows` adds the pairs.
 * (Measured on a Zen 4, where the engine has no VNNI to use: 43 G multiply-adds/s against 28 for the i32 product, which
 * takes five instructions there; with VNNI it would take one against two.)
 */
// @ts-ignore: decorator
@inline
function dot(acc: v128, w: v128, x: v128): v128 {
  return i16x8.add(acc, i16x8.relaxed_dot_i8x16_i7x16_s(x, w));
}

/** A block's sums in lanes of rows. */
// @ts-ignore: decorator
@inline
function rows(acc: v128): v128 {
  return ASC_FEATURE_RELAXED_SIMD ? i32x4.extadd_pairwise_i16x8_s(acc) : acc;
}

/** acc + w · x for two columns a row: a nibble in an i16. */
// @ts-ignore: decorator
@inline
function dotPair(acc: v128, w: v128, x: v128): v128 {
  return i32x4.add(acc, i32x4.dot_i16x8_s(w, x));
}

/** acc + w · x for the eight columns of a vector of nibbles; x is the address of their activations. */
// @ts-ignore: decorator
@inline
function dotVector(acc: v128, v: v128, x: usize): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) {
    const nibble = i8x16.splat(15);
    acc = dot(acc, v128.and(v, nibble), v128.load32_splat(x));
    return dot(acc, v128.and(i16x8.shr_u(v, 4), nibble), v128.load32_splat(x, 4));
  }
  const nibble = i16x8.splat(15);
  acc = dotPair(acc, v128.and(v, nibble), v128.load32_splat(x));
  acc = dotPair(acc, v128.and(i16x8.shr_u(v, 4), nibble), v128.load32_splat(x, 4));
  acc = dotPair(acc, v128.and(i16x8.shr_u(v, 8), nibble), v128.load32_splat(x, 8));
  return dotPair(acc, i16x8.shr_u(v, 12), v128.load32_splat(x, 12));
}

/** The four rows of the group at w with one token. */
// @ts-ignore: decorator
@inline
export function group4(w: usize, x: usize, blocks: i32): v128 {
  const step = X_SCALE >> 2; // activations of eight columns
  let sum = f32x4.splat(0);
  for (let b = 0; b < blocks; b++) {
    let dots = dotVector(i32x4.splat(0), v128.load(w, 8), x);
    dots = dotVector(dots, v128.load(w, 24), x + step);
    dots = dotVector(dots, v128.load(w, 40), x + 2 * step);
    dots = dotVector(dots, v128.load(w, 56), x + 3 * step);
    sum = addPiece(sum, dots, halfToFloat4(v128.load_ext<u16>(w)), x);
    w += PIECE_Q4;
    x += X_BLOCK;
  }
  return sum;
}

/** The eight rows of the groups at w and v with four tokens: out (4, 8) at a stride. */
// @ts-ignore: decorator
@inline
export function tile4(out: usize, outStride: usize, w: usize, v: usize, x0: usize, xStride: usize, blocks: i32): void {
  const zero = i32x4.splat(0);
  let x1 = x0 + xStride, x2 = x1 + xStride, x3 = x2 + xStride;
  let w0 = f32x4.splat(0), w1 = w0, w2 = w0, w3 = w0, v0 = w0, v1 = w0, v2 = w0, v3 = w0;
  for (let b = 0; b < blocks; b++) {
    let a0 = zero, a1 = zero, a2 = zero, a3 = zero, c0 = zero, c1 = zero, c2 = zero, c3 = zero;
    let p = w + 8, q = v + 8;
    for (const end = x0 + X_SCALE; x0 < end; ) {
      const a = v128.load(p), c = v128.load(q);
      if (ASC_FEATURE_RELAXED_SIMD) {
        const nibble = i8x16.splat(15);
        const al = v128.and(a, nibble), ah = v128.and(i16x8.shr_u(a, 4), nibble);
        const cl = v128.and(c, nibble), ch = v128.and(i16x8.shr_u(c, 4), nibble);
        let x = v128.load32_splat(x0), y = v128.load32_splat(x0, 4);
        a0 = dot(dot(a0, al, x), ah, y); c0 = dot(dot(c0, cl, x), ch, y);
        x = v128.load32_splat(x1), y = v128.load32_splat(x1, 4);
        a1 = dot(dot(a1, al, x), ah, y); c1 = dot(dot(c1, cl, x), ch, y);
        x = v128.load32_splat(x2), y = v128.load32_splat(x2, 4);
        a2 = dot(dot(a2, al, x), ah, y); c2 = dot(dot(c2, cl, x), ch, y);
        x = v128.load32_splat(x3), y = v128.load32_splat(x3, 4);
        a3 = dot(dot(a3, al, x), ah, y); c3 = dot(dot(c3, cl, x), ch, y);
        x0 += 8; x1 += 8; x2 += 8; x3 += 8;
      } else {
        const nibble = i16x8.splat(15);
        for (let n = 0; n < 16; n += 4) {
          const an = v128.and(i16x8.shr_u(a, n), nibble), cn = v128.and(i16x8.shr_u(c, n), nibble);
          let x = v128.load32_splat(x0);
          a0 = dotPair(a0, an, x); c0 = dotPair(c0, cn, x);
          x = v128.load32_splat(x1);
          a1 = dotPair(a1, an, x); c1 = dotPair(c1, cn, x);
          x = v128.load32_splat(x2);
          a2 = dotPair(a2, an, x); c2 = dotPair(c2, cn, x);
          x = v128.load32_splat(x3);
          a3 = dotPair(a3, an, x); c3 = dotPair(c3, cn, x);
          x0 += 4; x1 += 4; x2 += 4; x3 += 4;
        }
      }
      p += 16; q += 16;
    }
    // the x pointers stand at the ends of the values now
    let d = halfToFloat4(v128.load_ext<u16>(w));
    w0 = addPiece(w0, a0, d, x0 - X_SCALE); w1 = addPiece(w1, a1, d, x1 - X_SCALE);
    w2 = addPiece(w2, a2, d, x2 - X_SCALE); w3 = addPiece(w3, a3, d, x3 - X_SCALE);
    d = halfToFloat4(v128.load_ext<u16>(v));
    v0 = addPiece(v0, c0, d, x0 - X_SCALE); v1 = addPiece(v1, c1, d, x1 - X_SCALE);
    v2 = addPiece(v2, c2, d, x2 - X_SCALE); v3 = addPiece(v3, c3, d, x3 - X_SCALE);
    w += PIECE_Q4; v += PIECE_Q4;
    x0 += 8; x1 += 8; x2 += 8; x3 += 8;
  }
  v128.store(out, w0); v128.store(out, v0, 16); out += outStride;
  v128.store(out, w1); v128.store(out, v1, 16); out += outStride;
  v128.store(out, w2); v128.store(out, v2, 16); out += outStride;
  v128.store(out, w3); v128.store(out, v3, 16);
}
