import { simd } from './kernels.js';

let compiled: Promise<WebAssembly.Module> | undefined;

/** The release kernels, compiled once a process. */
export function simdKernels(): Promise<WebAssembly.Module> {
  compiled ??= WebAssembly.compile(bytesOf(simd));
  return compiled;
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), c => c.charCodeAt(0));
}
