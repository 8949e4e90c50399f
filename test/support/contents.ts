/** Random contents of operands: finite numbers of every stored format, ids, and the sizes at which kernels go wrong. */

import { activationBits, BLOCK, type CodesDType, type DType, HALVES, rowBytes } from '../../host/dtype.ts';
import type { Random } from '../../host/random.ts';
import type { Quantized, Rounded } from './forms.ts';

/** An integer in low .. high, both included. */
export function integer(random: Random, low: number, high: number): number {
  return low + Math.floor(random.next() * (high - low + 1));
}

export function pick<T>(random: Random, from: readonly T[]): T {
  return from[Math.floor(random.next() * from.length)]!;
}

/** Lanes, unrolled steps and blocks of attention, and one beside each. */
const AWKWARD = [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65] as const;

/** A size in low .. high; half of the time an awkward one. */
export function size(random: Random, low: number, high: number): number {
  if (random.next() < 0.5) return integer(random, low, high);
  return Math.min(high, Math.max(low, pick(random, AWKWARD)));
}

/** 0 one time in sixteen, else 1 .. high. */
export function sizeOrNone(random: Random, high: number): number {
  return random.next() < 1 / 16 ? 0 : size(random, 1, high);
}

function bytesOf(numbers: Float32Array | Int32Array | Uint16Array): Uint8Array {
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}

/** Ordinary numbers mostly; also all zero, all equal, large, and so small that their squares vanish. */
export function floats(random: Random, count: number): Uint8Array {
  const signed = () => 2 * random.next() - 1;
  const equal = signed();
  const value = pick(random, [
    signed,
    signed,
    signed,
    signed,
    () => 0,
    () => equal,
    () => 1e4 * signed(),
    () => 1e-30 * signed(),
  ]);
  return bytesOf(Float32Array.from({ length: count }, value));
}

/** As `floats`; sometimes so far apart that their differences overflow. */
export function logits(random: Random, count: number): Uint8Array {
  if (random.next() < 7 / 8) return floats(random, count);
  return bytesOf(Float32Array.from({ length: count }, () => 6e38 * (random.next() - 0.5)));
}

export function int32(values: number[]): Uint8Array {
  return bytesOf(Int32Array.from(values));
}

/** Indexes below `limit`. */
export function indexes(random: Random, count: number, limit: number): number[] {
  return Array.from({ length: count }, () => integer(random, 0, limit - 1));
}

/** Different indexes below `limit`, in random order. */
export function distinct(random: Random, count: number, limit: number): number[] {
  const all = Array.from({ length: limit }, (_, i) => i);
  for (let i = 0; i < count; i++) {
    const j = integer(random, i, limit - 1);
    [all[i], all[j]] = [all[j]!, all[i]!];
  }
  return all.slice(0, count);
}

/** A finite half float, subnormal and negative ones included; magnitudes below 64, so that no sum overflows. */
function half(random: Random): number {
  return (integer(random, 0, 1) << 15) | integer(random, 0, 0x53ff);
}

/** Where the scales of a ggml block are. */
export function halvesOf(dtype: 'q8_0' | CodesDType): readonly number[] {
  return dtype === 'q8_0' ? [0] : HALVES[dtype];
}

/** Stored values of a format. Any bytes of a quantised block are legal, -128 included; its scale is finite. */
export function stored(random: Random, dtype: DType, rows: number, cols: number): Uint8Array {
  const bytes = rows * rowBytes(dtype, cols);
  if (dtype === 'f32') return floats(random, bytes / 4);
  if (dtype === 'f16') return bytesOf(Uint16Array.from({ length: bytes / 2 }, () => half(random)));
  if (dtype === 'bf16') {
    const upper = new Uint16Array(floats(random, bytes / 2).buffer).filter((_, i) => i % 2 === 1);
    return bytesOf(upper);
  }
  const data = Uint8Array.from({ length: bytes }, () => integer(random, 0, 255));
  const view = new DataView(data.buffer);
  for (let block = 0; block < bytes; block += BLOCK[dtype].bytes) {
    if (dtype === 'q8_f32') view.setFloat32(block, 2 * random.next() - 1, true);
    else for (const at of halvesOf(dtype)) view.setUint16(block + at, half(random), true);
  }
  return data;
}

/** The alignment that a format's blocks are owed. */
export function alignOf(dtype: DType): number {
  return dtype === 'f32' || dtype === 'q8_f32' ? 4 : 2;
}

/** Blocks of activations as they are rounded for a weight format; any value that a block can hold, its extremes too. */
export function roundedActivations(random: Random, weights: Quantized, blocks: number): Rounded[] {
  const eight = activationBits(weights) === 8;
  const [least, most] = eight ? [-127, 127] : [0, 127];
  return Array.from({ length: blocks }, () => {
    const extreme = random.next() < 1 / 8;
    const q = Array.from({ length: 32 }, () => {
      return extreme ? pick(random, [least, most]) : integer(random, least, most);
    });
    const sum = (from: number) => q.slice(from, from + 16).reduce((total, value) => total + value, 0);
    const zero = integer(random, 0, 127);
    return { q, d: random.next(), offset: eight ? (sum(16) << 16) | (sum(0) & 0xffff) : zero };
  });
}
