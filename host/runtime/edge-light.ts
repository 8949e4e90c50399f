// As on Workers; but the engines of some are too old for relaxed SIMD, and a module that cannot be compiled breaks all.

import simd from '../../wasm/simd.wasm?module';
import type { Runtime } from './runtime.ts';
import { names, sha256 } from './web.ts';

export const runtime: Runtime = {
  kernels: async () => simd,
  names,
  sha256,
};
