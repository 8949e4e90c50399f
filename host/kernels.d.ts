// Written by scripts/build-kernels.ts into dist/host/kernels.js: the release builds of assembly/, base64.

/** Baseline SIMD, which every engine has. */
export const simd: string;
/** With the relaxed integer dot product. */
export const relaxed: string;
