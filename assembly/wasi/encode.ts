// Text to token ids by SentencePiece's BPE (google/sentencepiece, src/bpe_model.cc), as host/bpe.ts does it: the text is a
// row of symbols, at first one a character; while two neighbours spell a piece, the pair with the best score becomes one
// symbol, the leftmost of equals first. O(n log n).

import { at as about, fail } from './errors';
import { alloc, commit, take } from './memory';
import { dequeue, enqueue, first, firstPiece, openQueue } from './merge-queue';
import { Names } from './names';
import { sort } from './sort';
import { decodeByte, decodeEnd } from './utf8';
import {
  NORMAL, UNUSED, USER_DEFINED,
  addBos, addSpacePrefix, bos, pieceCount, pieceOfByte, pieces, scoreOf, typeOf, unknown,
} from './vocabulary';

/** The ids of the last text. */
export let ids: usize = 0; // (idCount) i32
export let idCount: i32 = 0;

/** By piece: 0 for the best score, equal for equal scores. */
let ranks: usize = 0;
let longest: u32 = 0;
let anyUnused = false;
/** Pieces that match before anything else and never merge, with their ids; and by length in bytes, whether one has it. */
let userDefined: Names = changetype<Names>(0);
let userIds: usize = 0;
let userCount: u32 = 0;
let userLengths: usize = 0;
let userLongest: u32 = 0;

// Symbols, named by their first byte; all (n) i32. `lengths` is 0 where a neighbour has absorbed the symbol.
let text: usize = 0;
let n: i32 = 0;
let lengths: usize = 0;
let symbols: usize = 0; // piece, or −1
let previous: usize = 0;
let following: usize = 0;
let frozen: usize = 0; // user-defined

/** Memory for the queue, and then for what `emit` has not done yet. */
let room: usize = 0; // (2n) × 12 bytes

/** The two parts of each unused piece that was a candidate, the latest kept: (pieceCount) × { left, its length, right }. */
let parts: usize = 0;

// @ts-ignore: decorator
@inline
function at(array: usize, i: i32): i32 {
  return load<i32>(array + (<usize>i << 2));
}

// @ts-ignore: decorator
@inline
function set(array: usize, i: i32, value: i32): void {
  store<i32>(array + (<usize>i << 2), value);
}

/** A longer text has no place in memory, nor in any context. */
const MOST_BYTES: u32 = 1 << 29;

/** The ids of a text, with BOS before them if the vocabulary adds it. Malformed UTF-8 counts as U+FFFD. */
export function encode(bytes: usize, length: u32): void {
  if (length > MOST_BYTES) {
    about('prompt');
    fail('prompt-too-long', 'a prompt that fits in the context', '# bytes', 'Shorten the prompt.', length);
  }
  prepare();
  // U+FFFD and U+2581 take three bytes, and a space goes before the text
  text = take(<u64>length * 3 + 3 + 8);
  n = <i32>(escape(bytes, length) - text);
  ids = take(<u64>(n + 1) * 4);
  idCount = 0;
  if (addBos) push(bos);
  if (length > 0) segment();
}

function push(id: i32): void {
  set(ids, idCount++, id);
}

/** Puts the text where it is merged: well-formed, with U+2581 for a space; returns its end. */
function escape(bytes: usize, length: u32): usize {
  let out = text;
  if (length > 0 && addSpacePrefix) out = putSpace(out);
  for (let i: u32 = 0; i < length; i++) {
    const byte = load<u8>(bytes + i);
    const count = decodeByte(out, byte);
    // a space is a character of its own, the last of what has become certain
    if (count > 0 && load<u8>(out + count - 1) == 0x20) out = putSpace(out + count - 1);
    else out += count;
  }
  return out + decodeEnd(out);
}

function putSpace(out: usize): usize {
  store<u16>(out, 0x96e2);
  store<u8>(out, 0x81, 2);
  return out + 3;
}

function prepare(): void {
  if (ranks) return;
  ranks = alloc(<u64>pieceCount * 4);
  const order = alloc(<u64>pieceCount * 4);
  commit();
  rank(order);
  for (let id: u32 = 0; id < pieceCount; id++) {
    const type = typeOf(id), length = pieces.length(id);
    if (type == UNUSED) anyUnused = true;
    if (type == USER_DEFINED && length > 0) {
      userCount++;
      userLongest = max(userLongest, length);
    }
    if (type == NORMAL || type == UNUSED) longest = max(longest, length);
  }
  if (anyUnused) parts = take(<u64>pieceCount * 12);
  if (userCount > 0) prepareUserDefined();
}

function rank(order: usize): void {
  let falling = true;
  for (let id: u32 = 0; id < pieceCount; id++) {
    set(order, id, id);
    if (id > 0 && scoreOf(id - 1) < scoreOf(id)) falling = false;
  }
  // trained vocabularies are in order
  if (!falling) sort(order, pieceCount, (a: u32, b: u32) => scoreOf(a) > scoreOf(b));
  let rank = 0;
  for (let i: u32 = 0; i < pieceCount; i++) {
    if (i > 0 && scoreOf(at(order, i - 1)) != scoreOf(at(order, i))) rank++;
    set(ranks, at(order, i), rank);
  }
}

function prepareUserDefined(): void {
  userDefined = Names.make(userCount);
  userIds = take(<u64>userCount * 4);
  // with U+2581 for spaces, as the text has it
  userLengths = take(<u64>userLongest * 3 + 1);
  let most: u32 = 0;
  for (let id: u32 = 0, count: u32 = 0; id < pieceCount; id++) {
    const length = pieces.length(id);
    if (typeOf(id) != USER_DEFINED || length == 0) continue;
    const spelt = take(<u64>length * 3);
    let end = spelt;
    for (let i: u32 = 0; i < length; i++) {
      const byte = load<u8>(pieces.start(id) + i);
      if (byte == 0x20) end = putSpace(end);
      else store<u8>(end++, byte);
    }
    const bytes = <u32>(end - spelt);
    userDefined.put(count, spelt, bytes);
    userDefined.enter(count);
    store<u8>(userLengths + bytes, 1);
    most = max(most, bytes);
    set(userIds, count++, id);
  }
  userLongest = most;
}

/** The user-defined piece at a place, the longest; −1 if there is none. */
function matchAt(place: i32): i32 {
  for (let length = min(<i32>userLongest, n - place); length > 0; length--) {
    if (!load<u8>(userLengths + length)) continue;
    const found = userDefined.find(text + place, length);
    if (found >= 0) return found;
  }
  return -1;
}

function lengthOfCharacter(first: u32): i32 {
  if (first < 0x80) return 1;
  if (first < 0xe0) return 2;
  return first < 0xf0 ? 3 : 4;
}

function segment(): void {
  const bytes = <u64>n * 4;
  lengths = alloc(bytes);
  symbols = alloc(bytes);
  previous = alloc(bytes);
  following = alloc(bytes);
  frozen = alloc(n);
  room = alloc(bytes * 6); // a merge takes one entry and adds at most two
  commit();
  openQueue(room, 2 * n);
  split();
  for (let place = 0; place < n; place = at(following, place)) propose(place, at(following, place));
  while (dequeue()) merge(first, firstPiece);
  let afterUnknown = false;
  for (let place = 0; place < n; place = at(following, place)) {
    afterUnknown = emit(at(symbols, place), place, at(lengths, place), afterUnknown);
  }
}

function split(): void {
  for (let place = 0, last = -1; place < n; ) {
    const match = userCount > 0 ? matchAt(place) : -1;
    let length = lengthOfCharacter(load<u8>(text + place));
    if (match < 0) {
      set(symbols, place, pieces.find(text + place, length));
    } else {
      length = userDefined.length(match);
      set(symbols, place, at(userIds, match));
      store<u8>(frozen + place, 1);
    }
    set(lengths, place, length);
    set(previous, place, last);
    last = place;
    place += length;
    set(following, last, place);
  }
}

function propose(left: i32, right: i32): void {
  if (left < 0 || right >= n || load<u8>(frozen + left) || load<u8>(frozen + right)) return;
  const together = at(lengths, left) + at(lengths, right);
  if (<u32>together > longest) return;
  const id = pieces.find(text + left, together);
  if (id < 0) return;
  enqueue(at(ranks, id), left, id);
  if (typeOf(id) == UNUSED) {
    const part = parts + <usize>id * 12;
    store<i32>(part, at(symbols, left));
    store<i32>(part, at(lengths, left), 4);
    store<i32>(part, at(symbols, right), 8);
  }
}

/** Does a proposed merge if both symbols are still as they were. */
function merge(left: i32, id: i32): void {
  const right = at(following, left);
  // symbols only grow, so the sum is that of the proposal if and only if both are as they were then
  const whole = pieces.length(id);
  if (at(lengths, left) == 0 || right >= n || at(lengths, left) + at(lengths, right) != whole) return;
  set(lengths, left, whole);
  set(symbols, left, id);
  set(lengths, right, 0);
  const after = at(following, right);
  set(following, left, after);
  if (after < n) set(previous, after, left);
  propose(at(previous, left), left);
  propose(left, after);
}

/**
 * Pushes the ids of a symbol; tells whether the last is the unknown piece. Unused pieces may lead to longer ones but not
 * stay: they fall back into what they were merged from.
 */
function emit(id: i32, place: i32, length: i32, afterUnknown: bool): bool {
  // a list of its own rather than recursion: a vocabulary may nest thousands deep
  for (let open = 0; open >= 0; ) {
    const part = parts + <usize>id * 12;
    if (id >= 0 && typeOf(id) == UNUSED && load<i32>(part, 4) > 0) {
      const leftLength = load<i32>(part, 4);
      store<i32>(room + <usize>open * 12, load<i32>(part, 8));
      store<i32>(room + <usize>open * 12, place + leftLength, 4);
      store<i32>(room + <usize>open * 12, length - leftLength, 8);
      open++;
      id = load<i32>(part);
      length = leftLength;
      continue;
    }
    if (id >= 0) {
      push(id);
      afterUnknown = false;
    } else {
      afterUnknown = pushBytes(place, length, afterUnknown);
    }
    if (--open < 0) break;
    id = load<i32>(room + <usize>open * 12);
    place = load<i32>(room + <usize>open * 12, 4);
    length = load<i32>(room + <usize>open * 12, 8);
  }
  return afterUnknown;
}

/** Pushes the bytes of a character that has no piece; returns true if it became the unknown piece instead. */
function pushBytes(place: i32, length: i32, afterUnknown: bool): bool {
  let whole = true;
  for (let i = 0; i < length; i++) if (pieceOfByte(load<u8>(text + place + i)) < 0) whole = false;
  if (!whole) {
    // as SentencePiece has it, a run of unknown characters is one unknown piece
    if (!afterUnknown) push(unknown);
    return true;
  }
  for (let i = 0; i < length; i++) push(pieceOfByte(load<u8>(text + place + i)));
  return false;
}
