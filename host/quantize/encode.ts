import { ggmlTypeNamed } from '../ggml-types.ts';
import type { StoredType } from './decode.ts';
import { AFFINE } from './encode-affine.ts';
import { SCALED } from './encode-scaled.ts';
import { type EncodeBlock, SIMPLE } from './encode-simple.ts';

const ENCODE: Record<StoredType, EncodeBlock> = { ...SIMPLE, ...AFFINE, ...SCALED };

/** Stores `x`, finite values that fill whole blocks, as `type`. The same values give the same bytes everywhere. */
export function encode(type: StoredType, x: Float32Array): Uint8Array {
  const { values, bytes } = ggmlTypeNamed(type);
  const blocks = x.length / values;
  const out = new Uint8Array(blocks * bytes);
  for (let block = 0; block < blocks; block++) ENCODE[type](x, block * values, out, block * bytes);
  return out;
}
