import { below, permutation, randomFor } from '../hash.ts';
import type { TokenFile } from './token-file.ts';

/** A stretch of ids in a token file. */
export interface Segment {
  start: number;
  length: number;
}

/**
 * Rows of T + 1 ids out of documents that are put one behind the other. A row begins where the one before it ends, with the
 * last id of that one: each id but the first is a target once.
 */
export class Rows {
  readonly count: number;
  readonly #file: TokenFile;
  readonly #segments: readonly Segment[];
  /** Where each segment begins in the stream of all; one more for the end. */
  readonly #starts: Float64Array;
  readonly #context: number;
  readonly #offset: number;

  constructor(file: TokenFile, segments: readonly Segment[], context: number, offset = 0) {
    this.#file = file;
    this.#segments = segments;
    this.#context = context;
    this.#offset = offset;
    this.#starts = new Float64Array(segments.length + 1);
    segments.forEach(({ length }, i) => {
      this.#starts[i + 1] = this.#starts[i]! + length;
    });
    this.count = rowsIn(this.#starts.at(-1)!, context);
  }

  /** Fills `ids`, of T + 1. */
  async read(row: number, ids: Int32Array, signal?: AbortSignal): Promise<void> {
    const starts = this.#starts;
    let at = this.#offset + row * this.#context;
    let segment = 0;
    for (let high = this.#segments.length; segment < high; ) {
      const middle = (segment + high) >> 1;
      if (starts[middle + 1]! <= at) segment = middle + 1;
      else high = middle;
    }
    for (let done = 0; done < ids.length; segment++) {
      const { start, length } = this.#segments[segment]!;
      const inside = at - starts[segment]!;
      const count = Math.min(length - inside, ids.length - done);
      if (count > 0) await this.#file.read(ids.subarray(done, done + count), start + inside, signal);
      done += count;
      at += count;
    }
  }
}

/** The last id of a stream is a target only. */
export function rowsIn(tokens: number, context: number): number {
  return Math.max(0, Math.floor((tokens - 1) / context));
}

/**
 * The rows of one source for all epochs. Each epoch puts the documents in an order of its own, begins at another place of
 * the first row and takes the rows in an order of its own: nothing but the seed, the name and the epoch decides.
 */
export class Epochs {
  /** Of an epoch. */
  readonly rows: number;
  readonly #file: TokenFile;
  readonly #segments: readonly Segment[];
  readonly #context: number;
  readonly #seed: number;
  readonly #name: string;
  readonly #slack: number;
  /** The latest ones that were asked for. */
  readonly #made = new Map<number, { rows: Rows; order: Uint32Array }>();

  constructor(file: TokenFile, segments: readonly Segment[], context: number, seed: number, name: string) {
    const tokens = segments.reduce((sum, { length }) => sum + length, 0);
    this.rows = rowsIn(tokens, context);
    this.#slack = tokens - 1 - this.rows * context;
    this.#file = file;
    this.#segments = segments;
    this.#context = context;
    this.#seed = seed;
    this.#name = name;
  }

  /** Fills `ids`, of T + 1, with a row of the run: the first epoch's come first. */
  read(index: number, ids: Int32Array, signal?: AbortSignal): Promise<void> {
    const { rows, order } = this.#epoch(Math.floor(index / this.rows));
    return rows.read(order[index % this.rows]!, ids, signal);
  }

  #epoch(epoch: number): { rows: Rows; order: Uint32Array } {
    const known = this.#made.get(epoch);
    if (known !== undefined) return known;
    const random = randomFor('epoch', this.#seed, this.#name, epoch);
    const segments = Array.from(permutation(random, this.#segments.length), i => this.#segments[i]!);
    const rows = new Rows(this.#file, segments, this.#context, below(random, this.#slack + 1));
    const made = { rows, order: permutation(random, this.rows) };
    // a batch may hold the end of one and the beginning of the next
    for (const old of this.#made.keys()) if (Math.abs(old - epoch) > 1) this.#made.delete(old);
    this.#made.set(epoch, made);
    return made;
  }
}
