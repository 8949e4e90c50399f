// The header of a GGUF file, version 2 or 3, little-endian (ggml docs/gguf.md): the rules of host/gguf.ts, in its order.

import { at, fail } from './errors';
import { fileSize } from './file';
import { take } from './memory';
import { Names } from './names';
import {
  DAMAGED, here, isSafe, keepBytes, keepHeader, need, pos, readCount, readSafe, readString, readU32, skip,
} from './reader';
import { sort } from './sort';
import { blockBytes, blockValues } from './types';

/** Types of values. */
export const U8: u32 = 0, I8: u32 = 1, U16: u32 = 2, I16: u32 = 3, U32: u32 = 4, I32: u32 = 5, F32: u32 = 6, BOOL: u32 = 7,
  STRING: u32 = 8, ARRAY: u32 = 9, U64: u32 = 10, I64: u32 = 11, F64: u32 = 12;
/** Bytes of a value of each type, 0 where that is not one number. */
const VALUE_BYTES = memory.data<u8>([1, 1, 2, 2, 4, 4, 4, 0, 0, 0, 8, 8, 8]);

const HEAD_BYTES = 24;
const MAX_KEYS = 65536;
const MAX_TENSORS = 65536;
const MAX_KEY_BYTES: u32 = 65535;
const MAX_NAME_BYTES: u32 = 64;
const MAX_DEPTH = 4;
const DEFAULT_ALIGNMENT = 32;
/** Above it an f64 skips integers. */
const MAX_SAFE: f64 = 9007199254740991;

/** What the header may still spend on arrays and booleans (host/gguf-values.ts). */
let budget: i32 = 1 << 20;

/** A tensor as the file describes it. */
@unmanaged
export class FileTensor {
  /** Fastest first: (cols, rows, …). */
  dim0: u64;
  dim1: u64;
  dim2: u64;
  dim3: u64;
  elements: u64;
  /** Of the first byte in the file. */
  offset: u64;
  bytes: u64;
  dims: u32;
  type: u32;
}

let keyCount: u32 = 0;
export let keys: Names = changetype<Names>(0);
/** Per key: the type of its value, and where that stands. */
let keyTypes: usize = 0;
let keyValues: usize = 0;
export let tensorCount: u32 = 0;
export let tensorNames: Names = changetype<Names>(0);
let tensors: usize = 0;

export function tensorAt(index: u32): FileTensor {
  return changetype<FileTensor>(tensors + <usize>index * offsetof<FileTensor>());
}

export function typeOfKey(key: u32): u32 {
  return load<u32>(keyTypes + (<usize>key << 2));
}

/** The address of a key's value, as the file has it: unaligned. */
export function valueOfKey(key: u32): usize {
  return load<u32>(keyValues + (<usize>key << 2));
}

export function readHeader(): void {
  at('header');
  if (fileSize == 0) fail('file-empty', 'a GGUF file', 'an empty file', 'Download or copy it again.');
  keepBytes(HEAD_BYTES);
  readVersion();
  at('tensor count');
  tensorCount = <u32>readCount(8 + 1 + 4 + 8 + 4 + 8, MAX_TENSORS);
  at('key count');
  keyCount = <u32>readCount(8 + 1 + 4 + 1, MAX_KEYS);
  keys = Names.make(keyCount);
  keyTypes = take(<u64>keyCount * 4);
  keyValues = take(<u64>keyCount * 4);
  tensorNames = Names.make(tensorCount);
  tensors = take(<u64>tensorCount * offsetof<FileTensor>());
  const order = take(<u64>tensorCount * 4);
  keepHeader();
  for (let i: u32 = 0; i < keyCount; i++) readKey(i);
  const alignment = readAlignment();
  for (let i: u32 = 0; i < tensorCount; i++) readTensor(i, alignment);
  placeTensors((pos + alignment - 1) & ~(alignment - 1), order);
}

function readVersion(): void {
  at('magic number');
  const magic = readU32();
  if (magic == 0x47475546) bigEndian();
  if (magic != 0x46554747) fail('bad-magic', '"GGUF"', 'other bytes', 'This is not a GGUF file.');
  at('version');
  const version = readU32();
  if (version != 0 && (version & 0xffff) == 0) bigEndian();
  if (version == 1) fail('bad-version', 'GGUF version 2 or 3', '1', 'Convert the model again with a current converter.');
  if (version != 2 && version != 3) {
    fail('bad-version', 'GGUF version 2 or 3', '#', 'Cria may be too old for this file.', version);
  }
}

function bigEndian(): void {
  const hint = 'Convert it with gguf_convert_endian.py of llama.cpp, or download the little-endian file.';
  fail('bad-version', 'a little-endian file', 'a big-endian one', hint);
}

function readKey(index: u32): void {
  at('key');
  const length = readString();
  const start = here() - length;
  if (length == 0 || length > MAX_KEY_BYTES) fail('bad-key', 'a name of 1 to 65535 bytes', '# bytes', DAMAGED, length);
  keys.put(index, start, length);
  at('key', start, length);
  if (keys.enter(index) >= 0) fail('duplicate-key', 'each key once', 'the same key again', DAMAGED);
  const type = readU32();
  store<u32>(keyTypes + (<usize>index << 2), type);
  store<u32>(keyValues + (<usize>index << 2), here());
  skipValue(type);
}

function skipBool(): void {
  skip(1);
  if (load<u8>(here() - 1) > 1) fail('bad-value', 'a boolean stored as 0 or 1', 'another number', DAMAGED);
}

function skipValue(type: u32): void {
  if (type == STRING) readString();
  else if (type == BOOL) skipBool();
  else if (type == ARRAY) skipArray(1);
  else if (type > F64) fail('bad-value-type', 'a value type from 0 to 12', '#', DAMAGED, type);
  else skip(load<u8>(VALUE_BYTES + type));
}

function skipArray(depth: i32): void {
  if (depth > MAX_DEPTH) fail('bad-value', 'arrays nested at most 4 deep', 'a deeper one', DAMAGED);
  spend(16);
  const type = readU32();
  if (type > F64) fail('bad-value-type', 'items of a type from 0 to 12', '#', DAMAGED, type);
  const itemBytes: u64 = load<u8>(VALUE_BYTES + type);
  if (itemBytes > 0) {
    skip(readCount(itemBytes) * itemBytes);
    return;
  }
  const least: u64 = type == STRING ? 8 : type == BOOL ? 1 : 4 + 8;
  const count = readCount(least);
  need(count * least);
  if (type == BOOL) spend(count);
  for (let i: u64 = 0; i < count; i++) {
    if (type == STRING) readString();
    else if (type == BOOL) skipBool();
    else skipArray(depth + 1);
  }
}

function spend(cost: u64): void {
  if (cost > <u64>budget) fail('bad-count', 'fewer arrays and booleans', 'one too many', DAMAGED);
  budget -= <i32>cost;
}

function readAlignment(): u64 {
  const key = findKey('general.alignment');
  if (key < 0) return DEFAULT_ALIGNMENT;
  at('key', keys.start(key), keys.length(key));
  const value = load<u32>(valueOfKey(key));
  if (typeOfKey(key) != U32 || value < 8 || value > 65536 || popcnt(value) != 1) {
    fail('bad-alignment', 'a power of two from 8 to 65536, stored as u32', 'another value', DAMAGED);
  }
  return value;
}

/** The tensor's `offset` is still relative to the data's beginning, which is known only after the last entry. */
function readTensor(index: u32, alignment: u64): void {
  at('tensor');
  const length = readString();
  const start = here() - length;
  if (length == 0 || length > MAX_NAME_BYTES) fail('bad-tensor-name', 'a name of 1 to 64 bytes', '# bytes', DAMAGED, length);
  tensorNames.put(index, start, length);
  at('tensor', start, length);
  if (tensorNames.enter(index) >= 0) fail('duplicate-tensor', 'each name once', 'the same name again', DAMAGED);

  const tensor = tensorAt(index);
  const count = readU32();
  if (count < 1 || count > 4) fail('bad-dimensions', '1 to 4 dimensions', '#', DAMAGED, count);
  let elements: f64 = 1;
  for (let i: u32 = 0; i < count; i++) {
    const dim = readSafe();
    if (dim == 0) fail('bad-dimensions', 'dimensions of at least 1', '0', DAMAGED);
    if (!isSafe(dim)) fail('size-overflow', 'a dimension below 2^53', 'a larger one', DAMAGED);
    store<u64>(changetype<usize>(tensor) + (<usize>i << 3), dim);
    elements *= <f64>dim;
  }
  const type = readU32();
  const values = blockValues(type);
  if (values == 0) {
    fail('unknown-dtype', 'a tensor type that ggml defines', 'type #', 'Cria may be too old for this file.', type);
  }
  if (tensor.dim0 % values != 0) {
    fail('bad-dimensions', 'rows of whole blocks', 'rows of # values', DAMAGED, tensor.dim0);
  }
  const bytes = (elements / <f64>values) * <f64>blockBytes(type);
  if (elements > MAX_SAFE || bytes > MAX_SAFE) fail('size-overflow', 'a size below 2^53', 'a larger one', DAMAGED);
  const offset = readSafe();
  if (!isSafe(offset) || offset % alignment != 0) {
    fail('bad-offset', 'a multiple of the alignment below 2^53', '#', DAMAGED, offset);
  }
  tensor.dims = count;
  tensor.type = type;
  tensor.elements = <u64>elements;
  tensor.bytes = <u64>bytes;
  tensor.offset = offset;
}

/** Makes offsets absolute, and checks that each tensor lies inside the file and apart from the others. */
function placeTensors(dataOffset: u64, order: usize): void {
  for (let i: u32 = 0; i < tensorCount; i++) {
    const tensor = tensorAt(i);
    tensor.offset += dataOffset;
    if (tensor.offset + tensor.bytes > fileSize) {
      aboutTensor(i);
      const hint = 'The file is incomplete: download or copy it again.';
      fail('tensor-outside-file', 'data within the file', 'an end at byte #', hint, tensor.offset + tensor.bytes);
    }
    store<u32>(order + (<usize>i << 2), i);
  }
  sort(order, tensorCount, (a: u32, b: u32) => tensorAt(a).offset < tensorAt(b).offset);
  for (let i: u32 = 1; i < tensorCount; i++) {
    const before = tensorAt(load<u32>(order + (<usize>(i - 1) << 2)));
    const index = load<u32>(order + (<usize>i << 2));
    if (before.offset + before.bytes <= tensorAt(index).offset) continue;
    aboutTensor(index);
    fail('tensor-overlap', 'data after those of another tensor', 'byte #', DAMAGED, tensorAt(index).offset);
  }
}

export function aboutTensor(index: u32): void {
  at('tensor', tensorNames.start(index), tensorNames.length(index));
}

/** A place for names that the program looks for. */
const WANTED = memory.data(64);

/** The index of a key, −1 if the file has none. */
export function findKey(ascii: string): i32 {
  String.UTF8.encodeUnsafe(changetype<usize>(ascii), ascii.length, WANTED);
  return keys.find(WANTED, ascii.length);
}
