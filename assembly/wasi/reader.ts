// A cursor over the leading bytes of the file, which stay in memory as they are. Every read is checked against the
// file's length first. All numbers are little-endian.

import { fail } from './errors';
import { fileSize, readAt } from './file';
import { alloc, commit, extend } from './memory';
import { isUtf8 } from './utf8';

/** Bytes read at first; doubled while the header is longer. */
const WINDOW: u64 = 1 << 20;
/** From here on numbers are refused as they are where numbers are f64. */
const UNSAFE: u64 = 1 << 53;
export const DAMAGED = 'The file is damaged.';

/** Where the file's first byte stands. */
let base: usize = 0;
/** Leading bytes that are in memory. */
let loaded: u64 = 0;
export let pos: u64 = 0;

/** Keeps the file's first bytes from here on. No other memory may be taken while more are read. */
export function keepBytes(count: u64): void {
  base = alloc(0);
  loaded = 0;
  loadTo(min(fileSize, count));
}

/** Reads on in a place where the whole header can stand. */
export function keepHeader(): void {
  keepBytes(WINDOW);
}

function loadTo(end: u64): void {
  extend(end - loaded);
  commit();
  readAt(base + <usize>loaded, <usize>(end - loaded), loaded);
  loaded = end;
}

/** Makes sure that `count` more bytes can be read. */
export function need(count: u64): void {
  const end = pos + count;
  if (end > fileSize) {
    const hint = 'The file is incomplete: download or copy it again.';
    fail('file-truncated', 'more bytes', 'the end of the file after # bytes', hint, fileSize);
  }
  if (end > loaded) loadTo(min(fileSize, max(end, 2 * loaded)));
}

export function here(): usize {
  return base + <usize>pos;
}

export function skip(count: u64): void {
  need(count);
  pos += count;
}

export function readU32(): u32 {
  skip(4);
  return load<u32>(here() - 4);
}

/** A u64 below 2^53, or 2^53 for any other. */
export function readSafe(): u64 {
  skip(8);
  return min(load<u64>(here() - 8), UNSAFE);
}

export function isSafe(value: u64): bool {
  return value < UNSAFE;
}

/** A count of things that take at least `itemBytes` each. */
export function readCount(itemBytes: u64, most: u64 = UNSAFE - 1): u64 {
  const value = readSafe();
  if (value > most || value * itemBytes > fileSize) {
    const hint = 'The file is damaged or incomplete: download it again.';
    fail('bad-count', 'a count that fits in the file', '#', hint, value);
  }
  return value;
}

/** Moves past a length and so many bytes of UTF-8; returns the length. The bytes end where the cursor then stands. */
export function readString(): u32 {
  const length = readSafe();
  if (length > fileSize) fail('bad-string', 'a string that fits in the file', 'a length of #', DAMAGED, length);
  skip(length);
  const start = here() - <usize>length;
  if (!isUtf8(start, <u32>length)) fail('bad-string', 'UTF-8', 'other bytes before byte #', DAMAGED, pos);
  return <u32>length;
}
