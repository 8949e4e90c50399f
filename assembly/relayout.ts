// Int8 weights as the kernels read them, made from stored rows while a file streams in: groups of four rows, and
// in a group one piece for every 32 columns, so that one stream brings scales and weights in the order of their use.
// A vector holds some columns of all four rows: products sum up in a lane a row.
//
//     q8_0   (144 bytes)   f16 d[4], i16 −Σq[4], i8 q[8][16]    four columns a vector; −Σq corrects for the
//     q8_f32 (152 bytes)   f32 d[4], i16 −Σq[4], i8 q[8][16]    activations' zero point
//
// Relaxed build: column k of row r stands in byte 4r + k.
// Baseline build, whose products take pairs of i16: columns 0, 1 of every row and then columns 2, 3, so that a sign
// extension gives pairs of a row.

const ZEROS = memory.data(36, 4);

/** The r-th of four rows of blocks that begin at `rows`; a row beyond the last is a block of zeros that does not move. */
// @ts-ignore: decorator
@inline
function rowAt(rows: usize, r: i32, left: i32, stride: usize): usize {
  return r < left ? rows + <usize>r * stride : ZEROS;
}

/** (a0 b0 a1 b1): the first halves of two rows of 32-bit lanes, interleaved. */
// @ts-ignore: decorator
@inline
export function low(a: v128, b: v128): v128 {
  return v128.shuffle<i32>(a, b, 0, 4, 1, 5);
}

// @ts-ignore: decorator
@inline
export function high(a: v128, b: v128): v128 {
  return v128.shuffle<i32>(a, b, 2, 6, 3, 7);
}

// @ts-ignore: decorator
@inline
export function lowHalves(a: v128, b: v128): v128 {
  return v128.shuffle<i64>(a, b, 0, 2);
}

// @ts-ignore: decorator
@inline
export function highHalves(a: v128, b: v128): v128 {
  return v128.shuffle<i64>(a, b, 1, 3);
}

/** Stores four columns of four rows, and gives the sum of each row. */
// @ts-ignore: decorator
@inline
function putBytes(out: usize, v: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) v128.store(out, v);
  else v128.store(out, v128.shuffle<i8>(v, v, 0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15));
  return i32x4.extadd_pairwise_i16x8_s(i16x8.extadd_pairwise_i8x16_s(v));
}

/** Sixteen columns of four rows. */
// @ts-ignore: decorator
@inline
function put16Columns(out: usize, a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = low(a, b), cd = low(c, d), ab2 = high(a, b), cd2 = high(c, d);
  const first = i32x4.add(putBytes(out, lowHalves(ab, cd)), putBytes(out + 16, highHalves(ab, cd)));
  const second = i32x4.add(putBytes(out + 32, lowHalves(ab2, cd2)), putBytes(out + 48, highHalves(ab2, cd2)));
  return i32x4.add(first, second);
}

/** Values and sums of a q8 piece from the values of four blocks. */
// @ts-ignore: decorator
@inline
function putPiece8(out: usize, a: usize, b: usize, c: usize, d: usize): void {
  let sums = put16Columns(out + 8, v128.load(a), v128.load(b), v128.load(c), v128.load(d));
  sums = i32x4.add(
    sums,
    put16Columns(out + 72, v128.load(a, 16), v128.load(b, 16), v128.load(c, 16), v128.load(d, 16)),
  );
  v128.store64_lane(out, i16x8.neg(i16x8.narrow_i32x4_s(sums, sums)), 0);
}

/** rows (count, cols/32) blocks { f16 d; i8 q[32] } → out, ⌈count/4⌉ groups; rows beyond the last become 0 */
export function relayout_q8_0(out: usize, rows: usize, count: i32, cols: i32): void {
  const blocks = cols >> 5;
  const stride = <usize>blocks * 34;
  for (let left = count; left > 0; left -= 4) {
    let a = rows, b = rowAt(rows, 1, left, stride), c = rowAt(rows, 2, left, stride), d = rowAt(rows, 3, left, stride);
    const bStep: usize = left > 1 ? 34 : 0, cStep: usize = left > 2 ? 34 : 0, dStep: usize = left > 3 ? 34 : 0;
    for (let i = 0; i < blocks; i++) {
      store<u16>(out, load<u16>(a));
      store<u16>(out, load<u16>(b), 2);
      store<u16>(out, load<u16>(c), 4);
      store<u16>(out, load<u16>(d), 6);
      putPiece8(out + 8, a + 2, b + 2, c + 2, d + 2);
      out += 144; a += 34; b += bStep; c += cStep; d += dStep;
    }
    rows += stride << 2;
  }
}

/** As `relayout_q8_0`, from blocks { f32 d; i8 q[32] } */
export function relayout_q8_f32(out: usize, rows: usize, count: i32, cols: i32): void {
  const blocks = cols >> 5;
  const stride = <usize>blocks * 36;
  for (let left = count; left > 0; left -= 4) {
    let a = rows, b = rowAt(rows, 1, left, stride), c = rowAt(rows, 2, left, stride), d = rowAt(rows, 3, left, stride);
    const bStep: usize = left > 1 ? 36 : 0, cStep: usize = left > 2 ? 36 : 0, dStep: usize = left > 3 ? 36 : 0;
    for (let i = 0; i < blocks; i++) {
      store<u32>(out, load<u32>(a));
      store<u32>(out, load<u32>(b), 4);
      store<u32>(out, load<u32>(c), 8);
      store<u32>(out, load<u32>(d), 12);
      putPiece8(out + 16, a + 4, b + 4, c + 4, d + 4);
      out += 152; a += 36; b += bStep; c += cStep; d += dStep;
    }
    rows += stride << 2;
  }
}
