import { FileError } from '../errors.ts';

/** What tells a manifest from other JSON. */
const FORMAT = 'cria-parts';
const VERSION = 1;
/** A part is held in memory while its hash is checked. */
export const PART_LIMIT: number = 2 ** 28;
const MOST_BYTES = 2 ** 43;

/** One of the files that together are another. */
export interface Part {
  /** A file beside the manifest. */
  name: string;
  /** Bytes. */
  size: number;
  /** 64 hexadecimal digits. */
  sha256: string;
}

/** A file in parts, as `split` writes it and `open` reads it. */
export interface Manifest {
  format: 'cria-parts';
  version: 1;
  /** Of the whole file; and its bytes and their hash. */
  name: string;
  size: number;
  sha256: string;
  /** In order. */
  parts: Part[];
}

export function makeManifest(content: Omit<Manifest, 'format' | 'version'>): Manifest {
  return { format: FORMAT, version: VERSION, ...content };
}

/** Whether bytes are meant as a manifest, right or wrong. */
export function isManifest(bytes: Uint8Array): boolean {
  const value = parse(bytes);
  return typeof value === 'object' && value !== null && 'format' in value && value.format === FORMAT;
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

/**
 * Checks a manifest: names that stay in its folder, sizes that add up.
 * @param name for messages
 * @throws FileError 'bad-manifest'
 */
export function readManifest(content: Uint8Array | Manifest, name: string): Manifest {
  const value = content instanceof Uint8Array ? parse(content) : content;
  const fail = (place: string, expected: string, got: unknown): FileError =>
    new FileError('bad-manifest', {
      where: `${name}: ${place}`,
      expected,
      got: String(JSON.stringify(got)).slice(0, 100),
      hint: 'Split the model again with `cria split`.',
    });
  const fields = Object(value) as Record<string, unknown>;
  if (fields['format'] !== FORMAT) throw fail('format', JSON.stringify(FORMAT), fields['format']);
  if (fields['version'] !== VERSION) throw fail('version', String(VERSION), fields['version']);
  const { size, sha256, parts } = fields;
  const title = fields['name'];
  if (typeof title !== 'string') throw fail('name', 'a text', title);
  if (!isCount(size, MOST_BYTES)) throw fail('size', `an integer from 1 to ${MOST_BYTES}`, size);
  if (!isHash(sha256)) throw fail('sha256', '64 hexadecimal digits', sha256);
  if (!Array.isArray(parts) || parts.length === 0) throw fail('parts', 'a list of parts', parts);
  const names = new Set<string>();
  const read = parts.map((item: unknown, i): Part => {
    const part = Object(item) as Partial<Record<keyof Part, unknown>>;
    if (!isPlainName(part.name))
      throw fail(`parts[${i}].name`, 'the name of a file in the same folder', part.name);
    if (names.has(part.name)) throw fail(`parts[${i}].name`, 'a name that comes once', part.name);
    names.add(part.name);
    if (!isCount(part.size, PART_LIMIT))
      throw fail(`parts[${i}].size`, `1 to ${PART_LIMIT} bytes`, part.size);
    if (!isHash(part.sha256)) throw fail(`parts[${i}].sha256`, '64 hexadecimal digits', part.sha256);
    return { name: part.name, size: part.size, sha256: part.sha256 };
  });
  const sum = read.reduce((total, part) => total + part.size, 0);
  if (sum !== size) throw fail('size', `${sum}, the sum of its parts`, size);
  return makeManifest({ name: title, size, sha256, parts: read });
}

function isCount(value: unknown, most: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= most;
}

function isHash(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}

/** Neither a path nor a URL, on any system: no separators, no drive or scheme, no control characters. */
export function isPlainName(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value.length > 0 &&
    value.length <= 255 &&
    !/[/\\:\p{Cc}]/u.test(value) &&
    !/^\.+$/.test(value)
  );
}
