import { type ErrorCode, FileError } from './errors.ts';
import { decodeUtf8, TextList } from './text-list.ts';

/** Thrown when the prefix ends before the header does; `parseGguf` turns it into its return value. */
export class NeedBytes {
  /** Leading bytes of the file that must be there to get further. */
  readonly end: number;
  constructor(end: number) {
    this.end = end;
  }
}

/**
 * A cursor over the leading bytes of a file. Every read is checked against the file's length first, so no field of
 * the file can make it read, or a caller allocate, more than the file holds. All numbers are little-endian.
 *
 * A length that could not fit in the whole file is reported as wrong (`bad-string`, `bad-count`); one that only runs
 * past the end is reported as `file-truncated`, which is what an interrupted download looks like.
 */
export class Reader {
  readonly bytes: Uint8Array;
  readonly fileSize: number;
  readonly name: string;
  pos = 0;
  /** What is being read, for messages. */
  at = 'header';
  readonly #view: DataView;

  constructor(bytes: Uint8Array, fileSize: number, name: string) {
    this.bytes = bytes.length > fileSize ? bytes.subarray(0, fileSize) : bytes;
    this.fileSize = fileSize;
    this.name = name;
    this.#view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
  }

  /** An error about the bytes at the cursor. */
  error(code: ErrorCode, expected: string, got: string, hint: string): FileError {
    return new FileError(code, { where: `${this.name}: ${this.at} (byte ${this.pos})`, expected, got, hint });
  }

  /** Makes sure that `count` more bytes can be read. */
  need(count: number): void {
    const end = this.pos + count;
    if (end > this.fileSize) {
      throw this.error(
        'file-truncated',
        `${count} more bytes`,
        `${this.fileSize - this.pos} before the end of the file`,
        'The file is incomplete: download or copy it again.',
      );
    }
    if (end > this.bytes.length) throw new NeedBytes(end);
  }

  u8(): number {
    this.need(1);
    return this.#view.getUint8(this.pos++);
  }

  i8(): number {
    this.need(1);
    return this.#view.getInt8(this.pos++);
  }

  u16(): number {
    this.need(2);
    return this.#view.getUint16((this.pos += 2) - 2, true);
  }

  i16(): number {
    this.need(2);
    return this.#view.getInt16((this.pos += 2) - 2, true);
  }

  u32(): number {
    this.need(4);
    return this.#view.getUint32((this.pos += 4) - 4, true);
  }

  i32(): number {
    this.need(4);
    return this.#view.getInt32((this.pos += 4) - 4, true);
  }

  f32(): number {
    this.need(4);
    return this.#view.getFloat32((this.pos += 4) - 4, true);
  }

  f64(): number {
    this.need(8);
    return this.#view.getFloat64((this.pos += 8) - 8, true);
  }

  /** A number where that is exact, else a bigint. */
  u64(): number | bigint {
    this.need(8);
    const low = this.#view.getUint32(this.pos, true);
    const high = this.#view.getUint32(this.pos + 4, true);
    this.pos += 8;
    return high < 2 ** 21 ? high * 2 ** 32 + low : (BigInt(high) << 32n) | BigInt(low);
  }

  i64(): number | bigint {
    this.need(8);
    const value = this.#view.getBigInt64((this.pos += 8) - 8, true);
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  bool(): boolean {
    const value = this.u8();
    if (value > 1) {
      this.pos--;
      throw this.error('bad-value', 'a boolean stored as 0 or 1', `${value}`, 'The file is damaged.');
    }
    return value === 1;
  }

  /** A u64 count of things that take at least `itemBytes` each. */
  count(what: string, itemBytes: number, most: number = Number.MAX_SAFE_INTEGER): number {
    const start = this.pos;
    const value = this.u64();
    if (typeof value === 'bigint' || value > most || value * itemBytes > this.fileSize) {
      this.pos = start;
      const limit = Math.min(most, Math.floor(this.fileSize / itemBytes));
      throw this.error(
        'bad-count',
        `at most ${limit} ${what} (file of ${this.fileSize} bytes)`,
        `${value}`,
        'The file is damaged or incomplete: download it again.',
      );
    }
    return value;
  }

  /** A u64 length and that many bytes of UTF-8. */
  string(): string {
    const start = this.pos;
    const length = this.u64();
    if (typeof length === 'bigint' || length > this.fileSize) {
      this.pos = start;
      throw this.error(
        'bad-string',
        `a string that fits in ${this.fileSize} bytes`,
        `length ${length}`,
        'The file is damaged.',
      );
    }
    this.need(length);
    const end = (this.pos += length);
    try {
      return decodeUtf8(this.bytes.subarray(end - length, end));
    } catch {
      this.pos = start;
      throw this.error(
        'bad-string',
        'UTF-8',
        `${length} bytes that are not`,
        'The file is damaged or was written by a faulty program.',
      );
    }
  }

  /** `count` of what `string` reads, each at least 8 bytes that are in the file. */
  strings(count: number): TextList {
    const first = this.pos;
    const starts = new Uint32Array(count);
    const ends = new Uint32Array(count);
    for (let i = 0; i < count; ) {
      const run = this.pos;
      // Lengths below 128 are ASCII, one character and seven NULs: so the run is UTF-8 if and only if every string in
      // it is, and is checked as one. A vocabulary is such a run.
      const last = this.#skipShortStrings(first, i, starts, ends);
      if (last > i && !isUtf8(this.bytes.subarray(run, this.pos))) {
        // one by one, until the one that is not UTF-8 is told
        this.pos = run;
        for (; i < last; i++) this.string();
      }
      i = last;
      if (i === count) break;
      starts[i] = this.pos + 8 - first;
      this.string();
      ends[i++] = this.pos - first;
      if (this.pos - first >= 2 ** 32) {
        throw this.error('bad-count', 'lists of strings below 4 GiB', 'a longer one', 'The file is damaged.');
      }
    }
    return new TextList(this.bytes.slice(first, this.pos), starts, ends);
  }

  /** Moves past the strings of less than 128 bytes that are at hand, from the `i`th on; returns the first that is not. */
  #skipShortStrings(first: number, i: number, starts: Uint32Array, ends: Uint32Array): number {
    const { bytes } = this;
    let { pos } = this;
    for (; i < starts.length && pos + 8 <= bytes.length; i++) {
      const length = this.#view.getUint32(pos, true);
      const end = pos + 8 + length;
      if (length >= 128 || end > bytes.length || this.#view.getUint32(pos + 4, true) !== 0) break;
      starts[i] = pos + 8 - first;
      ends[i] = end - first;
      pos = end;
    }
    this.pos = pos;
    return i;
  }
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    decodeUtf8(bytes);
    return true;
  } catch {
    return false;
  }
}
