// Written by scripts/build-kernels.ts into dist/host/train/kernels.js, base64.

/** The kernels of inference and of training, with baseline SIMD. */
export const train: string;
