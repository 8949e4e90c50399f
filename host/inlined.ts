import { StateError } from './errors.ts';
import { order, relaxedPatch, simd } from './kernels.js';
import { patched } from './patch.ts';
import { hasRelaxedDot } from './relaxed.ts';
import { bytesOf } from './text-bytes.ts';

export type Build = 'simd' | 'relaxed';

const compiled = new Map<Build, Promise<WebAssembly.Module>>();

/** A release build of the kernels, compiled once a process. */
export function compileBuild(build: Build): Promise<WebAssembly.Module> {
  let module = compiled.get(build);
  if (!module) {
    module = build === 'simd' ? compile(bytesOf(simd, order)) : compilePatched(relaxedPatch);
    compiled.set(build, module);
  }
  return module;
}

/** A build that is inlined as a patch of `simd`. */
export function compilePatched(patch: string): Promise<WebAssembly.Module> {
  return compile(patched(bytesOf(simd, order), bytesOf(patch, order)));
}

function compile(bytes: Uint8Array<ArrayBuffer>): Promise<WebAssembly.Module> {
  return WebAssembly.compile(bytes).catch(cause => {
    throw notCompiled(cause);
  });
}

/**
 * The build that this engine runs best. All give the same bits.
 * @throws StateError 'unsupported-runtime' where modules may not be made from bytes
 */
export function kernels(): Promise<WebAssembly.Module> {
  return compileBuild(hasRelaxedDot() ? 'relaxed' : 'simd');
}

function notCompiled(cause: unknown): StateError {
  return new StateError('unsupported-runtime', {
    where: 'the WebAssembly kernels',
    expected: 'an engine that has SIMD and makes modules from bytes',
    got: String(cause),
    hint: "Allow 'wasm-unsafe-eval' in the page's Content-Security-Policy, or compile cria/wasm/simd.wasm and use cria/core.",
    cause,
  });
}
