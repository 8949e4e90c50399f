/** Pieces shorter than this are not worth their numbers. */
const LEAST = 24;
/** Places where a piece may begin that are looked at. */
const MOST_PLACES = 64;

/** The patch that makes `bytes` of `base`: see `host/patch.ts`. Greedy: the longest piece of `base` at each place. */
export function makePatch(base: Uint8Array, bytes: Uint8Array): Uint8Array {
  const key = (of: Uint8Array, at: number): string => String.fromCharCode(...of.subarray(at, at + LEAST));
  const places = new Map<string, number[]>();
  for (let at = 0; at + LEAST <= base.length; at++) {
    const known = places.get(key(base, at));
    if (!known) places.set(key(base, at), [at]);
    else if (known.length < MOST_PLACES) known.push(at);
  }
  const patch: number[] = [];
  const number = (value: number): void => {
    for (let rest = value; ; rest >>>= 7) {
      patch.push(rest < 128 ? rest : (rest & 127) | 128);
      if (rest < 128) return;
    }
  };
  number(bytes.length);
  let fresh: number[] = [];
  const piece = (from: number, count: number): void => {
    number(fresh.length);
    patch.push(...fresh);
    fresh = [];
    number(from);
    number(count);
  };
  for (let at = 0; at < bytes.length; ) {
    let [from, count] = [0, 0];
    for (const place of places.get(key(bytes, at)) ?? []) {
      let length = LEAST;
      while (at + length < bytes.length && base[place + length] === bytes[at + length]) length++;
      if (length > count) [from, count] = [place, length];
    }
    if (count === 0) fresh.push(bytes[at++]!);
    else {
      piece(from, count);
      at += count;
    }
  }
  if (fresh.length > 0) piece(0, 0);
  return Uint8Array.from(patch);
}
