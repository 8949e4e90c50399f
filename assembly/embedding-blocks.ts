// out[t] = table[tokens[t]] from groups of small codes (block-formats.ts): in f32 what the stored formats mean, with one
// rounding, that of the subtraction of a min.

import {
  affine, centre, headBytes, IQ4_NL, IQ4_XS, levelled, lowBits, pieceBytes, pieces, Q2_K, Q3_K, Q4_0, Q4_1,
  Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, scaleBytes, scaled16, scaled32, superblockBytes,
} from './block-formats';
import { aidOf, highQuarter, lowQuarter, maskOf, nextHigh, nextLow, unit, UNITS } from './codes';
import { halfToFloat } from './half';

/** Places that bring row r's values of a unit into the upper bytes of i32 lanes: all four, or two from `lane` on. */
// @ts-ignore: decorator
@inline
function placesOf(r: i32, lane: i32): v128 {
  const first = i8x16.splat(<i8>(4 * r));
  // -128 + 4r is still beyond the vector, which gives 0
  const one = ASC_FEATURE_RELAXED_SIMD
    ? i8x16(-128, -128, -128, 0, -128, -128, -128, 1, -128, -128, -128, 2, -128, -128, -128, 3)
    : lane
    ? i8x16(-128, -128, -128, -128, -128, -128, -128, -128, -128, -128, 0, 1, -128, -128, 2, 3)
    : i8x16(-128, -128, 0, 1, -128, -128, 2, 3, -128, -128, -128, -128, -128, -128, -128, -128);
  return i8x16.add(first, one);
}

/** What a row's codes are multiplied with in a half of a piece. */
// @ts-ignore: decorator
@inline
function scaleAt<T>(piece: usize, r: usize, half: usize): f32 {
  if (scaled32<T>()) return <f32>load<u8>(piece + r);
  if (idof<T>() == idof<IQ4_XS>()) return <f32>load<i8>(piece + r);
  if (idof<T>() == idof<Q2_K>()) return <f32>(load<u8>(piece + 2 * r + half) & 15);
  return scaled16<T>() ? <f32>load<i8>(piece + 2 * r + half) : 1;
}

// @ts-ignore: decorator
@inline
function minAt<T>(piece: usize, r: usize, half: usize): f32 {
  if (scaled32<T>()) return -<f32>load<u8>(piece + 4 + r);
  return scaled16<T>() ? -<f32>(load<u8>(piece + 2 * r + half) >> 4) : 1;
}

/** Four values of a row from codes in the upper bytes of i32 lanes. */
// @ts-ignore: decorator
@inline
function values<T>(codes: v128, d: v128, min: v128): v128 {
  const q = i32x4.shr_s(codes, ASC_FEATURE_RELAXED_SIMD ? 24 : 16);
  if (affine<T>()) return f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(q), d), min);
  const w = levelled<T>() ? q : i32x4.sub(q, i32x4.splat(1 << centre<T>()));
  return f32x4.mul(f32x4.convert_i32x4_s(w), d);
}

// @ts-ignore: decorator
@inline
function embedding<T>(out: usize, tokens: usize, table: usize, n: i32, cols: i32): void {
  const mask = maskOf(lowBits<T>()), aid = aidOf<T>();
  const superblocks = cols / (32 * pieces<T>());
  for (let t = 0; t < n; t++) {
    const token = load<u32>(tokens);
    const r = <usize>token & 3;
    const places = placesOf(<i32>r, 0), further = placesOf(<i32>r, 2);
    let p = table + <usize>(token >> 2) * superblocks * superblockBytes<T>();
    for (let s = 0; s < superblocks; s++) {
      const d = halfToFloat(load<u16>(p + 2 * r)), dmin = affine<T>() ? halfToFloat(load<u16>(p + 2 * r, 8)) : 0;
      p += headBytes<T>();
      for (let j = 0; j < pieces<T>(); j++) {
        for (let q = 0; q < 4; q++) {
          const scale = f32x4.splat(d * scaleAt<T>(p, r, q >> 1));
          const min = f32x4.splat(affine<T>() ? dmin * minAt<T>(p, r, q >> 1) : 0);
          let low = lowQuarter<T>(p + scaleBytes<T>(), q), high = highQuarter<T>(p + scaleBytes<T>(), q);
          for (let u = 0; u < UNITS; u += 2) {
            const a = i8x16.swizzle(unit<T>(low, high, 0, mask, aid), places);
            const b = i8x16.swizzle(unit<T>(low, high, 1, mask, aid), further);
            if (ASC_FEATURE_RELAXED_SIMD) {
              v128.store(out, values<T>(a, scale, min));
              v128.store(out, values<T>(b, scale, min), 16);
              out += 32;
            } else {
              v128.store(out, values<T>(v128.or(a, b), scale, min));
              out += 16;
              low = nextLow<T>(low);
              high = nextHigh<T>(high);
            }
          }
        }
        p += pieceBytes<T>();
      }
    }
    tokens += 4;
  }
}

/** tokens (n), table ⌈any/4⌉ groups, out (n, cols) */
export function embedding_q4_0(out: usize, tokens: usize, table: usize, n: i32, cols: i32): void {
  embedding<Q4_0>(out, tokens, table, n, cols);
}
export function embedding_q4_1(out: usize, tokens: usize, table: usize, n: i32, cols: i32): void {
  embedding<Q4_1>(out, tokens, table, n, cols);
}
export function embedding_q5_0(out: usize, tokens: usize, table: usize, n: i32, cols: i32): void {
  embedding<Q5_0>(out, tokens, table, n, cols);
}
export function embedding_q5_1(out: usize, tokens: usize, table: usize, n: i32, cols: i32): void {
  embedding<Q5_1>(out, tokens, table, n, cols);
}
export function embedding_q2_k(out: usize, tokens: usize, table: usize, n: i32, cols: i32): void {
  embedding<Q2_K>(out, tokens, table, n, cols);
}
export function embedding_q3_k(out: usize, tokens: usize, table: usize, n: i32, cols: i32): void {
  embedding<Q3_K>(out, tokens, table, n, cols);
}
export function embedding_q4_k(out: usize, tokens: usize, table: usize, n: i32, cols: i32): void {
  embedding<Q4_K>(out, tokens, table, n, cols);
}
export function embedding_q5_k(out: usize, tokens: usize, table: usize, n: i32, cols: i32): void {
  embedding<Q5_K>(out, tokens, table, n, cols);
}
export function embedding_q6_k(out: usize, tokens: usize, table: usize, n: i32, cols: i32): void {
  embedding<Q6_K>(out, tokens, table, n, cols);
}
export function embedding_iq4_nl(out: usize, tokens: usize, table: usize, n: i32, cols: i32): void {
  embedding<IQ4_NL>(out, tokens, table, n, cols);
}
export function embedding_iq4_xs(out: usize, tokens: usize, table: usize, n: i32, cols: i32): void {
  embedding<IQ4_XS>(out, tokens, table, n, cols);
}
