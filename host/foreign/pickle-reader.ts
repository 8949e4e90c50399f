import { FileError } from '../errors.ts';

/** The bytes of a pickle, read one after the other. */
export class PickleReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #name: string;
  at = 0;

  /** @param name for messages */
  constructor(bytes: Uint8Array, name: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#name = name;
  }

  /** @throws FileError 'bad-pickle' if there are fewer left */
  take(count: number): Uint8Array {
    if (this.at + count > this.#bytes.length) throw this.broken(`${count} more bytes`);
    this.at += count;
    return this.#bytes.subarray(this.at - count, this.at);
  }

  byte(): number {
    return this.take(1)[0]!;
  }

  u16(): number {
    this.take(2);
    return this.#view.getUint16(this.at - 2, true);
  }

  u32(): number {
    this.take(4);
    return this.#view.getUint32(this.at - 4, true);
  }

  /** The one number of a pickle that has its high byte first. */
  f64(): number {
    this.take(8);
    return this.#view.getFloat64(this.at - 8);
  }

  /** Two's complement, the lowest byte first. */
  long(length: number): number {
    const bytes = this.take(length);
    const value = bytes.reduceRight((sum, byte) => sum * 256 + byte, 0);
    return length > 0 && bytes[length - 1]! > 127 ? value - 256 ** length : value;
  }

  text(length: number): string {
    return new TextDecoder().decode(this.take(length));
  }

  line(): string {
    const end = this.#bytes.indexOf(0x0a, this.at);
    if (end < 0) throw this.broken('a line');
    const text = this.text(end - this.at);
    this.at++;
    return text;
  }

  /** What to throw where a pickle goes on otherwise than one can. */
  broken(expected: string): FileError {
    return new FileError('bad-pickle', {
      where: `${this.#name}: byte ${this.at}`,
      expected,
      got: 'none',
      hint: 'The file is damaged: download it again.',
    });
  }
}
