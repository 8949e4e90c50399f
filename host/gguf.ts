import { FileError, quote } from './errors.ts';
import { GGML_TYPES, GgufType } from './ggml-types.ts';
import { NeedBytes, Reader } from './gguf-reader.ts';
import { type ArrayBudget, describe, plainValue, readValue, type StoredValue } from './gguf-values.ts';
import type { Metadata } from './model-file.ts';

/** A tensor as a GGUF file describes it, checked against the file's length. */
export interface GgufTensor {
  name: string;
  /** ggml's number of the type and its name, `Q8_0`. */
  ggmlType: number;
  typeName: string;
  /** Fastest first, the reverse of PyTorch: [cols, rows]. */
  dims: number[];
  elements: number;
  /** Of the first byte in the file. */
  offset: number;
  bytes: number;
}

/** Everything in a GGUF file but the weights. */
export interface GgufHeader {
  version: number;
  alignment: number;
  values: ReadonlyMap<string, StoredValue>;
  /** `values` as users get them, made when first asked for. */
  readonly metadata: Metadata;
  /** The `GgufType` that each key was stored with: 5 may be an integer or a float. */
  valueTypes: Map<string, number>;
  tensors: GgufTensor[];
  /** Where tensor data begin in the file. */
  dataOffset: number;
}

// Real files have dozens of keys and at most some thousand tensors; the limits bound what a hostile header of many tiny
// entries can cost.
const MAX_KEYS = 65536;
const MAX_TENSORS = 65536;
const ARRAY_BUDGET = 2 ** 20;
const MAX_KEY_BYTES = 65535;
const MAX_NAME_BYTES = 64;
const DEFAULT_ALIGNMENT = 32;
const DAMAGED = 'The file is damaged.';

/**
 * Reads the header of a GGUF file, version 2 or 3, little-endian (ggml docs/gguf.md).
 *
 * @param bytes the leading bytes of the file, as many as are at hand
 * @param fileSize the length of the whole file
 * @param name for messages
 * @returns the header, or, if `bytes` ends too early, how many leading bytes are needed to get further: more than
 *   `bytes.length`, at most `fileSize`
 * @throws FileError for anything that is not a well-formed header whose tensors lie inside the file without overlap
 */
export function parseGguf(bytes: Uint8Array, fileSize: number, name: string): GgufHeader | number {
  if (fileSize === 0) {
    throw new FileError('file-empty', {
      where: name,
      expected: 'a GGUF file',
      got: 'an empty file',
      hint: 'Download or copy it again.',
    });
  }
  try {
    return readHeader(new Reader(bytes, fileSize, name));
  } catch (error) {
    if (error instanceof NeedBytes) return error.end;
    throw error;
  }
}

function readHeader(r: Reader): GgufHeader {
  const version = readVersion(r);
  r.at = 'tensor count';
  // name length and 1 byte, dimension count, 1 dimension, type, offset
  const tensorCount = r.count('tensors', 8 + 1 + 4 + 8 + 4 + 8, MAX_TENSORS);
  r.at = 'key count';
  // key length and 1 byte, type, 1 byte of value
  const keyCount = r.count('keys', 8 + 1 + 4 + 1, MAX_KEYS);

  const values = new Map<string, StoredValue>();
  const valueTypes = new Map<string, number>();
  const arrays: ArrayBudget = { left: ARRAY_BUDGET };
  for (let i = 0; i < keyCount; i++) {
    const key = readKey(r, i, values);
    const type = r.u32();
    values.set(key, readValue(r, type, arrays));
    valueTypes.set(key, type);
  }
  const alignment = checkedAlignment(r, values, valueTypes);

  const tensors: GgufTensor[] = [];
  const names = new Set<string>();
  for (let i = 0; i < tensorCount; i++) tensors.push(readTensor(r, i, names, alignment));
  const dataOffset = Math.ceil(r.pos / alignment) * alignment;
  r.at = 'tensor data';
  placeTensors(r, tensors, dataOffset);
  let metadata: Metadata | undefined;
  return {
    version,
    alignment,
    values,
    get metadata() {
      metadata ??= new Map(Array.from(values, ([key, value]) => [key, plainValue(value)]));
      return metadata;
    },
    valueTypes,
    tensors,
    dataOffset,
  };
}

function readVersion(r: Reader): number {
  r.at = 'magic number';
  const magic = r.u32();
  if (magic === 0x47475546) throw bigEndian(r);
  if (magic !== 0x46554747) {
    r.pos = 0;
    const got = quote(String.fromCharCode(...r.bytes.subarray(0, 4)));
    throw r.error('bad-magic', '"GGUF"', got, 'This is not a GGUF file.');
  }
  r.at = 'version';
  const version = r.u32();
  if (version !== 0 && version % 65536 === 0) throw bigEndian(r);
  if (version !== 2 && version !== 3) {
    const hint =
      version === 1
        ? 'Convert the model again with a current converter.'
        : 'Cria may be too old for this file.';
    throw r.error('bad-version', 'GGUF version 2 or 3', `${version}`, hint);
  }
  return version;
}

function bigEndian(r: Reader): FileError {
  return r.error(
    'bad-version',
    'a little-endian file',
    'a big-endian one',
    'Convert it with gguf_convert_endian.py of llama.cpp, or download the little-endian file.',
  );
}

function readKey(r: Reader, index: number, values: ReadonlyMap<string, StoredValue>): string {
  r.at = `key ${index}`;
  const start = r.pos;
  const key = r.string();
  const length = r.pos - start - 8;
  if (length === 0 || length > MAX_KEY_BYTES) {
    throw r.error('bad-key', `a name of 1 to ${MAX_KEY_BYTES} bytes`, `${length} bytes`, DAMAGED);
  }
  r.at = `key ${quote(key)}`;
  if (values.has(key)) throw r.error('duplicate-key', 'each key once', 'the same key again', DAMAGED);
  return key;
}

function checkedAlignment(
  r: Reader,
  values: ReadonlyMap<string, StoredValue>,
  valueTypes: Map<string, number>,
): number {
  const value = values.get('general.alignment');
  if (value === undefined) return DEFAULT_ALIGNMENT;
  r.at = 'key "general.alignment"';
  const powerOfTwo = typeof value === 'number' && value >= 8 && value <= 65536 && (value & (value - 1)) === 0;
  if (valueTypes.get('general.alignment') !== GgufType.u32 || !powerOfTwo) {
    throw r.error('bad-alignment', 'a power of two from 8 to 65536, stored as u32', describe(value), DAMAGED);
  }
  return value;
}

/** The tensor's `offset` is still relative to the data's beginning, which is known only after the last entry. */
function readTensor(r: Reader, index: number, names: Set<string>, alignment: number): GgufTensor {
  r.at = `tensor ${index}`;
  const start = r.pos;
  const name = r.string();
  const length = r.pos - start - 8;
  if (length === 0 || length > MAX_NAME_BYTES) {
    throw r.error('bad-tensor-name', `a name of 1 to ${MAX_NAME_BYTES} bytes`, `${length} bytes`, DAMAGED);
  }
  r.at = `tensor ${quote(name)}`;
  if (names.has(name)) throw r.error('duplicate-tensor', 'each name once', 'the same name again', DAMAGED);
  names.add(name);

  const dims = readDims(r);
  const ggmlType = r.u32();
  const type = GGML_TYPES.get(ggmlType);
  if (type === undefined) {
    throw r.error(
      'unknown-dtype',
      'a tensor type that ggml defines',
      `type ${ggmlType}`,
      'Cria may be too old for this file.',
    );
  }
  if (dims[0]! % type.values !== 0) {
    const expected = `rows of a multiple of ${type.values} values, the block of ${type.name}`;
    throw r.error('bad-dimensions', expected, `${dims[0]}`, DAMAGED);
  }
  const elements = dims.reduce((product, dim) => product * dim, 1);
  const bytes = (elements / type.values) * type.bytes;
  if (elements > Number.MAX_SAFE_INTEGER || bytes > Number.MAX_SAFE_INTEGER) {
    throw r.error('size-overflow', 'a size below 2^53', dims.join(' × '), DAMAGED);
  }
  const offset = r.u64();
  if (typeof offset === 'bigint' || offset % alignment !== 0) {
    throw r.error('bad-offset', `a multiple of ${alignment} below 2^53`, `${offset}`, DAMAGED);
  }
  return { name, ggmlType, typeName: type.name, dims, elements, offset, bytes };
}

function readDims(r: Reader): number[] {
  const count = r.u32();
  if (count < 1 || count > 4) throw r.error('bad-dimensions', '1 to 4 dimensions', `${count}`, DAMAGED);
  const dims: number[] = [];
  for (let i = 0; i < count; i++) {
    const dim = r.u64();
    if (dim === 0) throw r.error('bad-dimensions', 'dimensions of at least 1', '0', DAMAGED);
    if (typeof dim === 'bigint') throw r.error('size-overflow', 'a dimension below 2^53', `${dim}`, DAMAGED);
    dims.push(dim);
  }
  return dims;
}

/** Makes offsets absolute, and checks that each tensor lies inside the file and apart from the others. */
function placeTensors(r: Reader, tensors: GgufTensor[], dataOffset: number): void {
  for (const tensor of tensors) {
    tensor.offset += dataOffset;
    // Both terms are below 2^54, where the sum may be rounded but cannot fall below a file size of less than 2^53.
    if (tensor.offset + tensor.bytes > r.fileSize) {
      r.at = `tensor ${quote(tensor.name)}`;
      const got = `bytes ${tensor.offset} to ${tensor.offset + tensor.bytes}`;
      const expected = `data within the file's ${r.fileSize} bytes`;
      throw r.error(
        'tensor-outside-file',
        expected,
        got,
        'The file is incomplete: download or copy it again.',
      );
    }
  }
  const inOrder = [...tensors].sort((a, b) => a.offset - b.offset);
  for (let i = 1; i < inOrder.length; i++) {
    const before = inOrder[i - 1]!;
    const tensor = inOrder[i]!;
    if (before.offset + before.bytes > tensor.offset) {
      r.at = `tensor ${quote(tensor.name)}`;
      const expected = `data after byte ${before.offset + before.bytes}, where ${quote(before.name)} ends`;
      throw r.error('tensor-overlap', expected, `byte ${tensor.offset}`, DAMAGED);
    }
  }
}
