// Products of small codes in groups of four rows (block-formats.ts) with rounded activations. Inside 32 columns all is
// exact integers; pieces are summed in ascending order, in one of these forms:
//
//     sum ← sum + (f32(Σ q·qx) · D + f32(Σqx) · M) · dx           a scale and a min for 32 columns: D = d·s, M = ±m
//     sum ← sum + f32(Σ (q − centre)·qx) · (D · dx)               a scale for 32 columns
//     sum ← sum + f32(Σ w·qx − z·Σw) · (D · dx)                   levels w
//     sum ← sum + f32(Σ s·(q − centre)·qx) · (d · dx)             a scale for 16 columns: exact up to there
//     sum ← sum + (f32(Σ s·q·qx) · d − f32(Σ m·qx) · dmin) · dx   the same with mins

import { X_BLOCK, X_OFFSET, X_SCALE } from './activations';
import {
  affine, centre, headBytes, highBits, IQ4_XS, levelled, lowBits, pieceBytes, pieces, Q2_K, scaleBytes, scaled16, scaled32,
} from './block-formats';
import { aidOf, highQuarter, lowQuarter, maskOf, nextHigh, nextLow, unit, UNITS } from './codes';
import { halfToFloat4 } from './half';

/** 2ⁱ; read from memory for the reason given in half.ts. */
const POWERS = memory.data<i16>([1, 2, 4, 8, 16]);

/** d of the four rows. */
// @ts-ignore: decorator
@inline
function scaleOf(head: usize): v128 {
  return halfToFloat4(v128.load_ext<u16>(head));
}

/** What a min is multiplied with, or is. */
// @ts-ignore: decorator
@inline
function minOf<T>(head: usize): v128 {
  if (!affine<T>()) return f32x4.splat(0);
  const min = halfToFloat4(v128.load_ext<u16>(head, 8));
  return pieces<T>() == 1 ? min : f32x4.neg(min);
}

/** Four bytes as i32. */
// @ts-ignore: decorator
@inline
function bytes4<S>(p: usize): v128 {
  const v = v128.load32_zero(p);
  return isSigned<S>()
    ? i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(v))
    : i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v));
}

/** D of a piece. */
// @ts-ignore: decorator
@inline
function pieceScale<T>(w: usize, d: v128): v128 {
  if (scaled32<T>()) return f32x4.mul(d, f32x4.convert_i32x4_s(bytes4<u8>(w)));
  if (idof<T>() == idof<IQ4_XS>()) return f32x4.mul(d, f32x4.convert_i32x4_s(bytes4<i8>(w)));
  return d;
}

/** M of a piece; Σw of levels; a row's two scales, or its two mins, as i16. */
// @ts-ignore: decorator
@inline
function pieceMin<T>(w: usize, min: v128): v128 {
  if (scaled32<T>()) return f32x4.mul(min, f32x4.convert_i32x4_s(bytes4<u8>(w + 4)));
  if (levelled<T>()) return v128.load_ext<i16>(w + scaleBytes<T>() - 8);
  if (idof<T>() == idof<Q2_K>()) return i16x8.shr_u(v128.load_ext<u8>(w), 4);
  if (scaled16<T>()) return v128.load_ext<i8>(w);
  return min;
}

/** The scales of 16 columns: in the relaxed build each twice, as i16, in the other as i32. */
// @ts-ignore: decorator
@inline
function halfScale<T>(w: usize, half: i32): v128 {
  let both: v128;
  if (idof<T>() == idof<Q2_K>()) both = i16x8.shr_u(i16x8.shl(v128.load_ext<u8>(w), 12), 12);
  else both = v128.load_ext<i8>(w);
  if (!ASC_FEATURE_RELAXED_SIMD) return i32x4.shr_s(half ? both : i32x4.shl(both, 16), 16);
  const one = half ? i32x4.shr_u(both, 16) : i32x4.shl(both, 16);
  return v128.or(one, half ? i32x4.shl(one, 16) : i32x4.shr_u(one, 16));
}

/** sum + the product of a piece, from its integers and what `pieceScale` and `pieceMin` say. */
// @ts-ignore: decorator
@inline
function addPiece<T>(sum: v128, dots: v128, scale: v128, least: v128, min: v128, x: usize): v128 {
  const dx = v128.load32_splat(x, X_SCALE), offset = v128.load32_splat(x, X_OFFSET);
  if (affine<T>()) {
    const total = i32x4.dot_i16x8_s(offset, scaled16<T>() ? least : v128.load16_splat(POWERS));
    const product = f32x4.mul(f32x4.convert_i32x4_s(total), scaled16<T>() ? min : least);
    return f32x4.add(sum, f32x4.mul(f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(dots), scale), product), dx));
  }
  let excess: v128;
  if (levelled<T>()) excess = i32x4.mul(least, offset);
  else if (scaled16<T>()) excess = i32x4.shl(i32x4.dot_i16x8_s(offset, least), centre<T>());
  else excess = i32x4.dot_i16x8_s(offset, v128.load16_splat(POWERS + (<usize>centre<T>() << 1)));
  return f32x4.add(sum, f32x4.mul(f32x4.convert_i32x4_s(i32x4.sub(dots, excess)), f32x4.mul(scale, dx)));
}

/**
 * acc + w · x for a unit; x is a splat of its activations. In the relaxed build codes sum up in i16, two lanes a row, as
 * long as that holds them (`stage`). (Measured on a Zen 4, where the engine has no VNNI to use: 43 G multiply-adds/s
 * with nibbles against 28 for the i32 product, which takes five instructions there; with VNNI it would take one against
 * two.) A product of levels fills an i16 alone.
 */
// @ts-ignore: decorator
@inline
function dot<T>(acc: v128, w: v128, x: v128): v128 {
  if (!ASC_FEATURE_RELAXED_SIMD) return i32x4.add(acc, i32x4.dot_i16x8_s(w, x));
  if (levelled<T>()) return i32x4.add(acc, i32x4.extadd_pairwise_i16x8_s(i16x8.relaxed_dot_i8x16_i7x16_s(w, x)));
  return i16x8.add(acc, i16x8.relaxed_dot_i8x16_i7x16_s(x, w));
}

/**
 * Quarters of a piece after which `take` must take its sum: 2 · 127 · code a unit may reach 32767, and scales change
 * after two quarters.
 */
// @ts-ignore: decorator
@inline
function stage<T>(): i32 {
  if (ASC_FEATURE_RELAXED_SIMD && lowBits<T>() + highBits<T>() == 6) return 1;
  if (ASC_FEATURE_RELAXED_SIMD && lowBits<T>() + highBits<T>() == 5) return 2;
  return scaled16<T>() ? 2 : 4;
}

/** A sum of products of one half of the piece at w, or of both, as i32 a row, times the half's scale if it has one. */
// @ts-ignore: decorator
@inline
function take<T>(sum: v128, w: usize, half: i32): v128 {
  if (!ASC_FEATURE_RELAXED_SIMD) return scaled16<T>() ? i32x4.mul(sum, halfScale<T>(w, half)) : sum;
  if (scaled16<T>()) return i32x4.dot_i16x8_s(sum, halfScale<T>(w, half));
  return levelled<T>() ? sum : i32x4.extadd_pairwise_i16x8_s(sum);
}

/** acc + w · x for quarter q of the planes. */
// @ts-ignore: decorator
@inline
function dotQuarter<T>(acc: v128, planes: usize, q: i32, x: usize, mask: v128, aid: v128): v128 {
  let low = lowQuarter<T>(planes, q), high = highQuarter<T>(planes, q);
  x += <usize>(q * UNITS) << 2;
  acc = dot<T>(acc, unit<T>(low, high, 0, mask, aid), v128.load32_splat(x));
  acc = dot<T>(acc, unit<T>(low, high, 1, mask, aid), v128.load32_splat(x, 4));
  if (ASC_FEATURE_RELAXED_SIMD) return acc;
  low = nextLow<T>(low);
  high = nextHigh<T>(high);
  acc = dot<T>(acc, unit<T>(low, high, 0, mask, aid), v128.load32_splat(x, 8));
  return dot<T>(acc, unit<T>(low, high, 1, mask, aid), v128.load32_splat(x, 12));
}

/** The four rows of the group at w with one token; `blocks` of 32 columns. Not inlined: it is called in three places. */
export function groupOf<T>(w: usize, x: usize, blocks: i32): v128 {
  const mask = maskOf(lowBits<T>()), aid = aidOf<T>();
  let sum = f32x4.splat(0);
  for (; blocks > 0; blocks -= pieces<T>()) {
    const d = scaleOf(w), min = minOf<T>(w);
    w += headBytes<T>();
    for (let p = 0; p < pieces<T>(); p++) {
      const planes = w + scaleBytes<T>();
      // two chains, since a product waits for the one before
      let a = dotQuarter<T>(i32x4.splat(0), planes, 0, x, mask, aid);
      let c = dotQuarter<T>(i32x4.splat(0), planes, 2, x, mask, aid);
      if (stage<T>() == 1) {
        const b = dotQuarter<T>(i32x4.splat(0), planes, 1, x, mask, aid);
        const d = dotQuarter<T>(i32x4.splat(0), planes, 3, x, mask, aid);
        a = i32x4.add(take<T>(a, w, 0), take<T>(b, w, 0));
        c = i32x4.add(take<T>(c, w, 1), take<T>(d, w, 1));
      } else {
        a = take<T>(dotQuarter<T>(a, planes, 1, x, mask, aid), w, 0);
        c = take<T>(dotQuarter<T>(c, planes, 3, x, mask, aid), w, 1);
      }
      sum = addPiece<T>(sum, i32x4.add(a, c), pieceScale<T>(w, d), pieceMin<T>(w, min), min, x);
      w += pieceBytes<T>();
      x += X_BLOCK;
    }
  }
  return sum;
}

/** The eight rows of the groups at w and v with four tokens: out (4, 8) at a stride. */
export function tileOf<T>(
  out: usize, outStride: usize, w: usize, v: usize, x0: usize, xStride: usize, blocks: i32,
): void {
  const zero = i32x4.splat(0), mask = maskOf(lowBits<T>()), aid = aidOf<T>();
  let x1 = x0 + xStride, x2 = x1 + xStride, x3 = x2 + xStride;
  let w0 = f32x4.splat(0), w1 = w0, w2 = w0, w3 = w0, v0 = w0, v1 = w0, v2 = w0, v3 = w0;
  for (; blocks > 0; blocks -= pieces<T>()) {
    const dw = scaleOf(w), dv = scaleOf(v), minW = minOf<T>(w), minV = minOf<T>(v);
    w += headBytes<T>();
    v += headBytes<T>();
    for (let p = 0; p < pieces<T>(); p++) {
      const planesW = w + scaleBytes<T>(), planesV = v + scaleBytes<T>();
      let a0 = zero, a1 = zero, a2 = zero, a3 = zero, c0 = zero, c1 = zero, c2 = zero, c3 = zero;
      // what was taken of them so far
      let f0 = zero, f1 = zero, f2 = zero, f3 = zero, g0 = zero, g1 = zero, g2 = zero, g3 = zero;
      for (let q = 0; q < 4; q++) {
        let lowW = lowQuarter<T>(planesW, q), highW = highQuarter<T>(planesW, q);
        let lowV = lowQuarter<T>(planesV, q), highV = highQuarter<T>(planesV, q);
        for (let u = 0; u < UNITS; u += 2) {
          const k = unit<T>(lowW, highW, 0, mask, aid), l = unit<T>(lowW, highW, 1, mask, aid);
          const m = unit<T>(lowV, highV, 0, mask, aid), n = unit<T>(lowV, highV, 1, mask, aid);
          let x = v128.load32_splat(x0), y = v128.load32_splat(x0, 4);
          a0 = dot<T>(dot<T>(a0, k, x), l, y); c0 = dot<T>(dot<T>(c0, m, x), n, y);
          x = v128.load32_splat(x1), y = v128.load32_splat(x1, 4);
          a1 = dot<T>(dot<T>(a1, k, x), l, y); c1 = dot<T>(dot<T>(c1, m, x), n, y);
          x = v128.load32_splat(x2), y = v128.load32_splat(x2, 4);
          a2 = dot<T>(dot<T>(a2, k, x), l, y); c2 = dot<T>(dot<T>(c2, m, x), n, y);
          x = v128.load32_splat(x3), y = v128.load32_splat(x3, 4);
          a3 = dot<T>(dot<T>(a3, k, x), l, y); c3 = dot<T>(dot<T>(c3, m, x), n, y);
          x0 += 8; x1 += 8; x2 += 8; x3 += 8;
          if (!ASC_FEATURE_RELAXED_SIMD) {
            lowW = nextLow<T>(lowW); highW = nextHigh<T>(highW);
            lowV = nextLow<T>(lowV); highV = nextHigh<T>(highV);
          }
        }
        if (stage<T>() < 4 && (q & (stage<T>() - 1)) == stage<T>() - 1) {
          f0 = i32x4.add(f0, take<T>(a0, w, q & 2)); g0 = i32x4.add(g0, take<T>(c0, v, q & 2));
          f1 = i32x4.add(f1, take<T>(a1, w, q & 2)); g1 = i32x4.add(g1, take<T>(c1, v, q & 2));
          f2 = i32x4.add(f2, take<T>(a2, w, q & 2)); g2 = i32x4.add(g2, take<T>(c2, v, q & 2));
          f3 = i32x4.add(f3, take<T>(a3, w, q & 2)); g3 = i32x4.add(g3, take<T>(c3, v, q & 2));
          a0 = zero; a1 = zero; a2 = zero; a3 = zero; c0 = zero; c1 = zero; c2 = zero; c3 = zero;
        }
      }
      if (stage<T>() == 4) {
        f0 = take<T>(a0, w, 0); f1 = take<T>(a1, w, 0); f2 = take<T>(a2, w, 0); f3 = take<T>(a3, w, 0);
        g0 = take<T>(c0, v, 0); g1 = take<T>(c1, v, 0); g2 = take<T>(c2, v, 0); g3 = take<T>(c3, v, 0);
      }
      // the x pointers stand at the ends of the values now
      let d = pieceScale<T>(w, dw), m = pieceMin<T>(w, minW);
      w0 = addPiece<T>(w0, f0, d, m, minW, x0 - X_SCALE); w1 = addPiece<T>(w1, f1, d, m, minW, x1 - X_SCALE);
      w2 = addPiece<T>(w2, f2, d, m, minW, x2 - X_SCALE); w3 = addPiece<T>(w3, f3, d, m, minW, x3 - X_SCALE);
      d = pieceScale<T>(v, dv); m = pieceMin<T>(v, minV);
      v0 = addPiece<T>(v0, g0, d, m, minV, x0 - X_SCALE); v1 = addPiece<T>(v1, g1, d, m, minV, x1 - X_SCALE);
      v2 = addPiece<T>(v2, g2, d, m, minV, x2 - X_SCALE); v3 = addPiece<T>(v3, g3, d, m, minV, x3 - X_SCALE);
      w += pieceBytes<T>(); v += pieceBytes<T>();
      x0 += 8; x1 += 8; x2 += 8; x3 += 8;
    }
  }
  v128.store(out, w0); v128.store(out, v0, 16); out += outStride;
  v128.store(out, w1); v128.store(out, v1, 16); out += outStride;
  v128.store(out, w2); v128.store(out, v2, 16); out += outStride;
  v128.store(out, w3); v128.store(out, v3, 16);
}
