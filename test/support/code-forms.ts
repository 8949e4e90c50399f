/** Blocks of small codes as the kernels keep them: assembly/block-formats.ts and codes.ts in words of one value each. */

import type { CodesDType } from '../../host/dtype.ts';
import type { Build } from '../../host/inlined.ts';
import { IQ4_LEVELS } from '../../host/quantize/decode.ts';
import { unpackK3, unpackK4, unpackXs } from '../../host/quantize/packed-scales.ts';

interface Form {
  /** Where d, and behind it what stands for a min, are in a stored block. */
  halves: number;
  /** Whether there is something behind d. */
  min?: boolean;
  /** Pieces of 32 columns. */
  pieces: 1 | 8;
  /** Bits of the planes. */
  low: 2 | 4;
  high: 0 | 1 | 2;
  /** Bytes that a piece begins with, and what row r has there. */
  scales: number;
  put?: (block: Uint8Array, piece: number, r: number, out: Uint8Array) => void;
  /** The code of a column. */
  code: (block: Uint8Array, column: number) => number;
}

const bits = (block: Uint8Array, byte: number, shift: number, count: number): number =>
  (block[byte]! >> shift) & ((1 << count) - 1);

/** Of 32 columns, those from 16 on are the high nibbles. */
const nibble = (at: number) => (block: Uint8Array, c: number) =>
  bits(block, at + (c & 15), c & 16 ? 4 : 0, 4);
const fifth = (at: number) => (block: Uint8Array, c: number) => bits(block, at + (c >> 3), c & 7, 1) << 4;
/** Of 64 columns, those from 32 on are the high nibbles. */
const nibbleK = (at: number) => (block: Uint8Array, c: number) =>
  bits(block, at + 32 * (c >> 6) + (c & 31), c & 32 ? 4 : 0, 4);
/** Of 128 columns, each 32 are the next two bits. */
const twoK = (at: number) => (block: Uint8Array, c: number) =>
  bits(block, at + 32 * (c >> 7) + (c & 31), 2 * ((c >> 5) & 3), 2);

type Put = NonNullable<Form['put']>;

const perPiece: Put = (block, piece, r, out) => {
  out[r] = unpackK4(block, 4, piece, true);
  out[4 + r] = unpackK4(block, 4, piece, false);
};
const perHalf =
  (scale: (block: Uint8Array, half: number) => number): Put =>
  (block, piece, r, out) => {
    for (const half of [0, 1]) out[2 * r + half] = scale(block, 2 * piece + half);
  };

const FORMS: Record<CodesDType, Form> = {
  q4_0: { halves: 0, pieces: 1, low: 4, high: 0, scales: 0, code: nibble(2) },
  q4_1: { halves: 0, min: true, pieces: 1, low: 4, high: 0, scales: 0, code: nibble(4) },
  q5_0: {
    ...{ halves: 0, pieces: 1, low: 4, high: 1, scales: 0 },
    code: (block, c) => nibble(6)(block, c) | fifth(2)(block, c),
  },
  q5_1: {
    ...{ halves: 0, min: true, pieces: 1, low: 4, high: 1, scales: 0 },
    code: (block, c) => nibble(8)(block, c) | fifth(4)(block, c),
  },
  q4_k: { halves: 0, min: true, pieces: 8, low: 4, high: 0, scales: 8, put: perPiece, code: nibbleK(16) },
  q5_k: {
    ...{ halves: 0, min: true, pieces: 8, low: 4, high: 1, scales: 8, put: perPiece },
    code: (block, c) => nibbleK(48)(block, c) | (bits(block, 16 + (c & 31), c >> 5, 1) << 4),
  },
  q6_k: {
    ...{ halves: 208, pieces: 8, low: 4, high: 2, scales: 8 },
    put: perHalf((block, half) => block[192 + half]!),
    code: (block, c) => bits(block, 64 * (c >> 7) + (c & 63), c & 64 ? 4 : 0, 4) | (twoK(128)(block, c) << 4),
  },
  q3_k: {
    ...{ halves: 108, pieces: 8, low: 2, high: 1, scales: 8 },
    put: perHalf((block, half) => unpackK3(block, 96, half)),
    code: (block, c) => twoK(32)(block, c) | (bits(block, c & 31, c >> 5, 1) << 2),
  },
  q2_k: {
    ...{ halves: 80, min: true, pieces: 8, low: 2, high: 0, scales: 8 },
    put: perHalf((block, half) => block[half]!),
    code: twoK(16),
  },
  iq4_nl: {
    ...{ halves: 0, pieces: 1, low: 4, high: 0, scales: 8 },
    put: (block, piece, r, out) => putSum(FORMS.iq4_nl, block, piece, out, 2 * r),
    code: nibble(2),
  },
  iq4_xs: {
    ...{ halves: 0, pieces: 8, low: 4, high: 0, scales: 12 },
    put: (block, piece, r, out) => {
      out[r] = unpackXs(block, 2, piece);
      putSum(FORMS.iq4_xs, block, piece, out, 4 + 2 * r);
    },
    code: (block, c) => nibble(8 + 16 * (c >> 5))(block, c & 31),
  },
};

/** The sum of a piece's levels. */
function putSum({ code }: Form, block: Uint8Array, piece: number, out: Uint8Array, at: number): void {
  let sum = 0;
  for (let k = 0; k < 32; k++) sum += IQ4_LEVELS[code(block, 32 * piece + k)]!;
  out[at] = sum;
  out[at + 1] = sum >> 8;
}

/** Puts column k (0 … 31) of row r into a plane of `width` bits a code. */
function putBits(build: Build, plane: Uint8Array, width: number, r: number, k: number, value: number): void {
  const columns = build === 'relaxed' ? 4 : 2;
  const unit = Math.floor(k / columns);
  const units = (build === 'relaxed' ? 8 : 16) / width;
  const bit = width * (unit % units);
  const lane = columns * r + (k % columns);
  const byte = 16 * Math.floor(unit / units) + (build === 'relaxed' ? lane : 2 * lane + (bit >> 3));
  plane[byte]! |= value << (bit & 7);
}

/** Writes row r of a group's block. */
export function putCodes(
  build: Build,
  dtype: CodesDType,
  block: Uint8Array,
  r: number,
  out: Uint8Array,
): void {
  const { halves, min, pieces, low, high, scales, put, code } = FORMS[dtype];
  const head = min ? 16 : 8;
  out.set(block.subarray(halves, halves + 2), 2 * r);
  if (min) out.set(block.subarray(halves + 2, halves + 4), 8 + 2 * r);
  const bytes = scales + 16 * (low + high);
  for (let piece = 0; piece < pieces; piece++) {
    const target = out.subarray(head + piece * bytes, head + (piece + 1) * bytes);
    put?.(block, piece, r, target);
    const planes = target.subarray(scales);
    for (let k = 0; k < 32; k++) {
      const value = code(block, 32 * piece + k);
      putBits(build, planes, low, r, k, value & ((1 << low) - 1));
      if (high > 0) putBits(build, planes.subarray(16 * low), high, r, k, value >> low);
    }
  }
}
