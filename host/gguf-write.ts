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

/** A tensor to write. */
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

/** Bytes that grow; numbers are little-endian. */
class Writer {
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(4096);
  #view: DataView = new DataView(this.#bytes.buffer);
  #length = 0;

  #grow(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const bytes = new Uint8Array(2 * this.#length);
      bytes.set(this.#bytes);
      this.#bytes = bytes;
      this.#view = new DataView(bytes.buffer);
    }
    return at;
  }

  number(type: Numeric, value: number | bigint): void {
    const [bytes, set] = NUMBERS[type];
    const at = this.#grow(bytes); // may replace the view
    set(this.#view, at, value);
  }

  string(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.number('u64', bytes.length);
    const at = this.#grow(bytes.length);
    this.#bytes.set(bytes, at);
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

  /** Zeros up to the next multiple of `alignment`. */
  pad(alignment: number): void {
    this.#grow((alignment - (this.#length % alignment)) % alignment);
  }

  done(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
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
  const padded = (bytes: number): number => Math.ceil(bytes / alignment) * alignment;
  let offset = 0;
  for (const tensor of tensors) {
    header.string(tensor.name);
    header.number('u32', tensor.dims.length);
    for (const dim of tensor.dims) header.number('u64', dim);
    header.number('u32', tensor.ggmlType);
    header.number('u64', offset);
    offset += padded(tensorBytes(tensor));
  }
  header.pad(alignment);
  yield header.done();

  for (const tensor of tensors) {
    const data = typeof tensor.data === 'function' ? tensor.data() : tensor.data;
    const expected = tensorBytes(tensor);
    if (data.length !== expected) {
      throw new RangeError(`${tensor.name}: expected ${expected} bytes of data, got ${data.length}`);
    }
    yield data;
    if (padded(expected) > expected) yield new Uint8Array(padded(expected) - expected);
  }
}

/** A whole GGUF file in memory; see `ggufChunks`. */
export function writeGguf(
  metadata: Iterable<readonly [key: string, value: GgufValue]>,
  tensors: readonly GgufTensorData[],
  alignment = 32,
): Uint8Array {
  const chunks = [...ggufChunks(metadata, tensors, alignment)];
  const file = new Uint8Array(chunks.reduce((length, chunk) => length + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    file.set(chunk, at);
    at += chunk.length;
  }
  return file;
}
