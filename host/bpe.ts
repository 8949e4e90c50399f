// SentencePiece's BPE: which pieces a text falls into (google/sentencepiece, src/bpe_model.cc, `Model::SampleEncode`
// without dropout). The text is a row of symbols, at first one a code point; while any two neighbours spell a piece, the
// pair with the best score becomes one symbol, the leftmost of equals first.
import { isSpace, type Lexicon, type UserDefined } from './lexicon.ts';
import { PieceType } from './model-file.ts';

/** A stretch of text and its piece; id −1 where the vocabulary has none. */
export type EmitSymbol = (id: number, start: number, length: number) => void;

/** Counts the work, for the test that it grows with the text and not with its square. */
export interface WorkCounter {
  lookups: number;
  /** Comparisons of queue entries. */
  comparisons: number;
}

/** Words are merged together up to so many bytes: what is merged then stays in the processor's nearest cache. */
const BLOCK = 1024;

/**
 * Reports the symbols of `text` from left to right. O(n log n) for n code points, whatever the text.
 *
 * @param text well-formed UTF-8 with U+2581 for a space.
 * @internal
 */
export function segment(lexicon: Lexicon, text: Uint8Array, emit: EmitSymbol, work?: WorkCounter): void {
  if (text.length <= BLOCK || !lexicon.wordsApart()) {
    merge(lexicon, text, emit, work);
    return;
  }
  for (let start = 0, end = 0; start < text.length; start = end) {
    end = endOfWord(text, start + BLOCK);
    const shifted: EmitSymbol = (id, at, length) => emit(id, start + at, length);
    merge(lexicon, text.subarray(start, end), shifted, work);
  }
}

/** The first place from `at` on where a space follows another character; no run of spaces is cut. */
function endOfWord(text: Uint8Array, at: number): number {
  // a space is three bytes, of which none can begin one but the first: whole ones are met whatever `at` is
  for (let end = at; end < text.length; end++) {
    if (isSpace(text, end) && !isSpace(text, end - 3)) return end;
  }
  return text.length;
}

function merge(lexicon: Lexicon, text: Uint8Array, emit: EmitSymbol, work?: WorkCounter): void {
  const { pieces, ranks, lengths, types, longest, userDefined } = lexicon;
  const n = text.length;
  // A doubly linked list of symbols. A symbol is named by its first byte, so slots inside symbols stay unused.
  const length = new Int32Array(n); // 0: absorbed by a neighbour
  const piece = new Int32Array(n); // id, or −1
  const previous = new Int32Array(n);
  const next = new Int32Array(n); // n: none
  const frozen = userDefined && new Uint8Array(n);

  let count = 0;
  for (let at = 0, last = -1; at < n; ) {
    const whole = userDefined === undefined ? 0 : lengthOfMatch(userDefined, text, at);
    if (whole === 0) {
      const size = lengthOfCharacter(text[at]!);
      length[at] = size;
      piece[at] = pieces.find(text, at, at + size);
    } else {
      length[at] = whole;
      piece[at] = userDefined!.ids[userDefined!.pieces.find(text, at, at + whole)]!;
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
    const id = pieces.find(text, left, left + together);
    if (id < 0) return;
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
    const open = [{ id: whole, start: from, size }];
    for (let top = open.pop(); top; top = open.pop()) {
      const { id, start, size } = top;
      const split = id >= 0 && types[id] === PieceType.unused ? parts.get(id) : undefined;
      if (split === undefined) {
        emit(id, start, size);
        continue;
      }
      const { left, leftLength, right } = split;
      open.push({ id: right, start: start + leftLength, size: size - leftLength });
      open.push({ id: left, start, size: leftLength });
    }
  };
  for (let at = 0; at < n; at = next[at]!) {
    if (types[piece[at]!] === PieceType.unused) resegment(piece[at]!, at, length[at]!);
    else emit(piece[at]!, at, length[at]!);
  }
}

/** Bytes of the longest user-defined piece at a place of the text, 0 if there is none. */
function lengthOfMatch({ pieces, lengths }: UserDefined, text: Uint8Array, at: number): number {
  for (const length of lengths.get(text[at]!) ?? []) {
    if (at + length <= text.length && pieces.find(text, at, at + length) >= 0) return length;
  }
  return 0;
}

/** Bytes of the character of well-formed UTF-8 that begins so. */
function lengthOfCharacter(first: number): number {
  if (first < 0x80) return 1;
  if (first < 0xe0) return 2;
  return first < 0xf0 ? 3 : 4;
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
