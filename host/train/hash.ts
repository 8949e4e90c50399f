import { Random } from '../random.ts';

const PRIMES = [2654435761, 2246822519, 3266489917, 668265263] as const;

/**
 * A 128-bit hash of bytes that come in pieces: four lanes of 32 bits as in xxHash32, none of them thrown away. It recognises
 * files and texts; it does not withstand whoever wants two alike.
 */
export class Hash128 {
  readonly #lanes: Uint32Array = Uint32Array.from(PRIMES);
  /** The last bytes, until there are 16. */
  readonly #rest = new Uint8Array(16);
  #held = 0;
  #length = 0;

  update(bytes: Uint8Array): this {
    this.#length += bytes.length;
    let at = 0;
    if (this.#held > 0) {
      at = Math.min(16 - this.#held, bytes.length);
      this.#rest.set(bytes.subarray(0, at), this.#held);
      this.#held += at;
      if (this.#held < 16) return this;
      this.#blocks(this.#rest, 0, 16);
      this.#held = 0;
    }
    const end = at + ((bytes.length - at) & ~15);
    this.#blocks(bytes, at, end);
    this.#rest.set(bytes.subarray(end));
    this.#held = bytes.length - end;
    return this;
  }

  text(text: string): this {
    return this.update(new TextEncoder().encode(text));
  }

  /** Four numbers of 32 bits; the hash can go on afterwards. */
  words(): Uint32Array {
    const end = new Hash128();
    end.#lanes.set(this.#lanes);
    const last = new Uint8Array(32);
    last.set(this.#rest.subarray(0, this.#held));
    new DataView(last.buffer).setFloat64(24, this.#length, true);
    end.#blocks(last, 0, 32);
    const [a, b, c, d] = end.#lanes as unknown as [number, number, number, number];
    // every word of the answer depends on every lane
    const sum = mix(a + rotate(b, 7) + rotate(c, 12) + rotate(d, 18));
    return Uint32Array.of(mix(a ^ sum), mix(b + sum), mix(c ^ rotate(sum, 16)), mix(d + rotate(sum, 8)));
  }

  bytes(): Uint8Array {
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    this.words().forEach((word, i) => {
      view.setUint32(4 * i, word, true);
    });
    return bytes;
  }

  hex(): string {
    return hexOf(this.bytes());
  }

  #blocks(bytes: Uint8Array, from: number, to: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let [a, b, c, d] = this.#lanes as unknown as [number, number, number, number];
    for (let at = from; at < to; at += 16) {
      a = round(a, view.getUint32(at, true));
      b = round(b, view.getUint32(at + 4, true));
      c = round(c, view.getUint32(at + 8, true));
      d = round(d, view.getUint32(at + 12, true));
    }
    this.#lanes.set([a, b, c, d]);
  }
}

export function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('');
}

/** Random numbers that depend on all of the labels, and on nothing else. */
export function randomFor(...labels: (string | number)[]): Random {
  return new Random(new Hash128().text(JSON.stringify(labels)).words());
}

/** Uniform in 0 .. n − 1. */
export function below(random: Random, n: number): number {
  return Math.floor((random.bits() / 2 ** 32) * n);
}

/** 0 .. n − 1 in random order (Fisher and Yates). */
export function permutation(random: Random, n: number): Uint32Array {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = below(random, i + 1);
    const swapped = order[i]!;
    order[i] = order[j]!;
    order[j] = swapped;
  }
  return order;
}

function round(lane: number, word: number): number {
  return Math.imul(rotate((lane + Math.imul(word, PRIMES[1])) | 0, 13), PRIMES[0]);
}

/** The finaliser of MurmurHash3: a bijection of 32 bits. */
export function mix(x: number): number {
  let h = x | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

function rotate(x: number, by: number): number {
  return (x << by) | (x >>> (32 - by));
}
