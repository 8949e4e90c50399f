// The backends that suites run on. A suite is a function of a backend: a new one is a line here.

import type { Backend } from '../../host/backend.ts';
import { compileBuild } from '../../host/inlined.ts';
import { hasRelaxedDot } from '../../host/relaxed.ts';
import { Wasm } from '../../host/wasm.ts';
import { instantiate } from '../../host/wasm-kernels.ts';

export const BACKENDS: Record<string, () => Promise<Backend>> = {
  simd: async () => new Wasm(instantiate(await compileBuild('simd'))),
  ...(hasRelaxedDot() && { relaxed: async () => new Wasm(instantiate(await compileBuild('relaxed'))) }),
};
