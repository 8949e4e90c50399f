import { relaxed, simd } from './kernels.js';

export type Build = 'simd' | 'relaxed';

const compiled = new Map<Build, Promise<WebAssembly.Module>>();

/** A release build of the kernels, compiled once a process. */
export function compileBuild(build: Build): Promise<WebAssembly.Module> {
  let module = compiled.get(build);
  if (!module) {
    const base64 = build === 'simd' ? simd : relaxed;
    module = WebAssembly.compile(Uint8Array.from(atob(base64), c => c.charCodeAt(0)));
    compiled.set(build, module);
  }
  return module;
}

/** The build that this engine runs best. All give the same bits. */
export function kernels(): Promise<WebAssembly.Module> {
  return compileBuild(hasRelaxedDot() ? 'relaxed' : 'simd');
}

// (module (func (export "f") (result i32)
//   (i32x4.extract_lane 0 (i32x4.relaxed_dot_i8x16_i7x16_add_s
//     (v128.const i8x16 -128 127 -3 5 …) (v128.const i8x16 127 1 2 3 …) (v128.const i32x4 1 …)))))
const lanes = (...values: number[]) => Array.from({ length: 16 }, (_, i) => values[i % values.length]! & 255);
const PROBE = Uint8Array.of(
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  ...[1, 5, 1, 0x60, 0, 1, 0x7f],
  ...[3, 2, 1, 0],
  ...[7, 5, 1, 1, 0x66, 0, 0],
  ...[10, 64, 1, 62, 0],
  ...[0xfd, 12, ...lanes(-128, 127, -3, 5)],
  ...[0xfd, 12, ...lanes(127, 1, 2, 3)],
  ...[0xfd, 12, ...lanes(1, 0, 0, 0)],
  ...[0xfd, 0x93, 2, 0xfd, 27, 0, 0x0b],
);
const PROBE_RESULT = -128 * 127 + 127 - 6 + 15 + 1;

/**
 * Whether the engine has the one relaxed instruction that the kernels use, and computes it right: Node 20 has it
 * behind a flag, and wrong. Where modules may not be made from bytes, its presence must do.
 */
export function hasRelaxedDot(): boolean {
  if (!WebAssembly.validate(PROBE)) return false;
  try {
    const { f } = new WebAssembly.Instance(new WebAssembly.Module(PROBE)).exports as { f: () => number };
    return f() === PROBE_RESULT;
  } catch {
    return true;
  }
}
