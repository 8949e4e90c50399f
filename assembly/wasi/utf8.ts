// UTF-8 as the hosts' TextDecoder reads it (WHATWG Encoding, "UTF-8 decoder").

/** The character under way. */
const HELD = memory.data(4);
let held: u32 = 0;
let missing: u32 = 0;
/** What its next byte may be. */
let least: u32 = 0x80;
let most: u32 = 0xbf;
/** Whether U+FFFD had to be said. */
let malformed = false;

/** Takes a byte; puts the text that is certain now at `out` (at most 4 bytes) and returns its length. */
export function decodeByte(out: usize, byte: u32): u32 {
  if (missing == 0) return begin(out, byte);
  if (byte < least || byte > most) {
    // what is held is malformed, and this byte begins anew
    missing = 0;
    const length = replacement(out);
    return length + begin(out + length, byte);
  }
  least = 0x80;
  most = 0xbf;
  store<u8>(HELD + held++, byte);
  if (--missing > 0) return 0;
  memory.copy(out, HELD, held);
  return held;
}

/** Puts U+FFFD at `out` if a character is incomplete; returns the length of that. */
export function decodeEnd(out: usize): u32 {
  if (missing == 0) return 0;
  missing = 0;
  return replacement(out);
}

function begin(out: usize, byte: u32): u32 {
  if (byte < 0x80) {
    store<u8>(out, byte);
    return 1;
  }
  if (byte < 0xc2 || byte > 0xf4) return replacement(out);
  missing = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
  // no overlong forms, no surrogates, nothing above U+10FFFF
  least = byte == 0xe0 ? 0xa0 : byte == 0xf0 ? 0x90 : 0x80;
  most = byte == 0xed ? 0x9f : byte == 0xf4 ? 0x8f : 0xbf;
  store<u8>(HELD, byte);
  held = 1;
  return 0;
}

function replacement(out: usize): u32 {
  malformed = true;
  store<u16>(out, 0xbfef);
  store<u8>(out, 0xbd, 2);
  return 3;
}

/** What is decoded only to be checked. */
const CHECKED = memory.data(8);

/** Whether bytes are whole characters. */
export function isUtf8(start: usize, length: u32): bool {
  const end = start + length;
  malformed = false;
  for (let p = start; p < end && !malformed; ) {
    if (missing == 0 && p + 8 <= end && (load<u64>(p) & 0x8080808080808080) == 0) p += 8;
    else decodeByte(CHECKED, load<u8>(p++));
  }
  const whole = !malformed && missing == 0;
  missing = 0;
  return whole;
}
