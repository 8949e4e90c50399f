// Products of int8 weights in groups of four rows (relayout.ts) with 7-bit activations (activations.ts). Inside a block
// of 32 the product is an exact integer; blocks are summed in ascending order:
//
//     sum ← sum + f32(Σ q·qx − z·Σq) · (d · dx)

import { X_BLOCK, X_OFFSET, X_SCALE } from './activations';
import { Q8_0 } from './formats';
import { halfToFloat4 } from './half';

/** Bytes of the scales at the beginning of a piece. */
// @ts-ignore: decorator
@inline
function scaleBytes<T>(): usize {
  return idof<T>() == idof<Q8_0>() ? 8 : 16;
}

// @ts-ignore: decorator
@inline
export function pieceBytes8<T>(): usize {
  return scaleBytes<T>() + 136;
}

// @ts-ignore: decorator
@inline
function scales<T>(w: usize): v128 {
  return idof<T>() == idof<Q8_0>() ? halfToFloat4(v128.load_ext<u16>(w)) : v128.load(w);
}

/** sum + f32(dots − z·Σq) · (d · dx) */
// @ts-ignore: decorator
@inline
function addPiece(sum: v128, dots: v128, sums: v128, d: v128, x: usize): v128 {
  const exact = i32x4.sub(dots, i32x4.mul(sums, v128.load32_splat(x, X_OFFSET)));
  return f32x4.add(sum, f32x4.mul(f32x4.convert_i32x4_s(exact), f32x4.mul(d, v128.load32_splat(x, X_SCALE))));
}

/** acc + w · x, for four columns: w as stored, in the baseline build also with its signs extended. */
// @ts-ignore: decorator
@inline
function dot(acc: v128, w: v128, x: v128): v128 {
  return i32x4.relaxed_dot_i8x16_i7x16_add_s(w, x, acc);
}
// @ts-ignore: decorator
@inline
function dotPairs(acc: v128, low: v128, high: v128, x0: v128, x1: v128): v128 {
  return i32x4.add(acc, i32x4.add(i32x4.dot_i16x8_s(low, x0), i32x4.dot_i16x8_s(high, x1)));
}
// @ts-ignore: decorator
@inline
function dotWide(acc: v128, w: v128, x0: v128, x1: v128): v128 {
  return dotPairs(acc, i16x8.extend_low_i8x16_s(w), i16x8.extend_high_i8x16_s(w), x0, x1);
}

/** Σ q·qx of a piece whose values begin at w; two chains, since a product waits for the one before. */
// @ts-ignore: decorator
@inline
function dotPiece(w: usize, x: usize): v128 {
  let a = i32x4.splat(0), b = a;
  if (ASC_FEATURE_RELAXED_SIMD) {
    a = dot(a, v128.load(w), v128.load32_splat(x));
    b = dot(b, v128.load(w, 16), v128.load32_splat(x, 4));
    a = dot(a, v128.load(w, 32), v128.load32_splat(x, 8));
    b = dot(b, v128.load(w, 48), v128.load32_splat(x, 12));
    a = dot(a, v128.load(w, 64), v128.load32_splat(x, 16));
    b = dot(b, v128.load(w, 80), v128.load32_splat(x, 20));
    a = dot(a, v128.load(w, 96), v128.load32_splat(x, 24));
    b = dot(b, v128.load(w, 112), v128.load32_splat(x, 28));
  } else {
    a = dotWide(a, v128.load(w), v128.load32_splat(x), v128.load32_splat(x, 4));
    b = dotWide(b, v128.load(w, 16), v128.load32_splat(x, 8), v128.load32_splat(x, 12));
    a = dotWide(a, v128.load(w, 32), v128.load32_splat(x, 16), v128.load32_splat(x, 20));
    b = dotWide(b, v128.load(w, 48), v128.load32_splat(x, 24), v128.load32_splat(x, 28));
    a = dotWide(a, v128.load(w, 64), v128.load32_splat(x, 32), v128.load32_splat(x, 36));
    b = dotWide(b, v128.load(w, 80), v128.load32_splat(x, 40), v128.load32_splat(x, 44));
    a = dotWide(a, v128.load(w, 96), v128.load32_splat(x, 48), v128.load32_splat(x, 52));
    b = dotWide(b, v128.load(w, 112), v128.load32_splat(x, 56), v128.load32_splat(x, 60));
  }
  return i32x4.add(a, b);
}

/** The four rows of the group at w with one token. */
// @ts-ignore: decorator
@inline
export function group8<T>(w: usize, x: usize, blocks: i32): v128 {
  let sum = f32x4.splat(0);
  const head = scaleBytes<T>();
  for (let b = 0; b < blocks; b++) {
    const dots = dotPiece(w + head + 8, x);
    sum = addPiece(sum, dots, v128.load_ext<i16>(w + head), scales<T>(w), x);
    w += pieceBytes8<T>();
    x += X_BLOCK;
  }
  return sum;
}

/** The eight rows of the groups at w and v with four tokens: out (4, 8) at a stride. */
// @ts-ignore: decorator
@inline
export function tile8<T>(out: usize, outStride: usize, w: usize, v: usize, x0: usize, xStride: usize, blocks: i32): void {
  const zero = i32x4.splat(0);
  const head = scaleBytes<T>();
  let x1 = x0 + xStride, x2 = x1 + xStride, x3 = x2 + xStride;
  let w0 = f32x4.splat(0), w1 = w0, w2 = w0, w3 = w0, v0 = w0, v1 = w0, v2 = w0, v3 = w0;
  for (let b = 0; b < blocks; b++) {
    let a0 = zero, a1 = zero, a2 = zero, a3 = zero, c0 = zero, c1 = zero, c2 = zero, c3 = zero;
    let p = w + head + 8, q = v + head + 8;
    for (const end = x0 + X_SCALE; x0 < end; ) {
      const a = v128.load(p), c = v128.load(q);
      if (ASC_FEATURE_RELAXED_SIMD) {
        let x = v128.load32_splat(x0);
        a0 = dot(a0, a, x); c0 = dot(c0, c, x);
        x = v128.load32_splat(x1);
        a1 = dot(a1, a, x); c1 = dot(c1, c, x);
        x = v128.load32_splat(x2);
        a2 = dot(a2, a, x); c2 = dot(c2, c, x);
        x = v128.load32_splat(x3);
        a3 = dot(a3, a, x); c3 = dot(c3, c, x);
        x0 += 4; x1 += 4; x2 += 4; x3 += 4;
      } else {
        const al = i16x8.extend_low_i8x16_s(a), ah = i16x8.extend_high_i8x16_s(a);
        const cl = i16x8.extend_low_i8x16_s(c), ch = i16x8.extend_high_i8x16_s(c);
        let x = v128.load32_splat(x0), y = v128.load32_splat(x0, 4);
        a0 = dotPairs(a0, al, ah, x, y); c0 = dotPairs(c0, cl, ch, x, y);
        x = v128.load32_splat(x1), y = v128.load32_splat(x1, 4);
        a1 = dotPairs(a1, al, ah, x, y); c1 = dotPairs(c1, cl, ch, x, y);
        x = v128.load32_splat(x2), y = v128.load32_splat(x2, 4);
        a2 = dotPairs(a2, al, ah, x, y); c2 = dotPairs(c2, cl, ch, x, y);
        x = v128.load32_splat(x3), y = v128.load32_splat(x3, 4);
        a3 = dotPairs(a3, al, ah, x, y); c3 = dotPairs(c3, cl, ch, x, y);
        x0 += 8; x1 += 8; x2 += 8; x3 += 8;
      }
      p += 16; q += 16;
    }
    // the x pointers stand at the ends of the values now
    let d = scales<T>(w), sums = v128.load_ext<i16>(w + head);
    w0 = addPiece(w0, a0, sums, d, x0 - X_SCALE); w1 = addPiece(w1, a1, sums, d, x1 - X_SCALE);
    w2 = addPiece(w2, a2, sums, d, x2 - X_SCALE); w3 = addPiece(w3, a3, sums, d, x3 - X_SCALE);
    d = scales<T>(v); sums = v128.load_ext<i16>(v + head);
    v0 = addPiece(v0, c0, sums, d, x0 - X_SCALE); v1 = addPiece(v1, c1, sums, d, x1 - X_SCALE);
    v2 = addPiece(v2, c2, sums, d, x2 - X_SCALE); v3 = addPiece(v3, c3, sums, d, x3 - X_SCALE);
    w += pieceBytes8<T>(); v += pieceBytes8<T>();
    x0 += 8; x1 += 8; x2 += 8; x3 += 8;
  }
  v128.store(out, w0); v128.store(out, v0, 16); out += outStride;
  v128.store(out, w1); v128.store(out, v1, 16); out += outStride;
  v128.store(out, w2); v128.store(out, v2, 16); out += outStride;
  v128.store(out, w3); v128.store(out, v3, 16);
}
