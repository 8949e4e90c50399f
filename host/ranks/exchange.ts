import { STATE_BYTES, sharedBytes } from './share.ts';

/**
 * Looks at a flag so often before going to sleep, some ten microseconds at most: fewer after a wait that was longer,
 * as all are when others need the processor too, more again after one that was not.
 */
const MOST_SPINS = 16000;
const LEAST_SPINS = 3000;

// places in the shared state
const ARRIVED = 0;
const PHASE = 1;

/** What ranks share: see `Exchange`. */
export interface Shared {
  buffer: SharedArrayBuffer;
  ranks: number;
  /** Most 32-bit numbers that they give each other at once. */
  capacity: number;
}

export function share(ranks: number, capacity: number): Shared {
  return { buffer: new SharedArrayBuffer(sharedBytes(capacity)), ranks, capacity };
}

/**
 * How ranks give numbers to each other. Each puts its part, all meet, each takes what it needs. There are two areas,
 * used in turn: a rank that is ahead writes into the other one, and cannot come back to this one before all have met
 * again, when they have taken what they need from it.
 */
export class Exchange {
  readonly #ranks: number;
  readonly #state: Int32Array;
  readonly #areas: { floats: Float32Array; ints: Int32Array; bytes: Uint8Array }[];
  #area = 0;
  #spins = MOST_SPINS;

  constructor({ buffer, ranks, capacity }: Shared) {
    this.#ranks = ranks;
    this.#state = new Int32Array(buffer, 0, 2);
    this.#areas = [0, 1].map(i => {
      const at = STATE_BYTES + 4 * capacity * i;
      return {
        floats: new Float32Array(buffer, at, capacity),
        ints: new Int32Array(buffer, at, capacity),
        bytes: new Uint8Array(buffer, at, 4 * capacity),
      };
    });
  }

  /** What is put for the coming meeting; after it, what was put, until `turn`. */
  get floats(): Float32Array {
    return this.#areas[this.#area]!.floats;
  }

  get ints(): Int32Array {
    return this.#areas[this.#area]!.ints;
  }

  get bytes(): Uint8Array {
    return this.#areas[this.#area]!.bytes;
  }

  /** Waits for all ranks: spins for a while, since most waits are shorter than falling asleep. */
  meet(): void {
    const state = this.#state;
    const phase = Atomics.load(state, PHASE);
    if (Atomics.add(state, ARRIVED, 1) === this.#ranks - 1) {
      Atomics.store(state, ARRIVED, 0);
      Atomics.store(state, PHASE, (phase + 1) | 0);
      Atomics.notify(state, PHASE);
      return;
    }
    for (let i = 0; i < this.#spins; i++) {
      if (Atomics.load(state, PHASE) === phase) continue;
      this.#spins = Math.min(MOST_SPINS, 2 * this.#spins);
      return;
    }
    this.#spins = Math.max(LEAST_SPINS, this.#spins >> 1);
    while (Atomics.load(state, PHASE) === phase) Atomics.wait(state, PHASE, phase);
  }

  /** After what was put has been taken: goes on to the other area. */
  turn(): void {
    this.#area = 1 - this.#area;
  }
}
