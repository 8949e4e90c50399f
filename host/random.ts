/** Uniform numbers from 32-bit integer operations only, the same on every machine: xoshiro128** (Blackman and Vigna 2018). */
export class Random {
  readonly #state: Uint32Array;

  /** @param state four numbers of 32 bits, not all zero */
  constructor(state: ArrayLike<number>) {
    this.#state = Uint32Array.from(state);
  }

  /** @param seed an integer in 0 .. 2^53 − 1 */
  static seeded(seed: number): Random {
    let low = seed >>> 0;
    const high = Math.floor(seed / 2 ** 32);
    const state = Array.from({ length: 4 }, () => {
      low = (low + 0x9e3779b9) >>> 0;
      return mix(low ^ mix(high + 0x85ebca6b));
    });
    return new Random(state);
  }

  /** Uniform in 0 .. 2^32 − 1. */
  bits(): number {
    const s = this.#state;
    const result = Math.imul(rotate(Math.imul(s[1]!, 5), 7), 9) >>> 0;
    const t = s[1]! << 9;
    s[2]! ^= s[0]!;
    s[3]! ^= s[1]!;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= t;
    s[3] = rotate(s[3]!, 11);
    return result;
  }

  /** Uniform in [0, 1), a multiple of 2^−24: exact as an f32. */
  next(): number {
    return (this.bits() >>> 8) / 2 ** 24;
  }
}

/** A seed from the runtime's own randomness. */
export function randomSeed(): number {
  const [low, high] = crypto.getRandomValues(new Uint32Array(2)) as unknown as [number, number];
  return (high & 0x1fffff) * 2 ** 32 + low;
}

/** The finaliser of MurmurHash3. */
function mix(x: number): number {
  let h = x;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

function rotate(x: number, by: number): number {
  return (x << by) | (x >>> (32 - by));
}
