/** Reference quantisers of ggml's block formats (ggml-quants.c, the `_ref` functions), all arithmetic in f32. */

const f32 = new Float32Array(1);
const u32 = new Uint32Array(f32.buffer);

/** The bits of the half float nearest to `value`, ties to even. */
export function f16Bits(value: number): number {
  f32[0] = value;
  const sign = (u32[0]! >>> 16) & 0x8000;
  const x = Math.abs(f32[0]);
  if (Number.isNaN(x)) return 0x7e00;
  if (x >= 65520) return sign | 0x7c00;
  // Below 2^-14 halves are multiples of 2^-24; above, of 2^(exponent − 10).
  const exponent = Math.max(-14, Math.floor(Math.log2(x || 2 ** -24)));
  const units = x / 2 ** (exponent - 10);
  const floor = Math.floor(units);
  const rest = units - floor;
  const rounded = rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
  // A carry out of the mantissa moves into the exponent by itself.
  return sign | (((exponent + 14) << 10) + rounded);
}

/** The bits of the bfloat16 nearest to `value`, ties to even. */
export function bf16Bits(value: number): number {
  f32[0] = value;
  const bits = u32[0]!;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

function asBytes(values: ArrayLike<number>, bits: (value: number) => number): Uint8Array {
  return new Uint8Array(Uint16Array.from(values, bits).buffer);
}

/** Stores `values`, whose rows are whole blocks, in the format that GGUF calls `type`. */
export function quantize(type: string, values: Float32Array): Uint8Array {
  if (type === 'F32') return new Uint8Array(values.slice().buffer);
  if (type === 'F16') return asBytes(values, f16Bits);
  if (type === 'BF16') return asBytes(values, bf16Bits);
  if (type === 'Q8_0') return q8_0(values);
  if (type === 'Q4_0') return q4_0(values);
  throw new RangeError(`no quantiser for ${type}`);
}

/** { f16 d; i8 q[32] }: d = max|x| / 127, q = x / d rounded half away from zero. */
function q8_0(values: Float32Array): Uint8Array {
  const out = new Uint8Array((values.length / 32) * 34);
  const view = new DataView(out.buffer);
  for (let block = 0; block < values.length / 32; block++) {
    const x = values.subarray(block * 32, block * 32 + 32);
    const d = Math.fround(x.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 127);
    const inverse = d === 0 ? 0 : Math.fround(1 / d);
    view.setUint16(block * 34, f16Bits(d), true);
    for (let i = 0; i < 32; i++) {
      const scaled = Math.fround(x[i]! * inverse);
      view.setInt8(block * 34 + 2 + i, Math.sign(scaled) * Math.floor(Math.abs(scaled) + 0.5));
    }
  }
  return out;
}

/** { f16 d; u8 q[16] }: d = m / −8 for the value m of largest magnitude; byte i holds values i and i + 16. */
function q4_0(values: Float32Array): Uint8Array {
  const out = new Uint8Array((values.length / 32) * 18);
  const view = new DataView(out.buffer);
  for (let block = 0; block < values.length / 32; block++) {
    const x = values.subarray(block * 32, block * 32 + 32);
    const largest = x.reduce((most, value) => (Math.abs(value) > Math.abs(most) ? value : most), 0);
    const d = Math.fround(largest / -8);
    const inverse = d === 0 ? 0 : Math.fround(1 / d);
    const nibble = (value: number): number => {
      const shifted = Math.fround(Math.fround(value * inverse) + 8.5);
      return Math.min(15, Math.trunc(shifted));
    };
    view.setUint16(block * 18, f16Bits(d), true);
    for (let i = 0; i < 16; i++) out[block * 18 + 2 + i] = nibble(x[i]!) | (nibble(x[i + 16]!) << 4);
  }
  return out;
}
