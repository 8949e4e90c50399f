// Token ids to text as they come, as host/tokenizer.ts does it: bytes are held back while a character is incomplete.

import { decodeByte, decodeEnd } from './utf8';
import { STDOUT } from './preview1';
import { escape } from './options';
import { writeAll } from './output';
import { writeHarmless } from './terminal';
import { Text } from './text';
import { BYTE, CONTROL, UNKNOWN, addSpacePrefix, byteOf, pieces, typeOf } from './vocabulary';

/** What SentencePiece prints for the unknown piece: a space, U+2047, a space. */
const UNKNOWN_SURFACE = memory.data<u8>([0x20, 0xe2, 0x81, 0x87, 0x20]);
const CERTAIN = memory.data(8);
const OUT_BYTES = 4096;
const OUT = memory.data(OUT_BYTES, 8);

/** Whether the leading space of the next text piece, if it comes first, is dropped. */
let strip = false;

/** Begins the text that follows a prompt: what comes first continues it if the prompt says anything. */
export function beginText(prompt: usize, count: i32): void {
  strip = addSpacePrefix;
  for (let i = 0; i < count; i++) if (says(load<u32>(prompt + (<usize>i << 2)))) strip = false;
}

/** Whether an id alone decodes to something, or to a byte of it. */
function says(id: u32): bool {
  const type = typeOf(id);
  if (type == CONTROL) return false;
  if (type == BYTE || type == UNKNOWN) return true;
  const length = pieces.length(id);
  return length > 0 && !(addSpacePrefix && isAlone(pieces.start(id), length));
}

/** Whether a piece is one space and nothing else. */
function isAlone(piece: usize, length: u32): bool {
  return length == 1 ? load<u8>(piece) == 0x20 : length == 3 && isSpace(piece, 3);
}

/** Whether U+2581 begins here. */
function isSpace(p: usize, left: u32): bool {
  return left >= 3 && load<u16>(p) == 0x96e2 && load<u8>(p, 2) == 0x81;
}

/** Writes what becomes certain with an id. */
export function sayToken(id: u32): void {
  const type = typeOf(id);
  if (type == CONTROL) return;
  const first = strip;
  strip = false;
  if (type == BYTE) {
    write(CERTAIN, decodeByte(CERTAIN, byteOf(id)));
    return;
  }
  // a text piece begins a new character, so bytes still held back are malformed
  endText();
  if (type == UNKNOWN) write(UNKNOWN_SURFACE, 5);
  else sayPiece(pieces.start(id), pieces.length(id), first);
}

function sayPiece(piece: usize, length: u32, first: bool): void {
  const out = Text.at(OUT, OUT_BYTES);
  for (let i: u32 = 0; i < length; ) {
    const space = isSpace(piece + i, length - i);
    const byte: u32 = space ? 0x20 : load<u8>(piece + i);
    // whole characters leave together
    if (out.capacity - out.length < 4 && (byte & 0xc0) != 0x80) {
      write(out.start, out.length);
      out.length = 0;
    }
    if (!(first && i == 0 && byte == 0x20)) out.byte(byte);
    i += space ? 3 : 1;
  }
  write(out.start, out.length);
}

/** Writes the rest: U+FFFD if the ids ended inside a character. */
export function endText(): void {
  write(CERTAIN, decodeEnd(CERTAIN));
}

function write(start: usize, length: u32): void {
  if (length == 0) return;
  if (escape) writeHarmless(start, length);
  else writeAll(STDOUT, start, length);
}
