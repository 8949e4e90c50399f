// No module may be made from bytes, and no threads be started. Every module of the bundle must be one that the engine
// can compile, or the whole Worker fails.

import relaxed from '../../wasm/relaxed.wasm';
import simd from '../../wasm/simd.wasm';
import { hasRelaxedDot } from '../relaxed.ts';
import type { Runtime } from './runtime.ts';
import { names, sha256 } from './web.ts';

export const runtime: Runtime = {
  kernels: async () => (hasRelaxedDot() ? relaxed : simd),
  names,
  sha256,
};
