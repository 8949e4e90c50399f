/**
 * Bytes that are mostly pieces of others. A patch is their length, then by turns some new bytes (how many, the bytes)
 * and a piece of `base` (from where, how many), all numbers in LEB128. `scripts/make-patch.ts` writes it.
 */
export function patched(base: Uint8Array, patch: Uint8Array): Uint8Array<ArrayBuffer> {
  let at = 0;
  const number = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = patch[at++]!;
      value |= (byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  const out = new Uint8Array(number());
  for (let done = 0; done < out.length; ) {
    const fresh = number();
    out.set(patch.subarray(at, at + fresh), done);
    at += fresh;
    done += fresh;
    const from = number();
    const count = number();
    out.set(base.subarray(from, from + count), done);
    done += count;
  }
  return out;
}
