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
};
/** Formats whose weights meet few tokens as integers (matvec8.cu): the activations are rounded to eight bits then. */
export const INTEGER: DType[] = ['q8_0', 'q4_0', 'q4_k', 'q6_k'];
/** Formats that meet a single token in a kernel of its own (matvec.cu), and few in another. */
const FLOAT: DType[] = ['f32', 'f16', 'bf16'];
/** Formats whose rows a GPU has in planes (formats.cuh). */
export const PLANAR: DType[] = ['q8_0', 'q4_0', 'q6_k'];

for (const dtype of Object.keys(BLOCK) as DType[]) {
  KERNELS[`embedding_${dtype}`] = 'pppiii';
  KERNELS[`matmul_${dtype}`] = 'pppiii';
  const integer = INTEGER.includes(dtype);
  for (const count of integer || FLOAT.includes(dtype) ? ['one', 'few'] : ['few']) {
    const [name, tokens] = integer ? ['matvec8', 'pp'] : ['matvec', 'p'];
    KERNELS[`${name}_${count}_${dtype}`] = `ppppppiii${tokens}iii`;
    KERNELS[`${name}_gated_${count}_${dtype}`] = `pppi${tokens}ii`;
  }
}
for (const dtype of PLANAR) KERNELS[`planes_${dtype}`] = 'ppi';
for (const dtype of ['f32', 'f16', 'q8_0']) {
  KERNELS[`append_${dtype}`] = 'ppppiii';
  KERNELS[`rope_append_${dtype}`] = 'ppppppppiiii';
  KERNELS[`attention_${dtype}`] = 'ppppppiiiiii';
  KERNELS[`attention_split_${dtype}`] = 'ppppppiiiiiii';
}

/** The kernel for n tokens, few, and weights of a format. */
export function matvecName(kind: '' | 'gated_', dtype: DType, n: number): string {
  const integer = INTEGER.includes(dtype);
  const count = n === 1 && (integer || FLOAT.includes(dtype)) ? 'one' : 'few';
  return `${integer ? 'matvec8' : 'matvec'}_${kind}${count}_${dtype}`;
}

/** Bytes of dynamic shared memory that kernels are launched with, none if they are not here. */
export const SHARED_BYTES: Record<string, number> = {};
