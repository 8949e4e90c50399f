/** Stored values for tests: the product's own quantisers, which test/quantize.test.ts holds to ggml's. */

import { isStoredType } from '../../host/quantize/decode.ts';
import { encode } from '../../host/quantize/encode.ts';

export { bf16Bits, f16Bits } from '../../host/quantize/floats.ts';

/** Stores `values`, whose rows are whole blocks, in the format that GGUF calls `type`. */
export function quantize(type: string, values: Float32Array): Uint8Array {
  if (!isStoredType(type)) throw new RangeError(`no quantiser for ${type}`);
  return encode(type, values);
}
