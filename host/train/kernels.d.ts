// Written by scripts/build-kernels.ts into dist/host/train/kernels.js, as a patch of `simd` (see `patch.ts`), as text.

/** The kernels of inference and of training, with baseline SIMD. */
export const trainPatch: string;
