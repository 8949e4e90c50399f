// As much of the Protocol Buffers wire format as small messages need (protobuf.dev/programming-guides/encoding).
import { FileError } from './errors.ts';

/** A field as it is on the wire: varints and fixed numbers as integers, the rest as bytes. */
export type WireValue = bigint | Uint8Array;

export interface WireField {
  number: number;
  /** Wire type 0, 1 and 5 give a bigint (unsigned), 2 gives bytes. */
  value: WireValue;
}

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/**
 * The fields of a message in their order. Lengths are compared with what is left before they are used.
 *
 * @param where names the message in errors
 * @throws FileError 'bad-message'
 */
export function* readFields(message: Uint8Array, where: string): Generator<WireField> {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  let at = 0;
  const bad = (expected: string, got: string): FileError =>
    new FileError('bad-message', {
      where: `${where}: byte ${at}`,
      expected,
      got,
      hint: 'The file is damaged or is no protobuf message of this kind: download or export it again.',
    });
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = message[at];
      if (byte === undefined) throw bad('a number', 'the end of the message');
      at++;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw bad('a number of at most ten bytes', 'a longer one');
  };
  const take = (count: number): number => {
    if (count > message.length - at) throw bad(`${count} bytes`, `${message.length - at}`);
    const start = at;
    at += count;
    return start;
  };
  while (at < message.length) {
    const tag = Number(varint());
    const number = Math.floor(tag / 8);
    const type = tag % 8;
    if (number < 1 || number >= 2 ** 29) throw bad('a field number in 1 .. 2^29 − 1', String(number));
    if (type === VARINT) yield { number, value: varint() };
    else if (type === FIXED64) yield { number, value: view.getBigUint64(take(8), true) };
    else if (type === FIXED32) yield { number, value: BigInt(view.getUint32(take(4), true)) };
    else if (type === BYTES) {
      const length = Number(varint());
      const start = take(length);
      yield { number, value: message.subarray(start, start + length) };
    } else throw bad('a wire type of 0, 1, 2 or 5', String(type));
  }
}

/** Collects the fields of a message. */
export class MessageWriter {
  readonly #bytes: number[] = [];

  /** Integers, booleans and enumerations; negative ones take ten bytes, as the format has it. */
  int(field: number, value: number | boolean): this {
    this.#varint(BigInt(field * 8 + VARINT));
    this.#varint(BigInt.asUintN(64, BigInt(value)));
    return this;
  }

  float(field: number, value: number): this {
    this.#varint(BigInt(field * 8 + FIXED32));
    this.#bytes.push(...new Uint8Array(Float32Array.of(value).buffer));
    return this;
  }

  double(field: number, value: number): this {
    this.#varint(BigInt(field * 8 + FIXED64));
    this.#bytes.push(...new Uint8Array(Float64Array.of(value).buffer));
    return this;
  }

  bytes(field: number, value: Uint8Array): this {
    this.#varint(BigInt(field * 8 + BYTES));
    this.#varint(BigInt(value.length));
    for (const byte of value) this.#bytes.push(byte);
    return this;
  }

  string(field: number, value: string): this {
    return this.bytes(field, new TextEncoder().encode(value));
  }

  done(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }

  #varint(value: bigint): void {
    let rest = value;
    for (; rest >= 0x80n; rest >>= 7n) this.#bytes.push(Number(rest & 0x7fn) | 0x80);
    this.#bytes.push(Number(rest));
  }
}
