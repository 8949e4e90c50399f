import { quote } from './errors.ts';
import { GgufType } from './ggml-types.ts';
import type { Reader } from './gguf-reader.ts';
import type { MetadataArray, MetadataValue } from './model-file.ts';
import { TextList } from './text-list.ts';

/** A value as it is kept: a list of strings waits in its bytes until it is asked for. */
export type StoredValue = MetadataValue | TextList;

/**
 * What a file may still spend on lists that take many times more memory than bytes in the file: a boolean (8 bytes for
 * 1) costs 1, an array (up to 200 bytes for 12) costs 16. Real files have a dozen arrays.
 */
export interface ArrayBudget {
  left: number;
}

const MAX_DEPTH = 4;
const DAMAGED = 'The file is damaged.';

/** A metadata value in a few words, for messages. */
export function describe(value: StoredValue | undefined): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'string') return quote(value);
  if (typeof value === 'object') return `an array of ${value.length}`;
  return String(value);
}

/** The value as users get it. */
export function plainValue<T extends MetadataValue>(value: T | TextList): T | string[] {
  return value instanceof TextList ? value.toArray() : value;
}

/**
 * Reads a value of a `GgufType`.
 *
 * @throws FileError 'bad-value-type', 'bad-value', 'bad-string', 'bad-count' or 'file-truncated'
 */
export function readValue(r: Reader, type: number, arrays: ArrayBudget): StoredValue {
  switch (type) {
    case GgufType.u8:
      return r.u8();
    case GgufType.i8:
      return r.i8();
    case GgufType.u16:
      return r.u16();
    case GgufType.i16:
      return r.i16();
    case GgufType.u32:
      return r.u32();
    case GgufType.i32:
      return r.i32();
    case GgufType.f32:
      return r.f32();
    case GgufType.bool:
      return r.bool();
    case GgufType.string:
      return r.string();
    case GgufType.array:
      return readArray(r, 1, arrays);
    case GgufType.u64:
      return r.u64();
    case GgufType.i64:
      return r.i64();
    case GgufType.f64:
      return r.f64();
    default:
      throw r.error('bad-value-type', 'a value type from 0 to 12', `${type}`, DAMAGED);
  }
}

/** Copies `count` numbers into memory of their own, which is aligned as the file's bytes need not be. */
const NUMERIC: Record<number, { bytes: number; from: (buffer: ArrayBuffer) => MetadataArray }> = {
  [GgufType.u8]: { bytes: 1, from: b => new Uint8Array(b) },
  [GgufType.i8]: { bytes: 1, from: b => new Int8Array(b) },
  [GgufType.u16]: { bytes: 2, from: b => new Uint16Array(b) },
  [GgufType.i16]: { bytes: 2, from: b => new Int16Array(b) },
  [GgufType.u32]: { bytes: 4, from: b => new Uint32Array(b) },
  [GgufType.i32]: { bytes: 4, from: b => new Int32Array(b) },
  [GgufType.f32]: { bytes: 4, from: b => new Float32Array(b) },
  [GgufType.u64]: { bytes: 8, from: b => new BigUint64Array(b) },
  [GgufType.i64]: { bytes: 8, from: b => new BigInt64Array(b) },
  [GgufType.f64]: { bytes: 8, from: b => new Float64Array(b) },
};

function readArray(r: Reader, depth: number, arrays: ArrayBudget): MetadataArray | TextList {
  if (depth > MAX_DEPTH) {
    throw r.error('bad-value', `arrays nested at most ${MAX_DEPTH} deep`, 'a deeper one', DAMAGED);
  }
  spend(r, arrays, 16);
  const type = r.u32();
  const numeric = NUMERIC[type];
  if (numeric !== undefined) {
    const bytes = r.count('items', numeric.bytes) * numeric.bytes;
    r.need(bytes);
    r.pos += bytes;
    return numeric.from(new Uint8Array(r.bytes.subarray(r.pos - bytes, r.pos)).buffer);
  }
  if (type === GgufType.string) {
    return r.strings(readCount(r, 8));
  }
  if (type === GgufType.bool) {
    const count = readCount(r, 1);
    spend(r, arrays, count);
    const flags: boolean[] = [];
    for (let i = 0; i < count; i++) flags.push(r.bool());
    return flags;
  }
  if (type === GgufType.array) {
    const count = readCount(r, 4 + 8);
    const items: MetadataArray[] = [];
    for (let i = 0; i < count; i++) items.push(plainValue(readArray(r, depth + 1, arrays)));
    return items;
  }
  throw r.error('bad-value-type', 'items of a type from 0 to 12', `${type}`, DAMAGED);
}

function spend(r: Reader, arrays: ArrayBudget, cost: number): void {
  arrays.left -= cost;
  if (arrays.left < 0) throw r.error('bad-count', 'fewer arrays and booleans', 'one too many', DAMAGED);
}

/** The number of items, for which at least the minimal bytes are known to follow. */
function readCount(r: Reader, itemBytes: number): number {
  const count = r.count('items', itemBytes);
  r.need(count * itemBytes);
  return count;
}
