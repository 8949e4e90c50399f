/**
 * Number formats of stored tensors. Quantised formats store 32 consecutive values of a row as one block; every
 * format is little-endian and rows follow one another without padding.
 *
 *     f32    4-byte floats
 *     f16    IEEE half floats
 *     bf16   the upper half of an f32
 *     q8_0   { f16 d; i8 q[32] }            value = q·d            (ggml Q8_0)
 *     q4_0   { f16 d; u8 q[16] }            value = (nibble−8)·d   (ggml Q4_0; low nibbles are values 0..15)
 *     q8_f32 { f32 d; i8 q[32] }            value = q·d            (llama2.c int8, group 32, interleaved at load)
 */
export type DType = 'f32' | 'f16' | 'bf16' | 'q8_0' | 'q4_0' | 'q8_f32';

/** Values and bytes of one block. */
export const BLOCK: Record<DType, { values: number; bytes: number }> = {
  f32: { values: 1, bytes: 4 },
  f16: { values: 1, bytes: 2 },
  bf16: { values: 1, bytes: 2 },
  q8_0: { values: 32, bytes: 34 },
  q4_0: { values: 32, bytes: 18 },
  q8_f32: { values: 32, bytes: 36 },
};

/** Bytes of four rows × 32 columns as the WASM kernels keep them (assembly/relayout.ts). */
export const GROUPED: Partial<Record<DType, number>> = { q8_0: 144, q8_f32: 152, q4_0: 72 };

/** Bytes that a tensor takes in WASM memory. */
export function memoryBytes({ dtype, rows, cols }: { dtype: DType; rows: number; cols: number }): number {
  const piece = GROUPED[dtype];
  return piece === undefined ? rows * rowBytes(dtype, cols) : Math.ceil(rows / 4) * (cols / 32) * piece;
}

/** Bytes of a row of `cols` values; `cols` is a multiple of the block's values. */
export function rowBytes(dtype: DType, cols: number): number {
  return (cols / BLOCK[dtype].values) * BLOCK[dtype].bytes;
}
