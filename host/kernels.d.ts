// Written by scripts/build-kernels.ts into dist/host/kernels.js.

/** The release build of assembly/, base64. */
export const simd: string;
