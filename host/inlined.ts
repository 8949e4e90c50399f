import { relaxed, simd } from './kernels.js';

export type Build = 'simd' | 'relaxed';

const compiled = new Map<Build, Promise<WebAssembly.Module>>();

/** A release build of the kernels, compiled once a process. */
export function compileBuild(build: Build): Promise<WebAssembly.Module> {
  let module = compiled.get(build);
  if (!module) {
    module = compileBase64(build === 'simd' ? simd : relaxed);
    compiled.set(build, module);
  }
  return module;
}

export function compileBase64(base64: string): Promise<WebAssembly.Module> {
  return WebAssembly.compile(bytesOf(base64));
}

/** A plain loop: `Uint8Array.from` with a function takes 10 ms longer in a fresh process. */
function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** The build that this engine runs best. All give the same bits. */
export function kernels(): Promise<WebAssembly.Module> {
  return compileBuild(hasRelaxedDot() ? 'relaxed' : 'simd');
}

// (module (func (export "f") (result i32)
//   (i32.add
//     (i32x4.extract_lane 0 (i32x4.relaxed_dot_i8x16_i7x16_add_s A B (v128.const i32x4 1 1 1 1)))
//     (i16x8.extract_lane_s 0 (i16x8.relaxed_dot_i8x16_i7x16_s A B)))))
// with A = (v128.const i8x16 -128 127 -3 5 …), B = (v128.const i8x16 127 1 2 3 …)
const lanes = (...values: number[]) => Array.from({ length: 16 }, (_, i) => values[i % values.length]! & 255);
const A = [0xfd, 12, ...lanes(-128, 127, -3, 5)];
const B = [0xfd, 12, ...lanes(127, 1, 2, 3)];
const CODE = [
  ...[...A, ...B, 0xfd, 12, ...lanes(1, 0, 0, 0), 0xfd, 0x93, 2, 0xfd, 27, 0],
  ...[...A, ...B, 0xfd, 0x92, 2, 0xfd, 24, 0],
  ...[0x6a, 0x0b],
];
const PROBE = Uint8Array.of(
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  ...[1, 5, 1, 0x60, 0, 1, 0x7f],
  ...[3, 2, 1, 0],
  ...[7, 5, 1, 1, 0x66, 0, 0],
  ...[10, CODE.length + 3, 1, CODE.length + 1, 0, ...CODE],
);
const PAIR = -128 * 127 + 127;
const PROBE_RESULT = PAIR - 6 + 15 + 1 + PAIR;

/**
 * Whether the engine has the two relaxed instructions that the kernels use, and computes them right: Node 20 has them
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
