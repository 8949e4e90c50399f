import { BLOCK, type DType, rowBytes } from './dtype.ts';

/** The kernels of gpu-plugin/kernels and what each takes: p an address, i an i32, f an f32, d an f64. */
export const KERNELS: Record<string, string> = {
  rmsnorm: 'pppif',
  round_activations: 'pppi',
  rope_table: 'ppiiidd',
  rope: 'pppii',
  swiglu: 'pppi',
  add: 'pppi',
  take_rows: 'pppi',
  spread: 'ppiii',
  cross_entropy: 'pppi',
  attention_combine: 'ppiii',
  rmsnorm_round: 'ppppif',
  sort_runs: 'ppi',
  merge_runs: 'ppi',
  sample_first: 'ppi',
  top_logprobs: 'ppppii',
  add_bias: 'pppi',
  penalize: 'pppifff',
  sample: 'pppififfd',
  finite_f32: 'ppii',
  finite_16: 'ppiii',
  matmul_f32: 'pppiii',
  narrow_scaled: 'pppii',
  gemm_sum: 'pppiiiii',
};
/** What all products on tensor cores take. */
export const GEMM = 'ppppiiiii';
for (const dtype of ['bf16', 'f16']) KERNELS[`gemm_nt_${dtype}`] = GEMM;
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

for (const dtype of Object.keys(BLOCK) as DType[]) {
  KERNELS[`embedding_${dtype}`] = 'pppiii';
  KERNELS[`narrow_${dtype}`] = 'ppi';
  if (dtype !== 'f32') KERNELS[`gemm_few_${dtype}`] = GEMM;
  if (isQuantised(dtype)) KERNELS[`planes_${dtype}`] = 'ppi';
  const tokens = isQuantised(dtype) ? 'pp' : 'p';
  for (const n of [1, 2]) {
    KERNELS[matvecName('', dtype, n)] = `ppppppiii${tokens}iii`;
    KERNELS[matvecName('gated_', dtype, n)] = `pppi${tokens}ii`;
  }
}
for (const dtype of ['f32', 'f16', 'q8_0']) {
  KERNELS[`append_${dtype}`] = 'ppppiii';
  KERNELS[`rope_append_${dtype}`] = 'ppppppppiiii';
  KERNELS[`attention_${dtype}`] = 'ppppppiiiiii';
  KERNELS[`attention_split_${dtype}`] = 'ppppppiiiiiii';
}

/** The kernel for n tokens, few, and weights of a format. */
export function matvecName(kind: '' | 'gated_', dtype: DType, n: number): string {
  return `matvec${isQuantised(dtype) ? '8' : ''}_${kind}${n === 1 ? 'one' : 'few'}_${dtype}`;
}

/** Bytes of dynamic shared memory that kernels are launched with, none if they are not here. */
export const SHARED_BYTES: Record<string, number> = {};
// gemm.cuh: four steps of 32 values of k of both sides of a tile
for (const name of ['nt_bf16', 'nt_f16', 'nn_bf16', 'tn_bf16'])
  SHARED_BYTES[`gemm_${name}`] = 4 * (128 + 256) * 64;
for (const dtype of Object.keys(BLOCK)) SHARED_BYTES[`gemm_few_${dtype}`] = 4 * (64 + 128) * 64;

/** flash_forward.cuh: rows of a tile of queries of up to `size` numbers. */
export const flashRows = (dtype: string, size: number): number => (dtype === 'f16' && size <= 128 ? 128 : 64);
/** The kernel for heads of headDim numbers, by what it has room for; none if there is none. */
export const flashSize = (headDim: number): number | undefined =>
  headDim % 16 === 0 ? [64, 128, 256].find(size => headDim <= size) : undefined;
for (const dtype of ['f32', 'f16', 'q8_0'])
  for (const size of [64, 128, 256]) {
    KERNELS[`flash_${size}_${dtype}`] = 'ppppppiiiiiii';
    // 16-bit tiles of queries, and two of 32 keys and of 32 values
    SHARED_BYTES[`flash_${size}_${dtype}`] = 2 * size * (flashRows(dtype, size) + 4 * 32);
  }
// of training: tiles of 64 rows of queries or keys, and of 32 of what passes by
for (const size of [64, 128])
  for (const name of ['flash_forward', 'flash_backward_q', 'flash_backward_kv'])
    SHARED_BYTES[`${name}_${size}`] = 2 * size * (2 * 64 + 2 * 32);
