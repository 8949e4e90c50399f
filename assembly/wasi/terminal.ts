// The text of a model for somebody who looks at it: characters that move the cursor, recolour the screen or reorder what is
// read are spelt out, as host/cli/terminal.ts does. It has to be asked for: Deno, Bun and browser_wasi_shim call a pipe a
// character device, too, and a program must get the text as it is.

import { line, writeAll } from './output';
import { STDOUT } from './preview1';
import { hexDigit } from './text';

/** Controls, separators of lines, and marks of direction. */
function isUnsafe(c: u32): bool {
  if (c < 0x20) return c != 0x09 && c != 0x0a;
  return (
    (c >= 0x7f && c <= 0x9f) || c == 0x061c || c == 0x200e || c == 0x200f || c == 0x2028 || c == 0x2029 ||
    (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069)
  );
}

/** @param start whole characters of well-formed UTF-8 */
export function writeHarmless(start: usize, length: u32): void {
  const said = line();
  for (const end = start + length; start < end; ) {
    const first = load<u8>(start);
    const size: u32 = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    // no character of four bytes is unsafe, so that its value does not matter
    let c: u32 = size == 1 ? first : first & 0x1f;
    for (let i: u32 = 1; i < size; i++) c = (c << 6) | (load<u8>(start + i) & 0x3f);
    if (size < 4 && isUnsafe(c)) {
      said.say(c == 0x0d ? '\\r' : '\\u');
      for (let shift: i32 = c == 0x0d ? -1 : 12; shift >= 0; shift -= 4) said.byte(hexDigit((c >> shift) & 15));
    } else {
      said.bytes(start, size);
    }
    start += size;
    if (said.capacity - said.length >= 8) continue;
    writeAll(STDOUT, said.start, said.length);
    said.length = 0;
  }
  writeAll(STDOUT, said.start, said.length);
}
