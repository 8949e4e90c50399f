import type { TextList } from './text-list.ts';

/** Pieces of one place that are looked at. An honest vocabulary has eight or so at most. */
const CHAIN = 64;

/**
 * Ids of pieces by their bytes: a chained hash table in typed arrays. A fresh process fills it in a quarter of the time that
 * a Map of 32,000 strings takes, and a look-up makes no string. A file whose pieces were made to collide cannot slow it
 * down: a Map then takes over.
 */
export class PieceTable {
  readonly #texts: TextList;
  readonly #flags: Uint8Array;
  /** By id. */
  readonly #hashes: Int32Array;
  /** Id + 1 by place, and then by id what comes next at the same place; 0 is the end. */
  readonly #first: Int32Array;
  readonly #next: Int32Array;
  /** By the bytes in decimal; made when a chain is too long. */
  #map: Map<string, number> | undefined;

  /** Holds those of `texts` whose flag is not 0; of equal ones the first counts. */
  constructor(texts: TextList, flags: Uint8Array) {
    const { bytes, starts, ends } = texts;
    const hashes = new Int32Array(texts.length);
    const next = new Int32Array(texts.length);
    const first = new Int32Array(2 ** Math.ceil(Math.log2(texts.length + 1)));
    // backwards, so that the first of equals is met first
    for (let id = texts.length - 1; id >= 0; id--) {
      if (flags[id] === 0) continue;
      const hash = hashOf(bytes, starts[id]!, ends[id]!);
      const place = hash & (first.length - 1);
      hashes[id] = hash;
      next[id] = first[place]!;
      first[place] = id + 1;
    }
    this.#texts = texts;
    this.#flags = flags;
    this.#hashes = hashes;
    this.#first = first;
    this.#next = next;
  }

  /** The id of the piece that is bytes `from` to `to`; −1 if there is none. */
  find(bytes: Uint8Array, from: number, to: number): number {
    const hash = hashOf(bytes, from, to);
    const first = this.#first;
    let id = first[hash & (first.length - 1)]! - 1;
    for (let steps = 0; id >= 0; id = this.#next[id]! - 1) {
      if (this.#hashes[id] === hash && this.#isPiece(id, bytes, from, to)) return id;
      if (++steps === CHAIN) return this.#findInMap(bytes.subarray(from, to));
    }
    return -1;
  }

  #isPiece(id: number, bytes: Uint8Array, from: number, to: number): boolean {
    const { bytes: pieces, starts, ends } = this.#texts;
    const start = starts[id]!;
    if (ends[id]! - start !== to - from) return false;
    for (let i = from; i < to; i++) if (bytes[i] !== pieces[start + i - from]) return false;
    return true;
  }

  #findInMap(piece: Uint8Array): number {
    if (this.#map === undefined) {
      this.#map = new Map();
      const { bytes, starts, ends } = this.#texts;
      for (let id = starts.length - 1; id >= 0; id--) {
        if (this.#flags[id] !== 0) this.#map.set(bytes.subarray(starts[id], ends[id]).join(), id);
      }
    }
    return this.#map.get(piece.join()) ?? -1;
  }
}

/** FNV-1a, its high bits mixed into the low ones. */
export function hashOf(bytes: Uint8Array, from: number, to: number): number {
  let hash = -2128831035;
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ bytes[i]!, 16777619);
  return hash ^ (hash >>> 15);
}
