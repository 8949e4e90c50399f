// Random numbers that are the same on every machine: integers only, no Math.log, no Math.cos.

/** A number for a text (FNV-1a, 32 bits): the seed of what bears that name. */
export function seedOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** The small fast counter generator sfc32 (Chris Doty-Humphrey, PractRand): 32 random bits a call. */
export function randomBits(seed: number): () => number {
  let a = seed | 0;
  let b = 0x9e3779b9 | 0;
  let c = 0x243f6a88 | 0;
  let counter = 1;
  const next = (): number => {
    const t = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return t;
  };
  for (let i = 0; i < 12; i++) next(); // until the seed has reached every bit
  return next;
}

/**
 * 256 equally likely integers in −127..127 in the shape of a normal distribution, symmetric about 0: the quantiles of
 * the sum of twelve uniform numbers, so that a random byte becomes a weight by one look-up.
 */
export function normalTable(): { values: Int8Array; deviation: number } {
  const next = randomBits(1);
  const sums = new Float64Array(1 << 16);
  for (let i = 0; i < sums.length; i++) {
    let sum = 0;
    for (let k = 0; k < 12; k++) sum += next() >>> 16;
    sums[i] = sum - 6 * 65535;
  }
  sums.sort();
  const quantile = (i: number): number => sums[i * 256 + 128]! - sums[(255 - i) * 256 + 127]!;
  const values = new Int8Array(256);
  let squares = 0;
  for (let i = 0; i < 256; i++) {
    const value = Math.round((127 * quantile(i)) / quantile(255));
    values[i] = value;
    squares += value * value;
  }
  return { values, deviation: Math.sqrt(squares / 256) };
}
