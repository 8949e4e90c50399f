import { idsOfType, PieceType } from './model-file.ts';
import { PieceTable } from './piece-table.ts';
import { TextList } from './text-list.ts';

/** What merging needs to know of a vocabulary. Lengths are in bytes of UTF-8 here, as are places in a text. */
export interface Lexicon {
  /** The pieces that text may become by merging (normal and unused), with U+2581 for a space. */
  readonly pieces: PieceTable;
  /** By id: 0 for the best score, equal for equal scores. */
  readonly ranks: Int32Array;
  readonly types: Uint8Array;
  /** By id. */
  readonly lengths: Int32Array;
  /** No longer text need be looked up. */
  readonly longest: number;
  /** Pieces which match before anything else and never merge; undefined if there are none. */
  readonly userDefined: UserDefined | undefined;
  /**
   * Whether the words of a text can be merged one by one: no piece has a space after another character, and none is
   * unused, since what such a piece falls back into depends on the whole text.
   */
  readonly wordsApart: () => boolean;
}

export interface UserDefined {
  texts: TextList;
  pieces: PieceTable;
  /** By a piece's first byte, the longest first, each once. */
  lengths: ReadonlyMap<number, readonly number[]>;
  /** By index in `pieces`. */
  ids: readonly number[];
}

export function lexiconOf(texts: TextList, scores: Float32Array, types: Uint8Array): Lexicon {
  const { starts, ends } = texts;
  const lengths = new Int32Array(texts.length);
  const mayMerge = new Uint8Array(texts.length);
  let longest = 0;
  for (let id = 0; id < lengths.length; id++) {
    const length = ends[id]! - starts[id]!;
    lengths[id] = length;
    if (length === 0 || (types[id] !== PieceType.normal && types[id] !== PieceType.unused)) continue;
    mayMerge[id] = 1;
    if (length > longest) longest = length;
  }
  const userDefined = userDefinedOf(texts, types);
  let apart: boolean | undefined; // found out when a text is long enough to profit
  return {
    pieces: new PieceTable(texts, mayMerge),
    ranks: ranksOf(scores),
    types,
    lengths,
    longest,
    userDefined,
    wordsApart: () => {
      apart ??=
        !types.includes(PieceType.unused) &&
        !hasInnerSpace(texts, mayMerge) &&
        (userDefined === undefined || !hasInnerSpace(userDefined.texts));
      return apart;
    },
  };
}

function userDefinedOf(texts: TextList, types: Uint8Array): UserDefined | undefined {
  const ids = idsOfType(types, PieceType.userDefined);
  if (ids.length === 0) return undefined;
  // spaces are U+2581 in the text that it is compared with
  const spelt = TextList.of(ids.map(id => texts.at(id)!.replaceAll(' ', '\u2581')));
  const lengthsByFirst = new Map<number, Set<number>>();
  for (let i = 0; i < ids.length; i++) {
    const start = spelt.starts[i]!;
    const length = spelt.ends[i]! - start;
    if (length === 0) continue;
    const first = spelt.bytes[start]!;
    const known = lengthsByFirst.get(first);
    if (known === undefined) lengthsByFirst.set(first, new Set([length]));
    else known.add(length);
  }
  const lengths = new Map(
    Array.from(lengthsByFirst, ([first, known]) => [first, [...known].sort((a, b) => b - a)]),
  );
  return { texts: spelt, pieces: new PieceTable(spelt, new Uint8Array(ids.length).fill(1)), lengths, ids };
}

/** By id, how many scores are better. */
function ranksOf(scores: Float32Array): Int32Array {
  const ranks = new Int32Array(scores.length);
  let falling = true;
  for (let id = 1; id < scores.length && falling; id++) {
    falling = scores[id - 1]! >= scores[id]!;
    ranks[id] = ranks[id - 1]! + (scores[id - 1] === scores[id] ? 0 : 1);
  }
  // as trained vocabularies are
  if (falling) return ranks;
  const distinct = scores
    .slice()
    .sort()
    .filter((score, i, sorted) => i === 0 || score !== sorted[i - 1]);
  for (let id = 0; id < scores.length; id++) {
    let low = 0;
    for (let high = distinct.length - 1; low < high; ) {
      const middle = (low + high) >> 1;
      if (distinct[middle]! < scores[id]!) low = middle + 1;
      else high = middle;
    }
    ranks[id] = distinct.length - 1 - low;
  }
  return ranks;
}

/** Whether U+2581 begins at a byte of UTF-8. */
export function isSpace(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === 0xe2 && bytes[at + 1] === 0x96 && bytes[at + 2] === 0x81;
}

/** Whether a text, of those whose flag is not 0, has a space after another character. */
function hasInnerSpace({ bytes, starts, ends }: TextList, flags?: Uint8Array): boolean {
  for (let id = 0; id < starts.length; id++) {
    if (flags?.[id] === 0) continue;
    let at = starts[id]!;
    const end = ends[id]!;
    while (at < end && isSpace(bytes, at)) at += 3;
    while (at < end && !isSpace(bytes, at)) at++;
    if (at < end) return true;
  }
  return false;
}
