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
 * `count` activations as the kernels see them beside weights of a format: unquantised weights leave them alone, nibbles
 * meet 8-bit ones, bytes 7-bit ones with a zero point (assembly/activations.ts). Every step is rounded to f32.
 */
export function roundActivations(x: Float64Array, count: number, weights: DType): Float64Array {
  if (weights === 'f32' || weights === 'f16' || weights === 'bf16') return x;
  const round = weights === 'q4_0' ? round8 : round7;
  const out = new Float64Array(count);
  for (let at = 0; at < count; at += 32) out.set(round(Float32Array.from(x.subarray(at, at + 32))), at);
  return out;
}

const TINY = 1e-30;
const f = Math.fround;

function round8(x: Float32Array): number[] {
  const largest = Math.max(...x.map(Math.abs));
  if (largest <= TINY) return new Array(32).fill(0);
  const inverse = f(127 / largest);
  return Array.from(x, v => roundHalfEven(f(v * inverse)) * f(largest / 127));
}

function round7(x: Float32Array): number[] {
  const least = Math.min(...x, 0);
  const range = f(Math.max(...x, 0) - least);
  if (range <= TINY) return new Array(32).fill(0);
  const inverse = f(127 / range);
  const z = roundHalfEven(f(-least * inverse));
  return Array.from(x, v => {
    const q = Math.min(127, Math.max(0, roundHalfEven(f(v * inverse)) + z));
    return (q - z) * f(range / 127);
  });
}

function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}
