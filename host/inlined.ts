import { StateError } from './errors.ts';
import { relaxedPatch, simd } from './kernels.js';
import { patched } from './patch.ts';
import { hasRelaxedDot } from './relaxed.ts';

export type Build = 'simd' | 'relaxed';

const compiled = new Map<Build, Promise<WebAssembly.Module>>();

/** A release build of the kernels, compiled once a process. */
export function compileBuild(build: Build): Promise<WebAssembly.Module> {
  let module = compiled.get(build);
  if (!module) {
    module = build === 'simd' ? compile(bytesOf(simd)) : compilePatched(relaxedPatch);
    compiled.set(build, module);
  }
  return module;
}

/** A build that is inlined as a patch of `simd`. */
export function compilePatched(patch: string): Promise<WebAssembly.Module> {
  return compile(patched(bytesOf(simd), bytesOf(patch)));
}

function compile(bytes: Uint8Array<ArrayBuffer>): Promise<WebAssembly.Module> {
  return WebAssembly.compile(bytes).catch(cause => {
    throw notCompiled(cause);
  });
}

/**
 * Hexadecimal, since what packs the package finds the repetitions of bytes in it: a quarter less than base64 then. A plain
 * loop: `Uint8Array.from` with a function takes 10 ms longer in a fresh process.
 */
function bytesOf(hex: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(hex.length >> 1);
  for (let i = 0; i < hex.length; i += 2) {
    bytes[i >> 1] = (digit(hex.charCodeAt(i)) << 4) | digit(hex.charCodeAt(i + 1));
  }
  return bytes;
}

/** The value of 0 … 9 and a … f. */
function digit(code: number): number {
  return code - (code < 0x3a ? 0x30 : 0x57);
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
