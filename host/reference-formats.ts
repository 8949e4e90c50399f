import type { DType } from './dtype.ts';
import { halfToNumber } from './half.ts';

/** The values of stored bytes (host/dtype.ts has the layouts), `count` of them. */
export function decodeRows(stored: Uint8Array, dtype: DType, count: number): Float64Array {
  const view = new DataView(stored.buffer, stored.byteOffset, stored.byteLength);
  const out = new Float64Array(count);
  for (let i = 0; i < count; i++) out[i] = DECODE[dtype](view, i);
  return out;
}

/** The value at index i of a tensor's stored bytes. */
const DECODE: Record<DType, (view: DataView, i: number) => number> = {
  f32: (view, i) => view.getFloat32(4 * i, true),
  f16: (view, i) => halfToNumber(view.getUint16(2 * i, true)),
  bf16: (view, i) => bfloatToNumber(view.getUint16(2 * i, true)),
  q8_0: (view, i) => {
    const block = 34 * (i >> 5);
    return view.getInt8(block + 2 + (i & 31)) * halfToNumber(view.getUint16(block, true));
  },
  q4_0: (view, i) => {
    const block = 18 * (i >> 5);
    const pair = view.getUint8(block + 2 + (i & 15));
    return ((i & 16 ? pair >> 4 : pair & 15) - 8) * halfToNumber(view.getUint16(block, true));
  },
  q8_f32: (view, i) => {
    const block = 36 * (i >> 5);
    return view.getInt8(block + 4 + (i & 31)) * view.getFloat32(block, true);
  },
};

function bfloatToNumber(bits: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, bits * 65536);
  return view.getFloat32(0);
}

/**
 * `count` activations as the kernels see them beside quantised weights: q·d per 32, d = max|x|/127 and
 * q = x·(127/max|x|) to the nearest, ties to even, every step rounded to f32.
 */
export function roundActivations(x: Float64Array, count: number): Float64Array {
  const out = new Float64Array(count);
  const f = Math.fround;
  for (let at = 0; at < count; at += 32) {
    let largest = 0;
    for (let i = 0; i < 32; i++) largest = Math.max(largest, Math.abs(f(x[at + i]!)));
    const d = f(largest / 127);
    const inverse = largest > 0 ? f(127 / largest) : 0;
    for (let i = 0; i < 32; i++) out[at + i] = roundHalfEven(f(f(x[at + i]!) * inverse)) * d;
  }
  return out;
}

function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}
