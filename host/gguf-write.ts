import { GGML_TYPES, GgufType, type GgufTypeName } from './ggml-types.ts';

type Numeric = Exclude<GgufTypeName, 'bool' | 'string' | 'array'>;

/** A metadata value with the type that it is stored as. */
export type GgufValue =
  | { type: Numeric; value: number | bigint }
  | { type: 'bool'; value: boolean }
  | { type: 'string'; value: string }
  | { type: 'array'; of: Numeric; value: ArrayLike<number> | ArrayLike<bigint> }
  | { type: 'array'; of: 'string'; value: readonly string[] }
  | { type: 'array'; of: 'bool'; value: readonly boolean[] };

/** A tensor to write. @internal */
export interface GgufTensorData {
  name: string;
  /** Fastest first: [cols, rows]. */
  dims: readonly number[];
  /** ggml's number of the type. */
  ggmlType: number;
  /** The bytes, or what makes them once the tensors before have been written. */
  data: Uint8Array | (() => Uint8Array);
}

/** Bytes of a number, and how it is put there. */
const NUMBERS: Record<
  Numeric,
  [bytes: number, set: (view: DataView, at: number, x: number | bigint) => void]
> = {
  u8: [1, (view, at, x) => view.setUint8(at, Number(x))],
  i8: [1, (view, at, x) => view.setInt8(at, Number(x))],
  u16: [2, (view, at, x) => view.setUint16(at, Number(x), true)],
  i16: [2, (view, at, x) => view.setInt16(at, Number(x), true)],
  u32: [4, (view, at, x) => view.setUint32(at, Number(x), true)],
  i32: [4, (view, at, x) => view.setInt32(at, Number(x), true)],
  f32: [4, (view, at, x) => view.setFloat32(at, Number(x), true)],
  u64: [8, (view, at, x) => view.setBigUint64(at, BigInt(x), true)],
  i64: [8, (view, at, x) => view.setBigInt64(at, BigInt(x), true)],
  f64: [8, (view, at, x) => view.setFloat64(at, Number(x), true)],
};

/** Collects pieces of bytes; numbers are little-endian. */
class Writer {
  readonly #pieces: Uint8Array[] = [];

  number(type: Numeric, value: number | bigint): void {
    const [length, set] = NUMBERS[type];
    const piece = new Uint8Array(length);
    set(new DataView(piece.buffer), 0, value);
    this.#pieces.push(piece);
  }

  string(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.number('u64', bytes.length);
    this.#pieces.push(bytes);
  }

  value(entry: GgufValue): void {
    this.number('u32', GgufType[entry.type]);
    if (entry.type === 'bool') this.number('u8', entry.value ? 1 : 0);
    else if (entry.type === 'string') this.string(entry.value);
    else if (entry.type !== 'array') this.number(entry.type, entry.value);
    else {
      this.number('u32', GgufType[entry.of]);
      this.number('u64', entry.value.length);
      for (let i = 0; i < entry.value.length; i++) {
        if (entry.of === 'string') this.string(entry.value[i]!);
        else if (entry.of === 'bool') this.number('u8', entry.value[i]! ? 1 : 0);
        else this.number(entry.of, entry.value[i]!);
      }
    }
  }

  done(): Uint8Array {
    return concat(this.#pieces);
  }
}

function concat(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

function tensorBytes({ name, dims, ggmlType }: GgufTensorData): number {
  const type = GGML_TYPES.get(ggmlType);
  if (type === undefined || dims[0]! % type.values !== 0) {
    throw new RangeError(`${name}: rows of ${dims[0]} values cannot be stored as ggml type ${ggmlType}`);
  }
  return (dims.reduce((product, dim) => product * dim, 1) / type.values) * type.bytes;
}

/**
 * A GGUF version 3 file in pieces: the header, then each tensor with its padding, made when it is its turn. Keys are
 * written in the order given; `general.alignment` is added where it is not the default.
 *
 * @throws RangeError (plain: a fault of the program) if a tensor's data do not have the length that its shape and type say
 * @internal
 */
export function* ggufChunks(
  metadata: Iterable<readonly [key: string, value: GgufValue]>,
  tensors: readonly GgufTensorData[],
  alignment = 32,
): Generator<Uint8Array> {
  const entries = [...metadata];
  if (alignment !== 32) entries.push(['general.alignment', { type: 'u32', value: alignment }]);
  const header = new Writer();
  header.number('u32', 0x46554747); // "GGUF"
  header.number('u32', 3);
  header.number('u64', tensors.length);
  header.number('u64', entries.length);
  for (const [key, value] of entries) {
    header.string(key);
    header.value(value);
  }
  const gap = (bytes: number): number => (alignment - (bytes % alignment)) % alignment;
  let offset = 0;
  for (const tensor of tensors) {
    header.string(tensor.name);
    header.number('u32', tensor.dims.length);
    for (const dim of tensor.dims) header.number('u64', dim);
    header.number('u32', tensor.ggmlType);
    header.number('u64', offset);
    const bytes = tensorBytes(tensor);
    offset += bytes + gap(bytes);
  }
  const start = header.done();
  yield start;
  yield new Uint8Array(gap(start.length));

  for (const tensor of tensors) {
    const data = typeof tensor.data === 'function' ? tensor.data() : tensor.data;
    const expected = tensorBytes(tensor);
    if (data.length !== expected) {
      throw new RangeError(`${tensor.name}: expected ${expected} bytes of data, got ${data.length}`);
    }
    yield data;
    yield new Uint8Array(gap(expected));
  }
}

/** A whole GGUF file in memory; see `ggufChunks`. @internal */
export function writeGguf(
  metadata: Iterable<readonly [key: string, value: GgufValue]>,
  tensors: readonly GgufTensorData[],
  alignment = 32,
): Uint8Array {
  return concat([...ggufChunks(metadata, tensors, alignment)]);
}
