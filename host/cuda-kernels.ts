import { BLOCK, type DType } from './dtype.ts';

/** The kernels of gpu-plugin/kernels and what each takes: p an address, i an i32, f an f32, d an f64. */
export const KERNELS: Record<string, string> = {
  rmsnorm: 'pppif',
  round_activations: 'pppi',
  rope_table: 'ppiiidd',
  rope: 'pppii',
  swiglu: 'pppi',
  add: 'pppi',
  take_rows: 'pppi',
  cross_entropy: 'pppi',
  sort_logits: 'ppii',
  top_logprobs: 'ppppii',
  add_bias: 'pppi',
  penalize: 'pppifff',
  sample: 'pppififfd',
  finite_f32: 'ppii',
  finite_16: 'ppiii',
};
for (const dtype of Object.keys(BLOCK)) {
  KERNELS[`embedding_${dtype}`] = 'pppi';
  KERNELS[`matvec_${dtype}`] = 'pppiii';
  KERNELS[`matmul_${dtype}`] = 'pppiii';
}
/** Formats whose weights meet few tokens as integers (matvec8.cu): the activations are rounded to eight bits then. */
export const INTEGER: DType[] = ['q8_0', 'q4_0', 'q4_k', 'q6_k'];
for (const dtype of INTEGER) KERNELS[`matvec8_${dtype}`] = 'ppppiii';
for (const dtype of ['f32', 'f16', 'q8_0']) {
  KERNELS[`append_${dtype}`] = 'ppppiii';
  KERNELS[`attention_${dtype}`] = 'ppppppiiiiii';
}

/** Bytes of dynamic shared memory that kernels are launched with, none if they are not here. */
export const SHARED_BYTES: Record<string, number> = {};
