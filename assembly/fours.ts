// Whether the engine multiplies fours of bytes in one instruction. In the range that the kernels keep to, every engine
// gives the same; beyond it, two engines differ by what they are made of: an engine that has to make the product of pairs
// of bytes first (x86 before VNNI) lets each pair end at 32767.

const OPERAND = memory.data<i32>([0x7f7f7f7f, -1], 4);
/** 2 · 32767, where 4 · 127 · 255 = 129540 or, with the second operand's sign, −508 is the sum. */
const OF_PAIRS: i32 = 65534;

let known = false;
let fours = false;

/** For the relaxed build only. */
export function multipliesFours(): bool {
  if (!known) {
    known = true;
    const sum = i32x4.relaxed_dot_i8x16_i7x16_add_s(
      v128.load32_splat(OPERAND), v128.load32_splat(OPERAND, 4), i32x4.splat(0),
    );
    fours = i32x4.extract_lane(sum, 0) != OF_PAIRS;
  }
  return fours;
}

/**
 * Takes the one way (1) or the other (0) from now on, whatever the engine, or again the engine's own (−1): both give the same
 * bits, and the tests say so. The baseline build has no choice.
 */
export function useFours(yes: i32): void {
  if (!ASC_FEATURE_RELAXED_SIMD) return;
  known = yes >= 0;
  fours = yes > 0;
}
