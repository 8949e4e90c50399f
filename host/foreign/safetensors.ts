import { FileError, quote } from '../errors.ts';
import type { Source } from '../source.ts';
import { DTYPES, type Stored } from './stored.ts';

/** A longer header is no honest one: the format's own readers refuse it too. */
const HEADER_LIMIT = 100_000_000;

/** Bytes a value of the format's types (huggingface/safetensors, `Dtype`). */
const SIZES: Readonly<Record<string, number>> = {
  ...Object.fromEntries(Object.entries(DTYPES).map(([name, { size }]) => [name, size])),
  ...{ BOOL: 1, U8: 1, I8: 1, F8_E5M2: 1, F8_E4M3: 1 },
  ...{ I16: 2, U16: 2, I32: 4, U32: 4, F64: 8, I64: 8, U64: 8 },
};

/** Whether bytes begin as a safetensors file of this size does: the length of a JSON object, and its brace. */
export function isSafetensors(bytes: Uint8Array, size: number): boolean {
  if (bytes.length < 10 || bytes[8] !== 0x7b) return false;
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  return length >= 2n && length <= BigInt(Math.min(size - 8, HEADER_LIMIT));
}

/**
 * The arrays of a safetensors file (huggingface/safetensors, README): their offsets must cover the file without holes or
 * overlaps.
 * @throws FileError 'bad-safetensors', 'file-truncated'
 */
export async function readSafetensors(source: Source, signal?: AbortSignal): Promise<Map<string, Stored>> {
  const { name, size } = source;
  const fail = (place: string, expected: string, got: string): FileError =>
    new FileError('bad-safetensors', {
      where: `${name}: ${place}`,
      expected,
      got,
      hint: 'The file is damaged or cut off: download it again.',
    });
  const lead = new Uint8Array(Math.min(16, size));
  await source.readInto(lead, 0, signal);
  if (!isSafetensors(lead, size)) {
    throw fail(
      'header',
      'the length of a JSON object that lies within the file, and the object',
      `${size} bytes`,
    );
  }
  const length = Number(new DataView(lead.buffer).getBigUint64(0, true));
  const bytes = new Uint8Array(length);
  await source.readInto(bytes, 8, signal);
  let header: Record<string, unknown>;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Record<string, unknown>;
  } catch (cause) {
    throw fail('header', 'JSON in UTF-8', String((cause as Error).message));
  }
  const start = 8 + length;
  const arrays = new Map<string, Stored>();
  const spans: (readonly [begin: number, end: number])[] = [];
  for (const [key, value] of Object.entries(header)) {
    if (key === '__metadata__') continue;
    const { dtype, shape, data_offsets: span } = (value ?? {}) as Record<string, unknown>;
    const place = `tensor ${quote(key)}`;
    const known = typeof dtype === 'string' ? SIZES[dtype] : undefined;
    if (known === undefined)
      throw fail(place, `a dtype: ${Object.keys(SIZES).join(', ')}`, JSON.stringify(dtype) ?? 'none');
    if (!integers(shape)) throw fail(place, 'a shape of integers', JSON.stringify(shape) ?? 'none');
    const count = shape.reduce((product, dim) => product * dim, known);
    if (!integers(span) || span.length !== 2 || span[1]! - span[0]! !== count)
      throw fail(place, `data_offsets ${count} bytes apart`, JSON.stringify(span) ?? 'none');
    spans.push([span[0]!, span[1]!]);
    arrays.set(key, { source, dtype: dtype as string, shape, offset: start + span[0]! });
  }
  let end = 0;
  for (const [from, to] of spans.sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    if (from !== end) throw fail('data_offsets', `a tensor that begins at ${end}`, `one at ${from}`);
    end = to;
  }
  if (start + end > size) {
    throw new FileError('file-truncated', {
      where: name,
      expected: `${start + end} bytes, as the header says`,
      got: `${size}`,
      hint: 'Download the file again.',
    });
  }
  if (start + end < size) throw fail('size', `${start + end} bytes, as the header says`, `${size}`);
  return arrays;
}

function integers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every(number => Number.isSafeInteger(number) && number >= 0);
}
