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

export class Q4_0 {}
export class Q4_1 {}
export class Q5_0 {}
export class Q5_1 {}
export class Q4_K {}
export class Q5_K {}
export class Q6_K {}
export class Q3_K {}
export class Q2_K {}
export class IQ4_NL {}
export class IQ4_XS {}

// @ts-ignore: decorator
@inline
function is<T, U>(): bool {
  return idof<T>() == idof<U>();
}

/** Whether a scale and a min hold for 32 columns, as bytes. */
// @ts-ignore: decorator
@inline
export function scaled32<T>(): bool {
  return is<T, Q4_K>() || is<T, Q5_K>();
}

/** Whether a scale holds for 16 columns. */
// @ts-ignore: decorator
@inline
export function scaled16<T>(): bool {
  return is<T, Q6_K>() || is<T, Q3_K>() || is<T, Q2_K>();
}

/** Whether codes stand for levels. */
// @ts-ignore: decorator
@inline
export function levelled<T>(): bool {
  return is<T, IQ4_NL>() || is<T, IQ4_XS>();
}

/** Whether something is added to a code times its scale. */
// @ts-ignore: decorator
@inline
export function affine<T>(): bool {
  return is<T, Q4_1>() || is<T, Q5_1>() || is<T, Q2_K>() || scaled32<T>();
}

/** log₂ of what is subtracted from a code that is not `affine`. */
// @ts-ignore: decorator
@inline
export function centre<T>(): i32 {
  if (is<T, Q6_K>()) return 5;
  if (is<T, Q5_0>()) return 4;
  return is<T, Q4_0>() ? 3 : 2;
}

// @ts-ignore: decorator
@inline
export function pieces<T>(): i32 {
  return scaled32<T>() || scaled16<T>() || is<T, IQ4_XS>() ? 8 : 1;
}

// @ts-ignore: decorator
@inline
export function headBytes<T>(): usize {
  return affine<T>() ? 16 : 8;
}

// @ts-ignore: decorator
@inline
export function scaleBytes<T>(): usize {
  if (is<T, IQ4_XS>()) return 12;
  return scaled32<T>() || scaled16<T>() || is<T, IQ4_NL>() ? 8 : 0;
}

// @ts-ignore: decorator
@inline
export function lowBits<T>(): i32 {
  return is<T, Q3_K>() || is<T, Q2_K>() ? 2 : 4;
}

// @ts-ignore: decorator
@inline
export function highBits<T>(): i32 {
  if (is<T, Q6_K>()) return 2;
  return is<T, Q5_0>() || is<T, Q5_1>() || is<T, Q5_K>() || is<T, Q3_K>() ? 1 : 0;
}

/** Where the high plane begins in the planes. */
// @ts-ignore: decorator
@inline
export function highPlane<T>(): usize {
  return <usize>lowBits<T>() << 4;
}

// @ts-ignore: decorator
@inline
export function pieceBytes<T>(): usize {
  return scaleBytes<T>() + (<usize>(lowBits<T>() + highBits<T>()) << 4);
}

// @ts-ignore: decorator
@inline
export function superblockBytes<T>(): usize {
  return headBytes<T>() + <usize>pieces<T>() * pieceBytes<T>();
}
