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

/** rows (count, cols/32) blocks of `scale` bytes of scale and i8 q[32] → out, ⌈count/4⌉ groups */
function relayout(out: usize, rows: usize, count: i32, cols: i32, scale: usize): void {
  const bytes = scale + 32;
  const stride = <usize>(cols >> 5) * bytes;
  for (let left = count; left > 0; left -= 4) {
    let a = rows, b = a + stride, c = b + stride, d = c + stride;
    let bStep = bytes, cStep = bytes, dStep = bytes;
    // a row beyond the last is a block of zeros that does not move
    if (left < 4) {
      d = ZEROS;
      dStep = 0;
      if (left < 3) {
        c = ZEROS;
        cStep = 0;
      }
      if (left < 2) {
        b = ZEROS;
        bStep = 0;
      }
    }
    for (const end = a + stride; a < end; a += bytes) {
      if (scale == 2) {
        store<u16>(out, load<u16>(a));
        store<u16>(out, load<u16>(b), 2);
        store<u16>(out, load<u16>(c), 4);
        store<u16>(out, load<u16>(d), 6);
      } else {
        store<u32>(out, load<u32>(a));
        store<u32>(out, load<u32>(b), 4);
        store<u32>(out, load<u32>(c), 8);
        store<u32>(out, load<u32>(d), 12);
      }
      out += scale << 2;
      let sums = i32x4.splat(0), q = scale;
      for (let half: usize = 0; half < 128; half += 64) {
        sums = i32x4.add(
          sums,
          put16Columns(out + half + 8, v128.load(a + q), v128.load(b + q), v128.load(c + q), v128.load(d + q)),
        );
        q += 16;
      }
      v128.store64_lane(out, i16x8.neg(i16x8.narrow_i32x4_s(sums, sums)), 0);
      out += 136; b += bStep; c += cStep; d += dStep;
    }
    rows += stride << 2;
  }
}

/** rows (count, cols/32) blocks { f16 d; i8 q[32] } → out, ⌈count/4⌉ groups; rows beyond the last become 0 */
export function relayout_q8_0(out: usize, rows: usize, count: i32, cols: i32): void {
  relayout(out, rows, count, cols, 2);
}
/** As `relayout_q8_0`, from blocks { f32 d; i8 q[32] } */
export function relayout_q8_f32(out: usize, rows: usize, count: i32, cols: i32): void {
  relayout(out, rows, count, cols, 4);
}
