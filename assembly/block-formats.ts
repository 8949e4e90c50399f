// Block formats whose weights are small codes, as groups of four rows keep them. A superblock is a head and its
// pieces; a piece is 32 columns of the four rows:
//
//     head     f16 d[4], then f16 m[4] where the format has one (below: min)
//     piece    scales | low plane | high plane       a plane of b bits a code is 16·b bytes (codes.ts)
//
//     format    pieces  scales of a piece                   low + high bits   value of code q
//     Q4_0           1                                              4         (q − 8)·d
//     Q4_1           1                                              4         q·d + m
//     Q5_0           1                                              4 + 1     (q − 16)·d
//     Q5_1           1                                              4 + 1     q·d + m
//     Q4_K           8  u8 s[4], u8 m[4]                            4         q·(d·s) − dmin·m
//     Q5_K           8  u8 s[4], u8 m[4]                            4 + 1     q·(d·s) − dmin·m
//     Q6_K           8  i8 s[4][2], one for 16 columns              4 + 2     (q − 32)·(d·s)
//     Q3_K           8  i8 s[4][2]                                  2 + 1     (q − 4)·(d·s)
//     Q2_K           8  u8 (s | m << 4)[4][2]                       2         q·(d·s) − dmin·m
//     IQ4_NL         1  i16 Σw[4]                                   4         w·d,  w = level[q]
//     IQ4_XS         8  i8 s[4], i16 Σw[4]                          4         w·(d·s)
//
// Stored layouts and formulas: ggml-common.h, ggml-quants.c. A q is at most 63, so codes are the operand in 0 … 127
// and meet 8-bit activations; levels are signed bytes, which meet 7-bit ones.

/** Formats as arguments: run-time ones, or constants that the optimiser folds into a kernel of the format's own. */
export const Q4_0: i32 = 0;
export const Q4_1: i32 = 1;
export const Q5_0: i32 = 2;
export const Q5_1: i32 = 3;
export const Q4_K: i32 = 4;
export const Q5_K: i32 = 5;
export const Q6_K: i32 = 6;
export const Q3_K: i32 = 7;
export const Q2_K: i32 = 8;
export const IQ4_NL: i32 = 9;
export const IQ4_XS: i32 = 10;

/** Whether a scale and a min hold for 32 columns, as bytes. */
// @ts-ignore: decorator
@inline
export function scaled32(format: i32): bool {
  return format == Q4_K || format == Q5_K;
}

/** Whether a scale holds for 16 columns. */
// @ts-ignore: decorator
@inline
export function scaled16(format: i32): bool {
  return format == Q6_K || format == Q3_K || format == Q2_K;
}

/** Whether codes stand for levels. */
// @ts-ignore: decorator
@inline
export function levelled(format: i32): bool {
  return format == IQ4_NL || format == IQ4_XS;
}

/** Whether something is added to a code times its scale. */
// @ts-ignore: decorator
@inline
export function affine(format: i32): bool {
  return format == Q4_1 || format == Q5_1 || format == Q2_K || scaled32(format);
}

/** log₂ of what is subtracted from a code that is not `affine`. */
// @ts-ignore: decorator
@inline
export function centre(format: i32): i32 {
  if (format == Q6_K) return 5;
  if (format == Q5_0) return 4;
  return format == Q4_0 ? 3 : 2;
}

// @ts-ignore: decorator
@inline
export function pieces(format: i32): i32 {
  return scaled32(format) || scaled16(format) || format == IQ4_XS ? 8 : 1;
}

// @ts-ignore: decorator
@inline
export function headBytes(format: i32): usize {
  return affine(format) ? 16 : 8;
}

// @ts-ignore: decorator
@inline
export function scaleBytes(format: i32): usize {
  if (format == IQ4_XS) return 12;
  return scaled32(format) || scaled16(format) || format == IQ4_NL ? 8 : 0;
}

// @ts-ignore: decorator
@inline
export function lowBits(format: i32): i32 {
  return format == Q3_K || format == Q2_K ? 2 : 4;
}

// @ts-ignore: decorator
@inline
export function highBits(format: i32): i32 {
  if (format == Q6_K) return 2;
  return format == Q5_0 || format == Q5_1 || format == Q5_K || format == Q3_K ? 1 : 0;
}

/** Where the high plane begins in the planes. */
// @ts-ignore: decorator
@inline
export function highPlane(format: i32): usize {
  return <usize>lowBits(format) << 4;
}

// @ts-ignore: decorator
@inline
export function pieceBytes(format: i32): usize {
  return scaleBytes(format) + (<usize>(lowBits(format) + highBits(format)) << 4);
}

// @ts-ignore: decorator
@inline
export function superblockBytes(format: i32): usize {
  return headBytes(format) + <usize>pieces(format) * pieceBytes(format);
}
