import { BLOCK, type DType, rowBytes } from './dtype.ts';

/**
 * Bytes of the fields of a block: a GPU has rows of blocks in planes, a field each (formats.cuh), and they meet few tokens as integers
 * (matvec8.cu), whose activations are rounded to eight bits then.
 */
const FIELDS: Partial<Record<DType, number[]>> = {
  q8_0: [2, 32],
  q8_f32: [4, 32],
  q4_0: [2, 16],
  q4_1: [4, 16],
  q5_0: [2, 4, 16],
  q5_1: [4, 4, 16],
  q2_k: [16, 64, 4],
  q3_k: [32, 64, 12, 2],
  q4_k: [16, 128],
  q5_k: [16, 32, 128],
  q6_k: [128, 64, 16, 2],
  iq4_nl: [2, 16],
  iq4_xs: [8, 128],
};

export const isQuantised = (dtype: DType): boolean => dtype in FIELDS;

/** Bytes from a row to the next in a GPU's memory. */
export function strideOf(dtype: DType, cols: number): number {
  const blocks = cols / BLOCK[dtype].values;
  const planes = FIELDS[dtype]?.map(bytes => Math.ceil((blocks * bytes) / 16) * 16);
  return planes?.reduce((sum, bytes) => sum + bytes, 0) ?? rowBytes(dtype, cols);
}

/** The kernel for n tokens, few, and weights of a format. */
export function matvecName(kind: '' | 'gated_', dtype: DType, n: number): string {
  return `matvec${isQuantised(dtype) ? '8' : ''}_${kind}${n === 1 ? 'one' : 'few'}_${dtype}`;
}

/** flash_forward.cuh: rows of a tile of queries of up to `size` numbers. */
export const flashRows = (dtype: string, size: number): number => (dtype === 'f16' && size <= 128 ? 128 : 64);
/** The kernel for heads of headDim numbers, by what it has room for; none if there is none. */
export const flashSize = (headDim: number): number | undefined =>
  headDim % 16 === 0 ? [64, 128, 256].find(size => headDim <= size) : undefined;
