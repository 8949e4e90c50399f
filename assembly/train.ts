// The ABI of training: that of index.ts, with which a model in training generates text, and what goes backward.

export * from './index';
export { adamw, sumSquares } from './adamw';
export { attentionBackward, attentionBytes, attentionForward } from './attention-train';
export { embeddingBackward } from './embedding';
export { gemmBytes } from './gemm';
export { crossEntropyBackward } from './loss';
export { matmulBackwardW, matmulBackwardX, matmulForward } from './matmul-train';
export { rmsnormBackward } from './rmsnorm';
export { ropeBackward } from './rope';
export { swigluBackward } from './swiglu';
