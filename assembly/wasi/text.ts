// Text under construction: UTF-8 in a place of fixed size, cut where the place ends.

@unmanaged
export class Text {
  length: u32;
  capacity: u32;

  /** @param place 8 bytes more than the text may have */
  static at(place: usize, bytes: u32): Text {
    const text = changetype<Text>(place);
    text.length = 0;
    text.capacity = bytes - 8;
    return text;
  }

  get start(): usize {
    return changetype<usize>(this) + 8;
  }

  byte(value: u32): void {
    if (this.length < this.capacity) store<u8>(this.start + this.length++, value);
  }

  bytes(start: usize, length: u32): void {
    for (let i: u32 = 0; i < length; i++) this.byte(load<u8>(start + i));
  }

  /** @param ascii what the program itself says */
  say(ascii: string): void {
    for (let i = 0; i < ascii.length; i++) this.byte(ascii.charCodeAt(i));
  }

  number(value: i64): void {
    if (value < 0) this.byte(0x2d);
    // −2^63 is its own negative, and right as a u64
    const magnitude = value < 0 ? <u64>-value : <u64>value;
    let unit: u64 = 1;
    while (magnitude / unit >= 10) unit *= 10;
    for (; unit > 0; unit /= 10) this.byte(0x30 + <u32>((magnitude / unit) % 10));
  }

  /** Text from outside, so that it cannot break the line or steer a terminal. */
  quote(start: usize, length: u32): void {
    const shown: u32 = length > 60 ? 57 : length;
    this.byte(0x22);
    for (let i: u32 = 0; i < shown; i++) {
      const value = load<u8>(start + i);
      if (value >= 0x20 && value < 0x7f) {
        this.byte(value);
      } else {
        this.say('\\x');
        this.byte(hexDigit(value >> 4));
        this.byte(hexDigit(value & 15));
      }
    }
    if (shown < length) this.say('...');
    this.byte(0x22);
  }
}

export function hexDigit(value: u32): u32 {
  return value < 10 ? 0x30 + value : 0x57 + value;
}

/** Whether bytes are what a literal says. */
export function isText(start: usize, length: u32, ascii: string): bool {
  if (length != <u32>ascii.length) return false;
  for (let i = 0; i < ascii.length; i++) if (<i32>load<u8>(start + i) != ascii.charCodeAt(i)) return false;
  return true;
}

/** The length of text that ends with a NUL. */
export function lengthOf(start: usize): u32 {
  let end = start;
  while (load<u8>(end)) end++;
  return <u32>(end - start);
}
