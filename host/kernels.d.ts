// Written by scripts/build-kernels.ts into dist/host/kernels.js: the release builds of assembly/, as text (`text-bytes.ts`).

/** The bytes by their frequency, in hexadecimal. */
export const order: string;
/** Baseline SIMD, which every engine has. */
export const simd: string;
/** What makes of it the one with the relaxed integer dot product: see `patch.ts`. */
export const relaxedPatch: string;
