/**
 * Quantised weights and rounded activations as each build keeps them in memory, a value at a time: what the comments of
 * assembly/relayout.ts, assembly/block-formats.ts and assembly/activations.ts say, written a second time. The debug build keeps them as simd does.
 */

import { BLOCK, type CodesDType, GROUPED } from '../../host/dtype.ts';
import type { Build } from '../../host/inlined.ts';
import { putCodes } from './code-forms.ts';

export type { Build };

export type Quantized = Int8 | CodesDType;
type Int8 = 'q8_0' | 'q8_f32';

const isInt8 = (dtype: Quantized): dtype is Int8 => dtype === 'q8_0' || dtype === 'q8_f32';

/** Bytes of a scale. */
const SCALE: Record<Int8, number> = { q8_0: 2, q8_f32: 4 };

/** Where column k (0 … 31) of row r (0 … 3) stands in a piece, behind four scales and four sums of 16 bits. */
function place(build: Build, dtype: Int8, r: number, k: number): number {
  const vector = 4 * SCALE[dtype] + 8 + 16 * (k >> 2);
  return vector + (build === 'relaxed' ? 4 * r + (k & 3) : 8 * ((k >> 1) & 1) + 2 * r + (k & 1));
}

/** Stored rows as groups of four; rows that the last group lacks are 0. */
export function groupsOf(
  build: Build,
  dtype: Quantized,
  stored: Uint8Array,
  rows: number,
  cols: number,
): Uint8Array {
  const group = GROUPED[dtype]!;
  const { values, bytes } = BLOCK[dtype];
  const blocks = cols / values;
  const out = new Uint8Array(Math.ceil(rows / 4) * blocks * group);
  for (let row = 0; row < 4 * Math.ceil(rows / 4); row++) {
    for (let b = 0; b < blocks; b++) {
      const at = (row * blocks + b) * bytes;
      const block = row < rows ? stored.subarray(at, at + bytes) : new Uint8Array(bytes);
      const start = ((row >> 2) * blocks + b) * group;
      const target = out.subarray(start, start + group);
      if (isInt8(dtype)) putInt8(build, dtype, block, row & 3, target);
      else putCodes(build, dtype, block, row & 3, target);
    }
  }
  return out;
}

function putInt8(build: Build, dtype: Int8, block: Uint8Array, r: number, out: Uint8Array): void {
  const scale = SCALE[dtype];
  out.set(block.subarray(0, scale), scale * r);
  let sum = 0;
  for (let k = 0; k < 32; k++) {
    const byte = block[scale + k]!;
    out[place(build, dtype, r, k)] = byte;
    sum += (byte << 24) >> 24;
  }
  new DataView(out.buffer, out.byteOffset).setInt16(4 * scale + 2 * r, -sum, true);
}

/** [offset, bytes] of what a kernel may read for one row: its values and scales in int8 groups, else the whole group. */
export function partsOfRow(build: Build, dtype: Quantized, row: number, cols: number): [number, number][] {
  const group = GROUPED[dtype]!;
  const blocks = cols / BLOCK[dtype].values;
  if (!isInt8(dtype)) return [[(row >> 2) * blocks * group, blocks * group]];
  return Array.from({ length: blocks }, (_, b) => {
    const start = ((row >> 2) * blocks + b) * group;
    const values = Array.from({ length: 32 }, (_, k): [number, number] => {
      return [start + place(build, dtype, row & 3, k), 1];
    });
    return [[start + SCALE[dtype] * (row & 3), SCALE[dtype]] as [number, number], ...values];
  }).flat();
}

/** 32 rounded activations. */
export interface Rounded {
  q: number[];
  d: number;
  /** Σq of either half of 8-bit ones, the second in the upper 16 bits; the zero point of 7-bit ones. */
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
