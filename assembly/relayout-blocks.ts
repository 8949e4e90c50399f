// Stored blocks of small codes → groups of four rows (block-formats.ts), without loss. 32 columns of four rows are
// spread to a code a byte, transposed to four columns of all rows a vector, and packed into planes.

import {
  affine, headBytes, highBits, IQ4_NL, IQ4_XS, lowBits, pieceBytes, pieces, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0,
  Q5_1, Q5_K, Q6_K, scaleBytes, scaled32,
} from './block-formats';
import { byteMask, levels, maskOf, UNITS } from './codes';
import { high, highHalves, low, lowHalves } from './relayout';

/** Bytes of a block as stored. */
function storedBytes(format: i32): usize {
  switch (format) {
    case Q4_1: return 20;
    case Q5_0: return 22;
    case Q5_1: return 24;
    case Q4_K: return 144;
    case Q5_K: return 176;
    case Q6_K: return 210;
    case Q3_K: return 110;
    case Q2_K: return 84;
    case IQ4_XS: return 136;
    default: return 18;
  }
}

/** Where d stands in a stored block. */
function storedScale(format: i32): usize {
  if (format == Q6_K) return 208;
  if (format == Q3_K) return 108;
  return format == Q2_K ? 80 : 0;
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


/** Where columns 32j … 32j + 15 have their low bits in a stored block. */
function storedLow(format: i32, j: i32): usize {
  const quarter = <usize>(j >> 2), pair = <usize>(j >> 1);
  switch (format) {
    case Q4_1: return 4;
    case Q5_0: return 6;
    case Q5_1: return 8;
    case Q4_K: return 16 + (pair << 5);
    case Q5_K: return 48 + (pair << 5);
    case Q6_K: return (quarter << 6) + (<usize>(j & 1) << 5);
    case Q3_K: return 32 + (quarter << 5);
    case Q2_K: return 16 + (quarter << 5);
    case IQ4_XS: return 8 + (<usize>j << 4);
    default: return 2;
  }
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
function putScales(format: i32, out: usize, r: usize, block: usize, j: i32): void {
  const two = out + 2 * r;
  if (scaled32(format)) {
    store<u8>(out + r, six4K(block + 4, j, 0));
    store<u8>(out + r, six4K(block + 4, j, 4), 4);
  } else if (format == Q6_K) {
    store<u16>(two, load<u16>(block + 192 + (j << 1)));
  } else if (format == Q2_K) {
    store<u16>(two, load<u16>(block + (j << 1)));
  } else if (format == Q3_K) {
    store<i8>(two, <i8>six3K(block + 96, 2 * j));
    store<i8>(two, <i8>six3K(block + 96, 2 * j + 1), 1);
  } else if (format == IQ4_XS) {
    const lower = (<i32>load<u8>(block + 4 + (j >> 1)) >> ((j & 1) << 2)) & 15;
    const upper = (<i32>load<u16>(block + 2) >> (j << 1)) & 3;
    store<i8>(out + r, <i8>((lower | (upper << 4)) - 32));
  }
}

/** Sixteen codes of a block. */
// @ts-ignore: decorator
@inline
function codes16(
  block: usize, at: usize, below: i32, mask: v128, fifths: bool, upperBits: i32, upper: usize, belowUpper: i32, upperMask: v128,
  bits: i32,
): v128 {
  const codes = v128.and(i16x8.shr_u(v128.load(block + at), below), mask);
  if (!upperBits) return codes;
  if (fifths) return v128.or(codes, spread(block + upper));
  return v128.or(codes, i16x8.shl(v128.and(i16x8.shr_u(v128.load(block + upper), belowUpper), upperMask), bits));
}

/** Eight columns (codes.ts) from two vectors of four: of each code the `bits` from bit `from` on. */
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

/** Two quarters of 1 or 2 bits in one vector. */
// @ts-ignore: decorator
@inline
function twoQuarters(a: v128, b: v128, c: v128, d: v128, from: i32, bits: i32): v128 {
  return v128.or(quarter(a, b, from, bits), i16x8.shl(quarter(c, d, from, bits), bits * UNITS));
}

/** Sums of the levels of four rows, from a vector of four columns. */
// @ts-ignore: decorator
@inline
function levelSums(codes: v128): v128 {
  return i32x4.extadd_pairwise_i16x8_s(i16x8.extadd_pairwise_i8x16_s(i8x16.swizzle(levels(), codes)));
}

/** The planes of a piece, and the sums before them: columns 32j … 32j + 31 of the blocks a, b, c, d. */
// @ts-ignore: decorator
@inline
function codesOf(
  format: i32, bits: i32, upperBits: i32, levelled: bool, planes: usize, j: i32, a: usize, b: usize, c: usize, d: usize,
): void {
  const one = pieces(format) == 1, fifths = one && upperBits != 0, nibbles = one || format == IQ4_XS;
  const mask = byteMask(bits), upperMask = byteMask(upperBits);
  let at = storedLow(format, j);
  // bits of a byte that stand below the wanted ones
  let below = 0, belowUpper = j;
  // where upper bits stand
  let upper: usize = 0;
  if (bits == 2) below = (j & 3) << 1;
  else if (format == Q6_K) below = (j & 2) << 1;
  else if (!nibbles) below = (j & 1) << 2;
  if (format == Q6_K) {
    upper = 128 + (<usize>(j >> 2) << 5);
    belowUpper = (j & 3) << 1;
  } else if (fifths) {
    upper = at - 4;
  } else if (format == Q5_K) {
    upper = 16;
  }
  let lowPlane = planes, highPlane = planes + (<usize>bits << 4);
  let ones = i32x4.splat(0), sums = ones;
  for (let half = 0; half < 2; half++) {
    const va = codes16(a, at, below, mask, fifths, upperBits, upper, belowUpper, upperMask, bits);
    const vb = codes16(b, at, below, mask, fifths, upperBits, upper, belowUpper, upperMask, bits);
    const vc = codes16(c, at, below, mask, fifths, upperBits, upper, belowUpper, upperMask, bits);
    const vd = codes16(d, at, below, mask, fifths, upperBits, upper, belowUpper, upperMask, bits);
    const ab = low(va, vb), cd = low(vc, vd), ab2 = high(va, vb), cd2 = high(vc, vd);
    const v0 = lowHalves(ab, cd), v1 = highHalves(ab, cd), v2 = lowHalves(ab2, cd2), v3 = highHalves(ab2, cd2);
    if (bits == 4) {
      v128.store(lowPlane, quarter(v0, v1, 0, 4));
      v128.store(lowPlane, quarter(v2, v3, 0, 4), 16);
      lowPlane += 32;
    } else {
      v128.store(lowPlane, twoQuarters(v0, v1, v2, v3, 0, 2));
      lowPlane += 16;
    }
    if (upperBits == 2) {
      v128.store(highPlane, twoQuarters(v0, v1, v2, v3, 4, 2));
      highPlane += 16;
    } else if (upperBits) {
      const two = twoQuarters(i16x8.shr_u(v0, bits), i16x8.shr_u(v1, bits), i16x8.shr_u(v2, bits), i16x8.shr_u(v3, bits), 0, 1);
      if (half) v128.store(highPlane, v128.or(ones, i16x8.shl(two, 2 * UNITS)));
      else ones = two;
    }
    if (levelled) {
      sums = i32x4.add(sums, i32x4.add(i32x4.add(levelSums(v0), levelSums(v1)), i32x4.add(levelSums(v2), levelSums(v3))));
    }
    // of 16 bytes of nibbles the upper ones come next, otherwise the next 16 bytes
    if (nibbles) below = 4;
    else at += 16;
    upper += fifths ? 2 : 16;
  }
  if (levelled) v128.store64_lane(planes - 8, i16x8.narrow_i32x4_s(sums, sums), 0);
}

function putCodes(format: i32, planes: usize, j: i32, a: usize, b: usize, c: usize, d: usize): void {
  codesOf(format, lowBits(format), highBits(format), false, planes, j, a, b, c, d);
}

/** The same for formats of 4 bits: the most common, and faster without the others' cases. */
function putNibbles(format: i32, planes: usize, j: i32, a: usize, b: usize, c: usize, d: usize): void {
  codesOf(format, 4, 0, format == IQ4_NL || format == IQ4_XS, planes, j, a, b, c, d);
}

/** A block of zeros, for rows beyond the last. */
const ZEROS = memory.data(216, 4);

/** d, and what stands behind it where there is a min, of row r. */
// @ts-ignore: decorator
@inline
function putHead(out: usize, r: usize, block: usize, min: bool): void {
  store<u16>(out + 2 * r, load<u16>(block));
  if (min) store<u16>(out + 2 * r, load<u16>(block, 2), 8);
}

/** rows (count, cols) stored → out, ⌈count/4⌉ groups; rows beyond the last become 0 */
function relayout(format: i32, out: usize, rows: usize, count: i32, cols: i32): void {
  const perBlock = pieces(format), bytes = storedBytes(format), scale = storedScale(format);
  const min = affine(format), scales = scaleBytes(format), nibbles = lowBits(format) + highBits(format) == 4;
  const headSize = headBytes(format), pieceSize = pieceBytes(format);
  const stride = <usize>(cols / (32 * perBlock)) * bytes;
  for (let left = count; left > 0; left -= 4) {
    let a = rows, b = left > 1 ? a + stride : ZEROS, c = left > 2 ? b + stride : ZEROS;
    let d = left > 3 ? c + stride : ZEROS;
    const bStep = left > 1 ? bytes : 0, cStep = left > 2 ? bytes : 0, dStep = left > 3 ? bytes : 0;
    for (const end = a + stride; a < end; a += bytes) {
      putHead(out, 0, a + scale, min);
      putHead(out, 1, b + scale, min);
      putHead(out, 2, c + scale, min);
      putHead(out, 3, d + scale, min);
      out += headSize;
      for (let j = 0; j < perBlock; j++) {
        if (perBlock > 1) {
          putScales(format, out, 0, a, j);
          putScales(format, out, 1, b, j);
          putScales(format, out, 2, c, j);
          putScales(format, out, 3, d, j);
        }
        if (nibbles) putNibbles(format, out + scales, j, a, b, c, d);
        else putCodes(format, out + scales, j, a, b, c, d);
        out += pieceSize;
      }
      b += bStep; c += cStep; d += dStep;
    }
    rows += stride << 2;
  }
}

export function relayout_q4_0(out: usize, rows: usize, count: i32, cols: i32): void {
  relayout(Q4_0, out, rows, count, cols);
}
export function relayout_q4_1(out: usize, rows: usize, count: i32, cols: i32): void {
  relayout(Q4_1, out, rows, count, cols);
}
export function relayout_q5_0(out: usize, rows: usize, count: i32, cols: i32): void {
  relayout(Q5_0, out, rows, count, cols);
}
export function relayout_q5_1(out: usize, rows: usize, count: i32, cols: i32): void {
  relayout(Q5_1, out, rows, count, cols);
}
export function relayout_q2_k(out: usize, rows: usize, count: i32, cols: i32): void {
  relayout(Q2_K, out, rows, count, cols);
}
export function relayout_q3_k(out: usize, rows: usize, count: i32, cols: i32): void {
  relayout(Q3_K, out, rows, count, cols);
}
export function relayout_q4_k(out: usize, rows: usize, count: i32, cols: i32): void {
  relayout(Q4_K, out, rows, count, cols);
}
export function relayout_q5_k(out: usize, rows: usize, count: i32, cols: i32): void {
  relayout(Q5_K, out, rows, count, cols);
}
export function relayout_q6_k(out: usize, rows: usize, count: i32, cols: i32): void {
  relayout(Q6_K, out, rows, count, cols);
}
export function relayout_iq4_nl(out: usize, rows: usize, count: i32, cols: i32): void {
  relayout(IQ4_NL, out, rows, count, cols);
}
export function relayout_iq4_xs(out: usize, rows: usize, count: i32, cols: i32): void {
  relayout(IQ4_XS, out, rows, count, cols);
}
