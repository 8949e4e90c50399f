import { activationBits, BLOCK, type CacheDType, type DType, rowBytes } from './dtype.ts';
import { decode, isStoredType } from './quantize/decode.ts';
import { f16Bits, f32Bits } from './quantize/floats.ts';

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

/**
 * Numbers as a kv cache stores them, whole blocks (assembly/cache.ts): f16 to the nearest, ties to even; q8_0 as ggml
 * does, each step rounded to f32. A number beyond the largest half becomes the largest half, one that is not finite NaN.
 */
export function cacheRows(x: Float64Array, dtype: CacheDType): Uint8Array {
  const { values, bytes } = BLOCK[dtype];
  const view = new DataView(new ArrayBuffer(rowBytes(dtype, x.length)));
  for (let i = 0, at = 0; i < x.length; i += values, at += bytes) {
    if (dtype === 'f32') view.setUint32(at, f32Bits(x[i]!), true);
    else if (dtype === 'f16') view.setUint16(at, cacheHalf(x[i]!), true);
    else putQ8(Float32Array.from(x.subarray(i, i + values)), view, at);
  }
  return new Uint8Array(view.buffer);
}

const LARGEST_HALF = 65504;

function cacheHalf(x: number): number {
  if (!Number.isFinite(f(x))) return f16Bits(Number.NaN);
  return f16Bits(Math.min(LARGEST_HALF, Math.max(-LARGEST_HALF, x)));
}

/** { f16 d; i8 q[32] } with d = max|x| / 127 and q = x · (1 / d), ties away from zero */
function putQ8(x: Float32Array, block: DataView, at: number): void {
  const largest = Math.max(...x.map(Math.abs));
  const d = f(largest / 127);
  const inverse = largest > TINY ? f(1 / d) : 0;
  block.setUint16(at, cacheHalf(d), true);
  for (const [i, v] of x.entries()) {
    const scaled = f(v * inverse);
    block.setInt8(at + 2 + i, Math.sign(scaled) * Math.floor(Math.abs(scaled) + 0.5));
  }
}

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
