import type { DType } from '../../host/dtype.ts';
import { halfToNumber } from '../../host/half.ts';
import { isStoredType } from '../../host/quantize/decode.ts';
import { encode as encodeAs } from '../../host/quantize/encode.ts';
import { quantize } from './quantize.ts';

/** `values` as the bytes of a stored format, ours included. */
export function encode(values: Float32Array, dtype: DType): Uint8Array {
  const type = dtype.toUpperCase();
  if (isStoredType(type)) return encodeAs(type, values);
  const q8 = quantize('Q8_0', values);
  const from = new DataView(q8.buffer);
  const out = new Uint8Array((q8.length / 34) * 36);
  for (let b = 0; b < q8.length / 34; b++) {
    new DataView(out.buffer).setFloat32(36 * b, halfToNumber(from.getUint16(34 * b, true)) * 1.0001, true);
    out.set(q8.subarray(34 * b + 2, 34 * b + 34), 36 * b + 4);
  }
  return out;
}
