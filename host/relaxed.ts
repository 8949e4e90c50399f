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
