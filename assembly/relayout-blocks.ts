// Stored blocks of small codes → groups of four rows (block-formats.ts), without loss. Sixteen columns of four rows are
// spread to a code a byte, transposed to four columns of all rows a vector, and packed into planes.

import {
  affine, headBytes, highBits, highPlane, IQ4_NL, IQ4_XS, levelled, lowBits, pieceBytes, pieces, Q2_K, Q3_K, Q4_0, Q4_1,
  Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, scaleBytes,
} from './block-formats';
import { byteMask, levels, maskOf, UNITS } from './codes';
import { high, highHalves, low, lowHalves } from './relayout';

/** Bytes of a block as stored. */
// @ts-ignore: decorator
@inline
function storedBytes<T>(): usize {
  if (idof<T>() == idof<Q4_1>()) return 20;
  if (idof<T>() == idof<Q5_0>()) return 22;
  if (idof<T>() == idof<Q5_1>()) return 24;
  if (idof<T>() == idof<Q4_K>()) return 144;
  if (idof<T>() == idof<Q5_K>()) return 176;
  if (idof<T>() == idof<Q6_K>()) return 210;
  if (idof<T>() == idof<Q3_K>()) return 110;
  if (idof<T>() == idof<Q2_K>()) return 84;
  return idof<T>() == idof<IQ4_XS>() ? 136 : 18;
}

/** Where d stands in a stored block. */
// @ts-ignore: decorator
@inline
function storedScale<T>(): usize {
  if (idof<T>() == idof<Q6_K>()) return 208;
  if (idof<T>() == idof<Q3_K>()) return 108;
  return idof<T>() == idof<Q2_K>() ? 80 : 0;
}

/** Nibbles, two bits or one of 16 bytes: the bits from `shift` on. */
// @ts-ignore: decorator
@inline
function field(p: usize, shift: i32, bits: i32): v128 {
  return v128.and(i16x8.shr_u(v128.load(p), shift), byteMask(bits));
}

/** 16 bits as bytes of 0 and 16. */
// @ts-ignore: decorator
@inline
function spread(p: usize): v128 {
  const bits = v128.load16_splat(p);
  const eight = v128.shuffle<i8>(bits, bits, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
  const one = i8x16(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128);
  return v128.and(i8x16.eq(v128.and(eight, one), one), i8x16.splat(16));
}

/** Columns 16k … 16k + 15 of a stored block. */
// @ts-ignore: decorator
@inline
function codes16<T>(block: usize, k: i32): v128 {
  const odd = <usize>(k & 1) << 4;
  if (idof<T>() == idof<Q4_1>()) return field(block + 4, k << 2, 4);
  if (idof<T>() == idof<Q5_0>()) return v128.or(field(block + 6, k << 2, 4), spread(block + 2 + (k << 1)));
  if (idof<T>() == idof<Q5_1>()) return v128.or(field(block + 8, k << 2, 4), spread(block + 4 + (k << 1)));
  if (idof<T>() == idof<Q4_0>() || idof<T>() == idof<IQ4_NL>()) return field(block + 2, k << 2, 4);
  if (idof<T>() == idof<IQ4_XS>()) return field(block + 8 + (<usize>(k >> 1) << 4), (k & 1) << 2, 4);
  if (idof<T>() == idof<Q4_K>()) return field(block + 16 + (<usize>(k >> 2) << 5) + odd, (k & 2) << 1, 4);
  if (idof<T>() == idof<Q5_K>()) {
    const nibbles = field(block + 48 + (<usize>(k >> 2) << 5) + odd, (k & 2) << 1, 4);
    return v128.or(nibbles, i16x8.shl(field(block + 16 + odd, k >> 1, 1), 4));
  }
  if (idof<T>() == idof<Q6_K>()) {
    const nibbles = field(block + (<usize>(k >> 3) << 6) + (<usize>(k & 3) << 4), k & 4, 4);
    return v128.or(nibbles, i16x8.shl(field(block + 128 + (<usize>(k >> 3) << 5) + odd, k & 6, 2), 4));
  }
  const pairs: usize = idof<T>() == idof<Q3_K>() ? 32 : 16;
  const two = field(block + pairs + (<usize>(k >> 3) << 5) + odd, k & 6, 2);
  return idof<T>() == idof<Q3_K>() ? v128.or(two, i16x8.shl(field(block + odd, k >> 1, 1), 2)) : two;
}

/** 6-bit number j of 16, of which bytes 0 … 7 have the low halves and bytes 8 … 11 the upper bits: less 32. */
// @ts-ignore: decorator
@inline
function six3K(p: usize, j: i32): i32 {
  const lower = (<i32>load<u8>(p + (j & 7)) >> ((j >> 3) << 2)) & 15;
  const upper = (<i32>load<u8>(p + 8 + (j & 3)) >> ((j >> 2) << 1)) & 3;
  return (lower | (upper << 4)) - 32;
}

/** Scale (`at` 0) or min (`at` 4) j of Q4_K and Q5_K: 6 bits; from the fifth on the upper two stand above another. */
// @ts-ignore: decorator
@inline
function six4K(p: usize, j: i32, at: usize): u32 {
  const first: u32 = load<u8>(p + at + (j & 3));
  if (j < 4) return first & 63;
  return ((<u32>load<u8>(p + 4 + j) >> <u32>at) & 15) | ((first >> 6) << 4);
}

/** The scales that row r keeps in piece j. */
// @ts-ignore: decorator
@inline
function putScales<T>(out: usize, r: usize, block: usize, j: i32): void {
  if (idof<T>() == idof<Q4_K>() || idof<T>() == idof<Q5_K>()) {
    store<u8>(out + r, six4K(block + 4, j, 0));
    store<u8>(out + r, six4K(block + 4, j, 4), 4);
  } else if (idof<T>() == idof<Q6_K>()) {
    store<u16>(out + 2 * r, load<u16>(block + 192 + (j << 1)));
  } else if (idof<T>() == idof<Q2_K>()) {
    store<u16>(out + 2 * r, load<u16>(block + (j << 1)));
  } else if (idof<T>() == idof<Q3_K>()) {
    store<i8>(out + 2 * r, <i8>six3K(block + 96, 2 * j));
    store<i8>(out + 2 * r, <i8>six3K(block + 96, 2 * j + 1), 1);
  } else if (idof<T>() == idof<IQ4_XS>()) {
    const lower = (<i32>load<u8>(block + 4 + (j >> 1)) >> ((j & 1) << 2)) & 15;
    const upper = (<i32>load<u16>(block + 2) >> (j << 1)) & 3;
    store<i8>(out + r, <i8>((lower | (upper << 4)) - 32));
  }
}

/** A quarter as in codes.ts, from its first and its second four columns: of each code the `bits` from bit `from` on. */
// @ts-ignore: decorator
@inline
function quarter(first: v128, second: v128, from: i32, bits: i32): v128 {
  const ones = byteMask(bits);
  if (ASC_FEATURE_RELAXED_SIMD) {
    const a = v128.and(i16x8.shr_u(first, from), ones), b = v128.and(i16x8.shr_u(second, from), ones);
    return v128.or(a, i16x8.shl(b, bits));
  }
  // columns 0 1 4 5 of every row, and 2 3 6 7, so that a column and the one four further on share a lane
  const even = v128.shuffle<i8>(first, second, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29);
  const odd = v128.shuffle<i8>(first, second, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
  const a = v128.and(i16x8.shr_u(even, from), ones), b = v128.and(i16x8.shr_u(odd, from), ones);
  const pairs = v128.or(a, i16x8.shl(b, bits));
  // the high byte's 2·bits move down to the low byte's
  return bits == 4 ? pairs : v128.and(v128.or(pairs, i16x8.shr_u(pairs, 8 - 2 * bits)), maskOf(4 * bits));
}

/** A plane from the eight vectors of a piece. */
// @ts-ignore: decorator
@inline
function putPlane(
  out: usize, from: i32, bits: i32, a: v128, b: v128, c: v128, d: v128, e: v128, f: v128, g: v128, h: v128,
): void {
  const q0 = quarter(a, b, from, bits), q1 = quarter(c, d, from, bits);
  const q2 = quarter(e, f, from, bits), q3 = quarter(g, h, from, bits);
  if (bits == 4) {
    v128.store(out, q0);
    v128.store(out, q1, 16);
    v128.store(out, q2, 32);
    v128.store(out, q3, 48);
  } else {
    const first = v128.or(q0, i16x8.shl(q1, bits * UNITS)), second = v128.or(q2, i16x8.shl(q3, bits * UNITS));
    if (bits == 2) {
      v128.store(out, first);
      v128.store(out, second, 16);
    } else {
      v128.store(out, v128.or(first, i16x8.shl(second, 2 * UNITS)));
    }
  }
}

/** Sums of the levels of four rows, from a vector of four columns. */
// @ts-ignore: decorator
@inline
function levelSums(codes: v128): v128 {
  return i32x4.extadd_pairwise_i16x8_s(i16x8.extadd_pairwise_i8x16_s(i8x16.swizzle(levels(), codes)));
}

/** Columns of a piece: 32j … 32j + 31 of four stored blocks. */
// @ts-ignore: decorator
@inline
function putCodes<T>(out: usize, a: usize, b: usize, c: usize, d: usize, j: i32): void {
  let va = codes16<T>(a, 2 * j), vb = codes16<T>(b, 2 * j), vc = codes16<T>(c, 2 * j), vd = codes16<T>(d, 2 * j);
  let ab = low(va, vb), cd = low(vc, vd), ab2 = high(va, vb), cd2 = high(vc, vd);
  const v0 = lowHalves(ab, cd), v1 = highHalves(ab, cd), v2 = lowHalves(ab2, cd2), v3 = highHalves(ab2, cd2);
  va = codes16<T>(a, 2 * j + 1), vb = codes16<T>(b, 2 * j + 1);
  vc = codes16<T>(c, 2 * j + 1), vd = codes16<T>(d, 2 * j + 1);
  ab = low(va, vb), cd = low(vc, vd), ab2 = high(va, vb), cd2 = high(vc, vd);
  const v4 = lowHalves(ab, cd), v5 = highHalves(ab, cd), v6 = lowHalves(ab2, cd2), v7 = highHalves(ab2, cd2);
  const planes = out + scaleBytes<T>();
  putPlane(planes, 0, lowBits<T>(), v0, v1, v2, v3, v4, v5, v6, v7);
  if (highBits<T>()) {
    putPlane(planes + highPlane<T>(), lowBits<T>(), highBits<T>(), v0, v1, v2, v3, v4, v5, v6, v7);
  }
  if (levelled<T>()) {
    const s = i32x4.add(i32x4.add(levelSums(v0), levelSums(v1)), i32x4.add(levelSums(v2), levelSums(v3)));
    const t = i32x4.add(i32x4.add(levelSums(v4), levelSums(v5)), i32x4.add(levelSums(v6), levelSums(v7)));
    const sums = i32x4.add(s, t);
    v128.store64_lane(planes - 8, i16x8.narrow_i32x4_s(sums, sums), 0);
  }
}

/** d, and what stands behind it where there is a min, of row r. */
// @ts-ignore: decorator
@inline
function putHead<T>(out: usize, r: usize, block: usize): void {
  store<u16>(out + 2 * r, load<u16>(block + storedScale<T>()));
  if (affine<T>()) store<u16>(out + 2 * r, load<u16>(block + storedScale<T>() + 2), 8);
}

/** A block of zeros, for rows beyond the last. */
const ZEROS = memory.data(216, 4);

/** rows (count, cols) stored → out, ⌈count/4⌉ groups; rows beyond the last become 0 */
// @ts-ignore: decorator
@inline
function relayout<T>(out: usize, rows: usize, count: i32, cols: i32): void {
  const superblocks = cols / (32 * pieces<T>());
  const bytes = storedBytes<T>(), stride = <usize>superblocks * bytes;
  for (let left = count; left > 0; left -= 4) {
    let a = rows, b = left > 1 ? a + stride : ZEROS, c = left > 2 ? b + stride : ZEROS;
    let d = left > 3 ? c + stride : ZEROS;
    const bStep = left > 1 ? bytes : 0, cStep = left > 2 ? bytes : 0, dStep = left > 3 ? bytes : 0;
    for (let i = 0; i < superblocks; i++) {
      putHead<T>(out, 0, a);
      putHead<T>(out, 1, b);
      putHead<T>(out, 2, c);
      putHead<T>(out, 3, d);
      out += headBytes<T>();
      for (let j = 0; j < pieces<T>(); j++) {
        putScales<T>(out, 0, a, j);
        putScales<T>(out, 1, b, j);
        putScales<T>(out, 2, c, j);
        putScales<T>(out, 3, d, j);
        putCodes<T>(out, a, b, c, d, j);
        out += pieceBytes<T>();
      }
      a += bytes; b += bStep; c += cStep; d += dStep;
    }
    rows += stride << 2;
  }
}

export function relayout_q4_0(out: usize, rows: usize, count: i32, cols: i32): void {
  relayout<Q4_0>(out, rows, count, cols);
}
export function relayout_q4_1(out: usize, rows: usize, count: i32, cols: i32): void {
  relayout<Q4_1>(out, rows, count, cols);
}
export function relayout_q5_0(out: usize, rows: usize, count: i32, cols: i32): void {
  relayout<Q5_0>(out, rows, count, cols);
}
export function relayout_q5_1(out: usize, rows: usize, count: i32, cols: i32): void {
  relayout<Q5_1>(out, rows, count, cols);
}
export function relayout_q2_k(out: usize, rows: usize, count: i32, cols: i32): void {
  relayout<Q2_K>(out, rows, count, cols);
}
export function relayout_q3_k(out: usize, rows: usize, count: i32, cols: i32): void {
  relayout<Q3_K>(out, rows, count, cols);
}
export function relayout_q4_k(out: usize, rows: usize, count: i32, cols: i32): void {
  relayout<Q4_K>(out, rows, count, cols);
}
export function relayout_q5_k(out: usize, rows: usize, count: i32, cols: i32): void {
  relayout<Q5_K>(out, rows, count, cols);
}
export function relayout_q6_k(out: usize, rows: usize, count: i32, cols: i32): void {
  relayout<Q6_K>(out, rows, count, cols);
}
export function relayout_iq4_nl(out: usize, rows: usize, count: i32, cols: i32): void {
  relayout<IQ4_NL>(out, rows, count, cols);
}
export function relayout_iq4_xs(out: usize, rows: usize, count: i32, cols: i32): void {
  relayout<IQ4_XS>(out, rows, count, cols);
}
