// What each kernel takes and how much dynamic shared memory it is launched with.

/** An argument list, a letter an argument: p an address, i an i32, l an i64, f an f32, d an f64. */
export interface Signature {
  kinds: string;
  /** Bytes of dynamic shared memory. */
  shared: number;
}

const KINDS: Record<string, string> = {
  rmsnorm: 'pppif',
  round_activations: 'pppi',
  rope_table: 'ppiiidd',
  rope: 'pppii',
  swiglu: 'pppi',
  add: 'pppl',
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
  // of training
  zero: 'pl',
  matmul_backward_x: 'pppiii',
  matmul_backward_w: 'pppiii',
  embedding_backward: 'pppii',
  rmsnorm_backward: 'pppppif',
  rmsnorm_backward_w: 'ppppii',
  rope_backward: 'pppii',
  attention_forward: 'pppppiiii',
  attention_backward_q: 'ppppppppiiii',
  attention_backward_kv: 'ppppppppiiii',
  swiglu_backward: 'pppppi',
  cross_entropy_backward: 'ppppi',
  sum_squares: 'ppi',
  sum_parts: 'ppi',
  adamw: 'ppppifffffffff',
  flash_means: 'pppii',
};
const SHARED: Record<string, number> = {};

const FLOATS = ['f32', 'f16', 'bf16'];
const QUANTISED = [
  ...['q8_0', 'q8_f32', 'q4_0', 'q4_1', 'q5_0', 'q5_1', 'q2_k', 'q3_k', 'q4_k', 'q5_k', 'q6_k'],
  ...['iq4_nl', 'iq4_xs'],
];
const CACHES = ['f32', 'f16', 'q8_0'];

/** What all products on tensor cores take. */
const GEMM = 'ppppiiiii';
for (const name of ['gemm_nt_bf16', 'gemm_nt_f16', 'gemm_nn_bf16', 'gemm_tn_bf16']) {
  KINDS[name] = GEMM;
  // gemm.cuh: four steps of 32 values of k of both sides of a tile
  SHARED[name] = 4 * (128 + 256) * 64;
}
for (const dtype of [...FLOATS, ...QUANTISED]) {
  const quantised = QUANTISED.includes(dtype);
  KINDS[`embedding_${dtype}`] = 'pppiii';
  KINDS[`narrow_${dtype}`] = 'ppi';
  if (quantised) KINDS[`planes_${dtype}`] = 'ppi';
  if (dtype !== 'f32') {
    KINDS[`gemm_few_${dtype}`] = GEMM;
    SHARED[`gemm_few_${dtype}`] = 4 * (64 + 128) * 64;
  }
  const [matvec, tokens] = quantised ? ['matvec8', 'pp'] : ['matvec', 'p'];
  for (const count of ['one', 'few']) {
    KINDS[`${matvec}_${count}_${dtype}`] = `ppppppiii${tokens}iii`;
    KINDS[`${matvec}_gated_${count}_${dtype}`] = `pppi${tokens}ii`;
  }
}
for (const dtype of CACHES) {
  KINDS[`append_${dtype}`] = 'ppppiii';
  KINDS[`rope_append_${dtype}`] = 'ppppppppiiii';
  KINDS[`attention_${dtype}`] = 'ppppppiiiiii';
  KINDS[`attention_split_${dtype}`] = 'ppppppiiiiiii';
  for (const size of [64, 128, 256]) {
    const rows = dtype === 'f16' && size <= 128 ? 128 : 64;
    KINDS[`flash_${size}_${dtype}`] = 'ppppppiiiiiii';
    // 16-bit tiles of queries, and two of 32 keys and of 32 values
    SHARED[`flash_${size}_${dtype}`] = 2 * size * (rows + 4 * 32);
  }
}
for (const size of [64, 128]) {
  KINDS[`flash_forward_${size}`] = 'pppppiiii';
  KINDS[`flash_backward_q_${size}`] = 'pppppppiiii';
  KINDS[`flash_backward_kv_${size}`] = 'ppppppppiiii';
  // tiles of 64 rows of queries or keys, and of 32 of what passes by
  for (const name of ['flash_forward', 'flash_backward_q', 'flash_backward_kv'])
    SHARED[`${name}_${size}`] = 2 * size * (2 * 64 + 2 * 32);
}
// tensor cores by themselves (seam.cu)
Object.assign(KINDS, {
  seam_copy: 'ppii',
  seam_matrices: 'pp',
  seam_multiply_bf16: 'ppp',
  seam_multiply_half: 'ppp',
  seam_multiply_bytes: 'ppp',
  seam_numbers: 'ppp',
});

export const SIGNATURES: ReadonlyMap<string, Signature> = new Map(
  Object.entries(KINDS).map(([name, kinds]) => [name, { kinds, shared: SHARED[name] ?? 0 }]),
);
