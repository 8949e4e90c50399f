// SentencePiece's BPE: which pieces a text falls into (google/sentencepiece, src/bpe_model.cc, `Model::SampleEncode`
// without dropout). The text is a row of symbols, at first one a code point; while any two neighbours spell a piece, the
// pair with the best score becomes one symbol, the leftmost of equals first.
import { PieceType, type Vocabulary } from './model-file.ts';

/** What merging needs to know of a vocabulary, in the order in which it asks. */
export interface Lexicon {
  /** Id of each piece that text may become by merging (normal and unused), by its text with U+2581 for a space. */
  readonly ids: ReadonlyMap<string, number>;
  /** By id: 0 for the best score, equal for equal scores. */
  readonly ranks: Int32Array;
  readonly types: Uint8Array;
  /** By id, in UTF-16 code units, as are all lengths here. */
  readonly lengths: Int32Array;
  /** No longer text need be looked up. */
  readonly longest: number;
  /** User-defined pieces, which match before anything else and never merge: ids by text, lengths by first code unit. */
  readonly userDefined: ReadonlyMap<string, number>;
  /** Longest first, each once. */
  readonly userDefinedLengths: ReadonlyMap<number, readonly number[]>;
}

/** A stretch of text and its piece; id −1 where the vocabulary has none. */
export type EmitSymbol = (id: number, start: number, length: number) => void;

/** Counts the work, for the test that it grows with the text and not with its square. */
export interface WorkCounter {
  lookups: number;
  /** Comparisons of queue entries. */
  comparisons: number;
}

export function lexiconOf({ pieces, scores, types }: Vocabulary): Lexicon {
  const ids = new Map<string, number>();
  const userDefined = new Map<string, number>();
  const lengthsByFirst = new Map<number, Set<number>>();
  let longest = 0;
  for (const [id, piece] of pieces.entries()) {
    const type = types[id];
    if (piece === '') continue;
    if (type === PieceType.normal || type === PieceType.unused) {
      // of equal pieces the first counts; SentencePiece has none
      if (!ids.has(piece)) ids.set(piece, id);
      longest = Math.max(longest, piece.length);
    } else if (type === PieceType.userDefined) {
      // spaces are U+2581 in the text that it is compared with
      const text = piece.replaceAll(' ', '\u2581');
      const first = text.charCodeAt(0);
      if (!userDefined.has(text)) userDefined.set(text, id);
      const known = lengthsByFirst.get(first);
      if (known === undefined) lengthsByFirst.set(first, new Set([text.length]));
      else known.add(text.length);
    }
  }
  const userDefinedLengths = new Map(
    Array.from(lengthsByFirst, ([first, known]) => [first, [...known].sort((a, b) => b - a)]),
  );

  const byScore = Array.from(pieces.keys()).sort((a, b) => compareDescending(scores[a]!, scores[b]!));
  const ranks = new Int32Array(pieces.length);
  for (let i = 1; i < byScore.length; i++) {
    const [better, id] = [byScore[i - 1]!, byScore[i]!];
    ranks[id] = ranks[better]! + (scores[better] === scores[id] ? 0 : 1);
  }
  const lengths = Int32Array.from(pieces, piece => piece.length);
  return { ids, ranks, types, lengths, longest, userDefined, userDefinedLengths };
}

/** −∞ and +∞ are scores too: a difference would be NaN. */
function compareDescending(a: number, b: number): number {
  return a === b ? 0 : a > b ? -1 : 1;
}

/**
 * Reports the symbols of `text` from left to right. O(n log n) for n code points, whatever the text.
 *
 * @param text well-formed UTF-16 with U+2581 for a space.
 */
export function segment(lexicon: Lexicon, text: string, emit: EmitSymbol, work?: WorkCounter): void {
  const { ids, ranks, lengths, types, longest } = lexicon;
  const n = text.length;
  // A doubly linked list of symbols. A symbol is named by its first code unit, so slots inside symbols stay unused.
  const length = new Int32Array(n); // 0: absorbed by a neighbour
  const piece = new Int32Array(n); // id, or −1
  const previous = new Int32Array(n);
  const next = new Int32Array(n); // n: none
  const frozen = lexicon.userDefined.size === 0 ? undefined : new Uint8Array(n);

  let count = 0;
  for (let at = 0, last = -1; at < n; ) {
    const match = frozen === undefined ? -1 : matchUserDefined(lexicon, text, at);
    if (match < 0) {
      const units = text.codePointAt(at)! > 0xffff ? 2 : 1;
      length[at] = units;
      piece[at] = ids.get(text.slice(at, at + units)) ?? -1;
    } else {
      length[at] = lengths[match]!;
      piece[at] = match;
      frozen![at] = 1;
    }
    previous[at] = last;
    last = at;
    at += length[at]!;
    next[last] = at;
    count++;
  }

  // each merge takes one entry and adds at most two, so 2 · count bounds the queue
  const queue = new MergeQueue(2 * count, n, work);
  /** The two parts of each unused piece that was a candidate, the latest kept, as SentencePiece does. */
  const parts = new Map<number, { left: number; leftLength: number; right: number }>();

  const propose = (left: number, right: number): void => {
    if (left < 0 || right >= n) return;
    if (frozen !== undefined && (frozen[left] === 1 || frozen[right] === 1)) return;
    const together = length[left]! + length[right]!;
    if (together > longest) return;
    if (work !== undefined) work.lookups++;
    const id = ids.get(text.slice(left, left + together));
    if (id === undefined) return;
    queue.push(ranks[id]!, left, id);
    if (types[id] === PieceType.unused) {
      parts.set(id, { left: piece[left]!, leftLength: length[left]!, right: piece[right]! });
    }
  };

  for (let at = 0; at < n; at = next[at]!) propose(at, next[at]!);

  while (queue.pop()) {
    const { left, id } = queue;
    const right = next[left]!;
    // Symbols only grow, so the sum is that of the proposal if and only if both are as they were then.
    if (length[left] === 0 || right >= n || length[left]! + length[right]! !== lengths[id]) continue;
    length[left] = lengths[id]!;
    piece[left] = id;
    length[right] = 0;
    const after = next[right]!;
    next[left] = after;
    if (after < n) previous[after] = left;
    propose(previous[left]!, left);
    propose(left, after);
  }

  /** Unused pieces may lead to longer ones but not stay: they fall back into what they were merged from. */
  const resegment = (whole: number, from: number, size: number): void => {
    // a list of its own rather than recursion: a vocabulary may nest thousands deep
    const open = [{ id: whole, start: from, units: size }];
    for (let top = open.pop(); top; top = open.pop()) {
      const { id, start, units } = top;
      const split = id >= 0 && types[id] === PieceType.unused ? parts.get(id) : undefined;
      if (split === undefined) {
        emit(id, start, units);
        continue;
      }
      const { left, leftLength, right } = split;
      open.push({ id: right, start: start + leftLength, units: units - leftLength });
      open.push({ id: left, start, units: leftLength });
    }
  };
  for (let at = 0; at < n; at = next[at]!) resegment(piece[at]!, at, length[at]!);
}

/** The longest user-defined piece at a place of the text, −1 if there is none. */
function matchUserDefined(lexicon: Lexicon, text: string, at: number): number {
  for (const length of lexicon.userDefinedLengths.get(text.charCodeAt(at)) ?? []) {
    const id = lexicon.userDefined.get(text.slice(at, at + length));
    if (id !== undefined) return id;
  }
  return -1;
}

/** A binary heap of proposed merges: best rank first, then leftmost. `pop` leaves its answer in `left` and `id`. */
class MergeQueue {
  left = 0;
  id = 0;
  /** rank · stride + left: one number orders both, exactly, as long as it stays below 2^53. */
  private readonly keys: Float64Array;
  private readonly ids: Int32Array;
  private readonly stride: number;
  private readonly work: WorkCounter | undefined;
  private size = 0;

  constructor(capacity: number, stride: number, work: WorkCounter | undefined) {
    this.keys = new Float64Array(capacity);
    this.ids = new Int32Array(capacity);
    this.stride = stride;
    this.work = work;
  }

  push(rank: number, left: number, id: number): void {
    const { keys, ids } = this;
    const key = rank * this.stride + left;
    let hole = this.size++;
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      if (this.work !== undefined) this.work.comparisons++;
      if (keys[parent]! <= key) break;
      keys[hole] = keys[parent]!;
      ids[hole] = ids[parent]!;
      hole = parent;
    }
    keys[hole] = key;
    ids[hole] = id;
  }

  pop(): boolean {
    if (this.size === 0) return false;
    const { keys, ids } = this;
    this.left = keys[0]! % this.stride;
    this.id = ids[0]!;
    const size = --this.size;
    const key = keys[size]!;
    let hole = 0;
    for (let child = 1; child < size; child = 2 * hole + 1) {
      if (this.work !== undefined) this.work.comparisons += 2;
      if (child + 1 < size && keys[child + 1]! < keys[child]!) child++;
      if (key <= keys[child]!) break;
      keys[hole] = keys[child]!;
      ids[hole] = ids[child]!;
      hole = child;
    }
    keys[hole] = key;
    ids[hole] = ids[size]!;
    return true;
  }
}
