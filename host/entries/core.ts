// Cria without any input or output of its own: it takes compiled modules, and models as bytes.

import { type Cria, criaOn } from '../cria.ts';
import { OptionError } from '../errors.ts';
import { hasRelaxedDot } from '../relaxed.ts';
import { sha256 } from '../runtime/whole-hashes.ts';
import { NO_NAMES } from '../sources.ts';

export * from '../exports.ts';

/** The kernels, as the package's `cria/wasm/simd.wasm` and `cria/wasm/relaxed.wasm` compiled by the caller. */
export interface Modules {
  simd: WebAssembly.Module;
  /** Faster where the engine can compile it; the bits are the same. */
  relaxed?: WebAssembly.Module | undefined;
}

/**
 * Cria on modules that the caller has compiled. It computes in the calling thread and opens bytes and Blobs alone.
 * @throws OptionError 'option-type' if `simd` is no module
 */
export function createCria({ simd, relaxed }: Modules): Cria {
  // modules of another realm, as strict edge runtimes hand them in, are none by `instanceof`
  if (Object.prototype.toString.call(simd) !== '[object WebAssembly.Module]') {
    throw new OptionError('option-type', {
      where: 'createCria: simd',
      expected: 'a WebAssembly.Module',
      got: typeof simd,
      hint: 'Compile cria/wasm/simd.wasm, or import it where the bundler makes modules of such files.',
    });
  }
  return criaOn({
    kernels: async () => (relaxed && hasRelaxedDot() ? relaxed : simd),
    names: NO_NAMES,
    sha256,
  });
}
