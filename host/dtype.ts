/**
 * Number formats of stored tensors. Quantised formats store 32 or 256 consecutive values of a row as one block; every
 * format is little-endian and rows follow one another without padding.
 *
 *     f32    4-byte floats
 *     f16    IEEE half floats
 *     bf16   the upper half of an f32
 *     q8_0   { f16 d; i8 q[32] }            value = q·d            (ggml Q8_0)
 *     q4_0   { f16 d; u8 q[16] }            value = (nibble−8)·d   (ggml Q4_0; low nibbles are values 0..15)
 *     q8_f32 { f32 d; i8 q[32] }            value = q·d            (llama2.c int8, group 32, interleaved at load)
 *
 * and the other block types of ggml that Llama files come in, laid out as host/quantize/decode.ts says.
 */
export type DType = 'f32' | 'f16' | 'bf16' | 'q8_0' | 'q8_f32' | CodesDType;

/** Formats that `assembly/block-formats.ts` describes. */
export type CodesDType =
  | 'q4_0'
  | 'q4_1'
  | 'q5_0'
  | 'q5_1'
  | 'q2_k'
  | 'q3_k'
  | 'q4_k'
  | 'q5_k'
  | 'q6_k'
  | 'iq4_nl'
  | 'iq4_xs';

/** Formats of the kv cache. */
export type CacheDType = 'f32' | 'f16' | 'q8_0';

/** Values and bytes of one block. @internal */
export const BLOCK: Record<DType, { values: number; bytes: number }> = {
  f32: { values: 1, bytes: 4 },
  f16: { values: 1, bytes: 2 },
  bf16: { values: 1, bytes: 2 },
  q8_0: { values: 32, bytes: 34 },
  q4_0: { values: 32, bytes: 18 },
  q8_f32: { values: 32, bytes: 36 },
  q4_1: { values: 32, bytes: 20 },
  q5_0: { values: 32, bytes: 22 },
  q5_1: { values: 32, bytes: 24 },
  q2_k: { values: 256, bytes: 84 },
  q3_k: { values: 256, bytes: 110 },
  q4_k: { values: 256, bytes: 144 },
  q5_k: { values: 256, bytes: 176 },
  q6_k: { values: 256, bytes: 210 },
  iq4_nl: { values: 32, bytes: 18 },
  iq4_xs: { values: 256, bytes: 136 },
};

/** Bytes of one block of four rows as the WASM kernels keep them (assembly/relayout.ts, assembly/block-formats.ts). @internal */
export const GROUPED: Partial<Record<DType, number>> = {
  q8_0: 144,
  q8_f32: 152,
  q4_0: 72,
  q4_1: 80,
  q5_0: 88,
  q5_1: 96,
  q2_k: 336,
  q3_k: 456,
  q4_k: 592,
  q5_k: 720,
  q6_k: 840,
  iq4_nl: 80,
  iq4_xs: 616,
};

/** Where half floats stand in a block: the numbers that may fail to be finite. @internal */
export const HALVES: Record<CodesDType, readonly number[]> = {
  q4_0: [0],
  q4_1: [0, 2],
  q5_0: [0],
  q5_1: [0, 2],
  q2_k: [80, 82],
  q3_k: [108],
  q4_k: [0, 2],
  q5_k: [0, 2],
  q6_k: [208],
  iq4_nl: [0],
  iq4_xs: [0],
};

/**
 * Bits to which activations are rounded when they meet weights of a format (assembly/activations.ts): 7 beside signed
 * bytes, 8 beside small codes. None beside floats.
 * @internal
 */
export function activationBits(weights: DType): 7 | 8 | undefined {
  if (weights === 'f32' || weights === 'f16' || weights === 'bf16') return undefined;
  return weights.startsWith('q8') || weights.startsWith('iq4') ? 7 : 8;
}

/** Bytes of a block of 32 rounded activations in the build that takes more (assembly/activations.ts). @internal */
export const ACTIVATION_BLOCK = 72;

/** Bytes that attention works in: 32 keys and as many values as f32, a largest score and a sum for each query. @internal */
export function attentionBytes(queries: number, headDim: number): number {
  return 2 * 32 * 16 * Math.ceil(headDim / 4) + 8 * queries;
}

/** Bytes that a tensor takes in WASM memory. @internal */
export function memoryBytes({ dtype, rows, cols }: { dtype: DType; rows: number; cols: number }): number {
  const block = GROUPED[dtype];
  if (block === undefined) return rows * rowBytes(dtype, cols);
  return Math.ceil(rows / 4) * (cols / BLOCK[dtype].values) * block;
}

/** Bytes of a row of `cols` values; `cols` is a multiple of the block's values. @internal */
export function rowBytes(dtype: DType, cols: number): number {
  return (cols / BLOCK[dtype].values) * BLOCK[dtype].bytes;
}
