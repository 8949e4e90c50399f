/**
 * Quantised weights and rounded activations as each build keeps them in memory, a value at a time: what the comments of
 * assembly/relayout.ts and assembly/activations.ts say, written a second time. The debug build keeps them as simd does.
 */

import { BLOCK, GROUPED } from '../../host/dtype.ts';
import type { Build } from '../../host/inlined.ts';

export type { Build };

export type Quantized = 'q8_0' | 'q8_f32' | 'q4_0';

/** Bytes of a scale. */
const SCALE: Record<Quantized, number> = { q8_0: 2, q8_f32: 4, q4_0: 2 };

/** Bytes of a piece before its values: four scales, and in int8 formats four sums of 16 bits. */
const header = (dtype: Quantized): number => 4 * SCALE[dtype] + (dtype === 'q4_0' ? 0 : 8);

/** Where column k (0 … 31) of row r (0 … 3) stands in a piece: a byte, and the lowest of its bits. */
function place(build: Build, dtype: Quantized, r: number, k: number): { byte: number; shift: number } {
  const at = header(dtype);
  if (dtype !== 'q4_0') {
    const vector = at + 16 * (k >> 2);
    const low = k & 1;
    return {
      byte: vector + (build === 'relaxed' ? 4 * r + (k & 3) : 8 * ((k >> 1) & 1) + 2 * r + low),
      shift: 0,
    };
  }
  const vector = at + 16 * (k >> 3);
  const column = k & 7;
  if (build === 'relaxed') return { byte: vector + 4 * r + (column & 3), shift: column < 4 ? 0 : 4 };
  const nibble = column >> 1;
  return { byte: vector + 4 * r + 2 * (column & 1) + (nibble >> 1), shift: 4 * (nibble & 1) };
}

/** Stored rows as groups of four; rows that the last group lacks are 0. */
export function groupsOf(
  build: Build,
  dtype: Quantized,
  stored: Uint8Array,
  rows: number,
  cols: number,
): Uint8Array {
  const piece = GROUPED[dtype]!;
  const blocks = cols / 32;
  const out = new Uint8Array(Math.ceil(rows / 4) * blocks * piece);
  const view = new DataView(out.buffer);
  for (let row = 0; row < rows; row++) {
    for (let b = 0; b < blocks; b++) {
      const block = stored.subarray((row * blocks + b) * BLOCK[dtype].bytes);
      const start = ((row >> 2) * blocks + b) * piece;
      out.set(block.subarray(0, SCALE[dtype]), start + SCALE[dtype] * (row & 3));
      let sum = 0;
      for (let k = 0; k < 32; k++) {
        const byte = block[SCALE[dtype] + (dtype === 'q4_0' ? k & 15 : k)]!;
        const { byte: at, shift } = place(build, dtype, row & 3, k);
        if (dtype === 'q4_0') out[start + at]! |= ((byte >> (k & 16 ? 4 : 0)) & 15) << shift;
        else out[start + at] = byte;
        sum += (byte << 24) >> 24;
      }
      if (dtype !== 'q4_0') view.setInt16(start + 4 * SCALE[dtype] + 2 * (row & 3), sum, true);
    }
  }
  return out;
}

/** [offset, bytes] of what groups hold of one row, its sums apart. */
export function partsOfRow(build: Build, dtype: Quantized, row: number, cols: number): [number, number][] {
  const piece = GROUPED[dtype]!;
  const r = row & 3;
  return Array.from({ length: cols / 32 }, (_, b) => {
    const start = ((row >> 2) * (cols / 32) + b) * piece;
    const values = Array.from({ length: 32 }, (_, k): [number, number] => {
      return [start + place(build, dtype, r, k).byte, 1];
    });
    return [[start + SCALE[dtype] * r, SCALE[dtype]] as [number, number], ...values];
  }).flat();
}

/** 32 rounded activations. */
export interface Rounded {
  q: number[];
  d: number;
  /** Σq of 8-bit ones, the zero point of 7-bit ones. */
  offset: number;
}

/** Bytes of a block of rounded activations. */
export const ACTIVATIONS: Record<Build, number> = { simd: 72, relaxed: 40 };

export function roundedBytes(build: Build, blocks: Rounded[]): Uint8Array {
  const bytes = ACTIVATIONS[build];
  const view = new DataView(new ArrayBuffer(bytes * blocks.length));
  for (const [b, { q, d, offset }] of blocks.entries()) {
    const start = bytes * b;
    for (const [i, value] of q.entries()) {
      if (build === 'relaxed') view.setInt8(start + i, value);
      else view.setInt16(start + 2 * i, value, true);
    }
    view.setFloat32(start + bytes - 8, d, true);
    view.setInt32(start + bytes - 4, offset, true);
  }
  return new Uint8Array(view.buffer);
}

/** The relaxed build's blocks of rounded activations as the simd build would have them. */
export function widened(relaxed: Uint8Array): Uint8Array {
  const view = new DataView(relaxed.buffer, relaxed.byteOffset, relaxed.byteLength);
  const blocks = Array.from({ length: relaxed.length / ACTIVATIONS.relaxed }, (_, b): Rounded => {
    const start = ACTIVATIONS.relaxed * b;
    return {
      q: Array.from({ length: 32 }, (_, i) => view.getInt8(start + i)),
      d: view.getFloat32(start + 32, true),
      offset: view.getInt32(start + 36, true),
    };
  });
  return roundedBytes('simd', blocks);
}
