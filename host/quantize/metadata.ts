import { FileError, quote } from '../errors.ts';
import { GgufType, type GgufTypeName } from '../ggml-types.ts';
import type { GgufHeader } from '../gguf.ts';
import type { GgufValue } from '../gguf-write.ts';
import type { MetadataValue } from '../model-file.ts';

/** Version of ggml's block layouts (ggml.h, GGML_QNT_VERSION). */
const QUANTIZATION_VERSION = 2;

/** What is said about the file as a whole; `general.alignment` is the writer's business. */
const REPLACED = ['general.quantization_version', 'general.file_type', 'general.alignment'];

/**
 * The keys of a file with their values as they are stored, and what the quantised copy says of itself, in the order in
 * which llama-quantize writes them.
 *
 * @throws FileError 'bad-value' for an array of arrays, which no Llama file has
 */
export function copyMetadata(
  header: GgufHeader,
  fileType: number,
  where: string,
): [key: string, value: GgufValue][] {
  const entries: [string, GgufValue][] = [];
  for (const [key, value] of header.metadata) {
    if (!REPLACED.includes(key)) entries.push([key, stored(value, header.valueTypes.get(key)!, where, key)]);
  }
  entries.push(['general.quantization_version', { type: 'u32', value: QUANTIZATION_VERSION }]);
  entries.push(['general.file_type', { type: 'u32', value: fileType }]);
  return entries;
}

const TYPE_NAMES = new Map(
  Object.entries(GgufType).map(([name, id]) => [id as number, name as GgufTypeName]),
);

function stored(value: MetadataValue, typeId: number, where: string, key: string): GgufValue {
  if (typeof value === 'object') return storedArray(value, where, key);
  // The reader gave the value the JavaScript type that belongs to its number.
  return { type: TYPE_NAMES.get(typeId)!, value } as GgufValue;
}

function storedArray(value: MetadataValue & object, where: string, key: string): GgufValue {
  if (value instanceof Uint8Array) return { type: 'array', of: 'u8', value };
  if (value instanceof Int8Array) return { type: 'array', of: 'i8', value };
  if (value instanceof Uint16Array) return { type: 'array', of: 'u16', value };
  if (value instanceof Int16Array) return { type: 'array', of: 'i16', value };
  if (value instanceof Uint32Array) return { type: 'array', of: 'u32', value };
  if (value instanceof Int32Array) return { type: 'array', of: 'i32', value };
  if (value instanceof Float32Array) return { type: 'array', of: 'f32', value };
  if (value instanceof Float64Array) return { type: 'array', of: 'f64', value };
  if (value instanceof BigUint64Array) return { type: 'array', of: 'u64', value };
  if (value instanceof BigInt64Array) return { type: 'array', of: 'i64', value };
  // An empty list has lost the type of its items; of strings and booleans, files have lists of strings.
  if (value.every(item => typeof item === 'string')) return { type: 'array', of: 'string', value };
  if (value.every(item => typeof item === 'boolean')) return { type: 'array', of: 'bool', value };
  throw new FileError('bad-value', {
    where: `${where}: key ${quote(key)}`,
    expected: 'a value, or a list of values, to copy',
    got: 'a list of lists',
    hint: 'Remove the key from the file; no Llama needs it.',
  });
}
