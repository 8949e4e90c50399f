import { activationBits, type DType } from './dtype.ts';
import { decode, isStoredType } from './quantize/decode.ts';

/** The values of stored bytes (host/dtype.ts has the layouts), `count` of them. */
export function decodeRows(stored: Uint8Array, dtype: DType, count: number): Float64Array {
  if (dtype === 'q8_f32') return decodeQ8F32(stored, count);
  const type = dtype.toUpperCase();
  if (!isStoredType(type)) throw new RangeError(`${dtype} is no ggml type`);
  return Float64Array.from(decode(type, stored));
}

function decodeQ8F32(stored: Uint8Array, count: number): Float64Array {
  const view = new DataView(stored.buffer, stored.byteOffset, stored.byteLength);
  return Float64Array.from({ length: count }, (_, i) => {
    const block = 36 * (i >> 5);
    return view.getInt8(block + 4 + (i & 31)) * view.getFloat32(block, true);
  });
}

/**
 * `count` activations as the kernels see them beside weights of a format: unquantised weights leave them alone, small codes
 * meet 8-bit ones, signed bytes 7-bit ones with a zero point (assembly/activations.ts). Every step is rounded to f32.
 */
export function roundActivations(x: Float64Array, count: number, weights: DType): Float64Array {
  const bits = activationBits(weights);
  if (bits === undefined) return x;
  const round = bits === 8 ? round8 : round7;
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
