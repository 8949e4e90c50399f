// The ABI: every function that a host may call, all arguments numbers. Addresses are byte offsets in the exported
// memory, which the host lays out and grows; the module itself never allocates.

export { activations7, activations8 } from './activations';
export { add } from './add';
export { attention_f16, attention_f32, attention_q8_0 } from './attention';
export { append_f16, append_f32, append_q8_0 } from './cache';
export { embedding_bf16, embedding_f16, embedding_f32, embedding_q8_0, embedding_q8_f32 } from './embedding';
export {
  embedding_iq4_nl, embedding_iq4_xs, embedding_q2_k, embedding_q3_k, embedding_q4_0,
  embedding_q4_1, embedding_q4_k, embedding_q5_0, embedding_q5_1, embedding_q5_k, embedding_q6_k,
} from './embedding-blocks';
export { finite_bf16, finite_f16, finite_f32, finite_halves, finite_q8_0, finite_q8_f32 } from './finite';
export { useFours } from './fours';
export { crossEntropy } from './loss';
export { matmul_bf16, matmul_f16, matmul_f32 } from './matmul';
export {
  matmul_iq4_nl, matmul_iq4_xs, matmul_q2_k, matmul_q3_k, matmul_q4_1,
  matmul_q4_k, matmul_q5_0, matmul_q5_1, matmul_q5_k, matmul_q6_k,
  matmul_q4_0, matmul_q8_0, matmul_q8_f32,
} from './matmul-quantized';
export { relayout_q8_0, relayout_q8_f32 } from './relayout';
export {
  relayout_iq4_nl, relayout_iq4_xs, relayout_q2_k, relayout_q3_k, relayout_q4_0,
  relayout_q4_1, relayout_q4_k, relayout_q5_0, relayout_q5_1, relayout_q5_k, relayout_q6_k,
} from './relayout-blocks';
export { rmsnorm } from './rmsnorm';
export { rope, ropeTable } from './rope';
export { takeRows } from './rows';
export { addBias, penalize, sample, topLogprobs } from './sample';
export { swiglu } from './swiglu';

/** The first address that the host may use. */
export function heapBase(): usize {
  return __heap_base;
}
