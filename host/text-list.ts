// Strict, and a byte order mark stays part of the text: strings are compared, not only shown.
const DECODER = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** @throws TypeError for bytes that are not UTF-8 */
export function decodeUtf8(bytes: Uint8Array): string {
  return DECODER.decode(bytes);
}

/**
 * Strings as the UTF-8 that a file holds, made when they are asked for: a first token needs a handful of a vocabulary's
 * 32,000, and as many objects cost 10 ms of a fresh process, half of them in its garbage collector.
 */
export class TextList {
  /** Text i is bytes `starts[i]` to `ends[i]`, well-formed UTF-8. */
  readonly bytes: Uint8Array;
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;

  constructor(bytes: Uint8Array, starts: Uint32Array, ends: Uint32Array) {
    this.bytes = bytes;
    this.starts = starts;
    this.ends = ends;
  }

  static of(texts: readonly string[]): TextList {
    const encoder = new TextEncoder();
    const bytes = new Uint8Array(texts.reduce((sum, text) => sum + 3 * text.length, 0));
    const starts = new Uint32Array(texts.length);
    const ends = new Uint32Array(texts.length);
    for (let i = 0, at = 0; i < texts.length; i++) {
      starts[i] = at;
      at += encoder.encodeInto(texts[i]!, bytes.subarray(at)).written;
      ends[i] = at;
    }
    return new TextList(bytes, starts, ends);
  }

  get length(): number {
    return this.starts.length;
  }

  /** Undefined for what is no index. */
  at(index: number): string | undefined {
    const start = this.starts[index];
    if (start === undefined) return undefined;
    const { bytes } = this;
    const end = this.ends[index]!;
    // most pieces are short and ASCII: half the time of the decoder
    let text = '';
    for (let i = start; end - start <= 16; i++) {
      if (i === end) return text;
      const byte = bytes[i]!;
      if (byte >= 0x80) break;
      text += String.fromCharCode(byte);
    }
    return decodeUtf8(bytes.subarray(start, end));
  }

  toArray(): string[] {
    return Array.from(this.starts, (_, i) => this.at(i)!);
  }
}
