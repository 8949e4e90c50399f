import { bf16Bits, f16Bits, f32Bits, writeU16 } from './floats.ts';

/** Stores the values from index `from` as the block that begins at byte `at`, whose bytes are 0. */
export type EncodeBlock = (x: Float32Array, from: number, block: Uint8Array, at: number) => void;

const f = Math.fround;

/** Of 32 values, the one with the largest magnitude. */
function extreme(x: Float32Array, from: number): number {
  let most = 0;
  let magnitude = 0;
  for (let i = from; i < from + 32; i++) {
    const a = Math.abs(x[i]!);
    if (a > magnitude) {
      magnitude = a;
      most = x[i]!;
    }
  }
  return most;
}

const inverse = (d: number): number => (d === 0 ? 0 : f(1 / d));

/**
 * 32 values in `bits` bits around zero: d = m / −2^(bits−1) for the value m of largest magnitude, so that m itself is
 * exact, and codes x / d + 2^(bits−1) to the nearest.
 */
function symmetric(bits: 4 | 5, x: Float32Array, from: number, block: Uint8Array, at: number): void {
  const zero = 2 ** (bits - 1);
  const d = f(extreme(x, from) / -zero);
  const id = inverse(d);
  writeU16(block, at, f16Bits(d));
  for (let i = 0; i < 32; i++) {
    putCode(bits, block, at + 2, i, Math.min(2 * zero - 1, f(f(x[from + i]! * id) + (zero + 0.5)) | 0));
  }
}

/** 32 values in `bits` bits from the smallest, m, to the largest: d = (max − m) / (2^bits − 1), codes (x − m) / d. */
function affine(bits: 4 | 5, x: Float32Array, from: number, block: Uint8Array, at: number): void {
  let min = x[from]!;
  let max = min;
  for (let i = from; i < from + 32; i++) {
    if (x[i]! < min) min = x[i]!;
    if (x[i]! > max) max = x[i]!;
  }
  const last = 2 ** bits - 1;
  const d = f(f(max - min) / last);
  const id = inverse(d);
  writeU16(block, at, f16Bits(d));
  writeU16(block, at + 2, f16Bits(min));
  for (let i = 0; i < 32; i++) {
    putCode(bits, block, at + 4, i, Math.min(last, f(f(f(x[from + i]! - min) * id) + 0.5) | 0));
  }
}

/** Code i of 32: its nibble, after the bits of weight 16 where there are five. */
function putCode(bits: 4 | 5, block: Uint8Array, at: number, i: number, code: number): void {
  let nibbles = at;
  if (bits === 5) {
    nibbles += 4;
    block[at + (i >> 3)]! |= (code >> 4) << (i & 7);
  }
  block[nibbles + (i & 15)]! |= (code & 15) << (4 * (i >> 4));
}

/**
 * The types whose codes follow from the smallest and largest value alone. Byte for byte what ggml's `quantize_row_*_ref`
 * write: every step is rounded to f32, in its order.
 */
export const SIMPLE: Record<
  'F32' | 'F16' | 'BF16' | 'Q8_0' | 'Q4_0' | 'Q4_1' | 'Q5_0' | 'Q5_1',
  EncodeBlock
> = {
  F32: (x, from, block, at) => {
    const bits = f32Bits(x[from]!);
    writeU16(block, at, bits);
    writeU16(block, at + 2, bits >>> 16);
  },
  F16: (x, from, block, at) => writeU16(block, at, f16Bits(x[from]!)),
  BF16: (x, from, block, at) => writeU16(block, at, bf16Bits(x[from]!)),
  // d = max|x| / 127, codes x / d rounded half away from zero
  Q8_0: (x, from, block, at) => {
    const d = f(Math.abs(extreme(x, from)) / 127);
    const id = inverse(d);
    writeU16(block, at, f16Bits(d));
    for (let i = 0; i < 32; i++) {
      const scaled = f(x[from + i]! * id);
      block[at + 2 + i] = scaled < 0 ? -((0.5 - scaled) | 0) : (0.5 + scaled) | 0;
    }
  },
  Q4_0: (x, from, block, at) => symmetric(4, x, from, block, at),
  Q4_1: (x, from, block, at) => affine(4, x, from, block, at),
  Q5_0: (x, from, block, at) => symmetric(5, x, from, block, at),
  Q5_1: (x, from, block, at) => affine(5, x, from, block, at),
};
