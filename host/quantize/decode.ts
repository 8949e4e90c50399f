import { ggmlTypeNamed } from '../ggml-types.ts';
import { f16Value, f32FromBits, readU16 } from './floats.ts';
import { unpackK3, unpackK4, unpackXs } from './packed-scales.ts';

/** The types that Llama files come in, all of which can be read and written. */
export const STORED_TYPES = [
  'F32',
  'F16',
  'BF16',
  'Q8_0',
  'Q4_0',
  'Q4_1',
  'Q5_0',
  'Q5_1',
  'Q2_K',
  'Q3_K',
  'Q4_K',
  'Q5_K',
  'Q6_K',
  'IQ4_NL',
  'IQ4_XS',
] as const;
export type StoredType = (typeof STORED_TYPES)[number];

export function isStoredType(name: string): name is StoredType {
  return STORED_TYPES.some(type => type === name);
}

/** The 16 values of a nibble in IQ4_NL and IQ4_XS: denser near zero, as weights are (ggml-common.h, kvalues_iq4nl). */
export const IQ4_LEVELS: Int8Array = Int8Array.of(
  ...[-127, -104, -83, -65, -49, -35, -22, -10],
  ...[1, 13, 25, 38, 53, 69, 89, 113],
);

/** The values of the block that begins at byte `at`. */
type DecodeBlock = (block: Uint8Array, at: number, out: Float32Array, to: number) => void;

const half = (block: Uint8Array, at: number): number => f16Value(readU16(block, at));

/** Value i of 32 has the low nibble of byte i, or the high one of byte i − 16. */
const nibble32 = (block: Uint8Array, at: number, i: number): number =>
  i < 16 ? block[at + i]! & 15 : block[at + i - 16]! >> 4;

/** Bit i of a little-endian u32. */
const bit32 = (block: Uint8Array, at: number, i: number): number => (block[at + (i >> 3)]! >> (i & 7)) & 1;

/**
 * Block layouts and formulas of ggml-common.h and ggml-quants.c. All products are exact in a double, and in f32 as
 * well: a scale has 11 bits and what multiplies it at most 13. The one rounding is the subtraction's, on storing.
 */
const DECODE: Record<StoredType, DecodeBlock> = {
  F32: (block, at, out, to) => {
    out[to] = f32FromBits(readU16(block, at) | (readU16(block, at + 2) << 16));
  },
  F16: (block, at, out, to) => {
    out[to] = half(block, at);
  },
  BF16: (block, at, out, to) => {
    out[to] = f32FromBits(readU16(block, at) << 16);
  },
  // { f16 d; i8 q[32] }
  Q8_0: (block, at, out, to) => {
    const d = half(block, at);
    for (let i = 0; i < 32; i++) out[to + i] = d * ((block[at + 2 + i]! << 24) >> 24);
  },
  // { f16 d; u8 q[16] }
  Q4_0: (block, at, out, to) => {
    const d = half(block, at);
    for (let i = 0; i < 32; i++) out[to + i] = d * (nibble32(block, at + 2, i) - 8);
  },
  // { f16 d; f16 m; u8 q[16] }
  Q4_1: (block, at, out, to) => {
    const d = half(block, at);
    const m = half(block, at + 2);
    for (let i = 0; i < 32; i++) out[to + i] = d * nibble32(block, at + 4, i) + m;
  },
  // { f16 d; u8 fifthBits[4]; u8 q[16] }
  Q5_0: (block, at, out, to) => {
    const d = half(block, at);
    for (let i = 0; i < 32; i++) {
      out[to + i] = d * (nibble32(block, at + 6, i) + 16 * bit32(block, at + 2, i) - 16);
    }
  },
  // { f16 d; f16 m; u8 fifthBits[4]; u8 q[16] }
  Q5_1: (block, at, out, to) => {
    const d = half(block, at);
    const m = half(block, at + 2);
    for (let i = 0; i < 32; i++) {
      out[to + i] = d * (nibble32(block, at + 8, i) + 16 * bit32(block, at + 4, i)) + m;
    }
  },
  // { u8 scaleAndMin[16]; u8 q[64]; f16 d; f16 dmin }: value i of a half of 128 has bits 2(i/32).. of byte i % 32
  Q2_K: (block, at, out, to) => {
    const d = half(block, at + 80);
    const dmin = half(block, at + 82);
    for (let i = 0; i < 256; i++) {
      const scales = block[at + (i >> 4)]!;
      const q = (block[at + 16 + 32 * (i >> 7) + (i & 31)]! >> (2 * ((i >> 5) & 3))) & 3;
      out[to + i] = d * (scales & 15) * q - dmin * (scales >> 4);
    }
  },
  // { u8 high[32]; u8 q[64]; u8 scales[12]; f16 d }: q as in Q2_K; bit i/32 of high byte i % 32 spares it the −4
  Q3_K: (block, at, out, to) => {
    const d = half(block, at + 108);
    for (let i = 0; i < 256; i++) {
      const low = (block[at + 32 + 32 * (i >> 7) + (i & 31)]! >> (2 * ((i >> 5) & 3))) & 3;
      const high = (block[at + (i & 31)]! >> (i >> 5)) & 1;
      out[to + i] = d * unpackK3(block, at + 96, i >> 4) * (low + 4 * high - 4);
    }
  },
  // { f16 d; f16 dmin; u8 scalesAndMins[12]; u8 q[128] }: 64 values to 32 bytes, low nibbles first
  Q4_K: (block, at, out, to) => {
    const d = half(block, at);
    const dmin = half(block, at + 2);
    for (let j = 0; j < 8; j++) {
      const scale = d * unpackK4(block, at + 4, j, true);
      const min = dmin * unpackK4(block, at + 4, j, false);
      for (let i = 0; i < 32; i++) {
        const q = (block[at + 16 + 32 * (j >> 1) + i]! >> (4 * (j & 1))) & 15;
        out[to + 32 * j + i] = scale * q - min;
      }
    }
  },
  // as Q4_K with u8 fifthBits[32] before q: bit j of byte i belongs to value i of sub-block j
  Q5_K: (block, at, out, to) => {
    const d = half(block, at);
    const dmin = half(block, at + 2);
    for (let j = 0; j < 8; j++) {
      const scale = d * unpackK4(block, at + 4, j, true);
      const min = dmin * unpackK4(block, at + 4, j, false);
      for (let i = 0; i < 32; i++) {
        const low = (block[at + 48 + 32 * (j >> 1) + i]! >> (4 * (j & 1))) & 15;
        const high = (block[at + 16 + i]! >> j) & 1;
        out[to + 32 * j + i] = scale * (low + 16 * high) - min;
      }
    }
  },
  // { u8 low[128]; u8 high[64]; i8 scales[16]; f16 d }: in a half of 128, value i has a nibble of low byte i % 64 and
  // bits 2(i/32).. of high byte i % 32
  Q6_K: (block, at, out, to) => {
    const d = half(block, at + 208);
    for (let i = 0; i < 256; i++) {
      const low = (block[at + 64 * (i >> 7) + (i & 63)]! >> (4 * ((i >> 6) & 1))) & 15;
      const high = (block[at + 128 + 32 * (i >> 7) + (i & 31)]! >> (2 * ((i >> 5) & 3))) & 3;
      const scale = (block[at + 192 + (i >> 4)]! << 24) >> 24;
      out[to + i] = d * scale * ((low | (high << 4)) - 32);
    }
  },
  // { f16 d; u8 q[16] }
  IQ4_NL: (block, at, out, to) => {
    const d = half(block, at);
    for (let i = 0; i < 32; i++) out[to + i] = d * IQ4_LEVELS[nibble32(block, at + 2, i)]!;
  },
  // { f16 d; u8 scaleHighs[2]; u8 scaleLows[4]; u8 q[8][16] }
  IQ4_XS: (block, at, out, to) => {
    const d = half(block, at);
    for (let j = 0; j < 8; j++) {
      const scale = d * unpackXs(block, at + 2, j);
      for (let i = 0; i < 32; i++) {
        out[to + 32 * j + i] = scale * IQ4_LEVELS[nibble32(block, at + 8 + 16 * j, i)]!;
      }
    }
  },
};

/** The values of whole blocks of `type`: the f32 that ggml's `dequantize_row_*` give, bit for bit. */
export function decode(type: StoredType, stored: Uint8Array): Float32Array {
  const { values, bytes } = ggmlTypeNamed(type);
  const blocks = stored.length / bytes;
  const out = new Float32Array(blocks * values);
  for (let block = 0; block < blocks; block++) DECODE[type](stored, block * bytes, out, block * values);
  return out;
}
