import type { ModelSource } from '../../api.ts';
import { type CriaError, FileError, OptionError, quote } from '../../errors.ts';
import type { Source } from '../../source.ts';
import { type OpenSource, openSource } from '../../sources.ts';
import { readLines, readText } from './text.ts';

/** Texts of one kind and the files that hold them. */
export interface DataSource {
  /** For reports, messages and the order of shuffling; default: the first file's name. */
  name?: string;
  /** Paths, URLs, Blobs, bytes or sources of your own. */
  files: readonly ModelSource[];
  /** Default: by the file's name, `.jsonl`, `.ndjson` and `.parquet`; all else is text. */
  format?: DataFormat;
  /**
   * What stands between the documents of a text. Default `<|endoftext|>`; '\n' makes each line a document. A text between
   * slashes is a regular expression without flags: `/\n(?=CHAPTER )/`. It sees a document from its beginning, and no further than
   * 1000 characters behind its end.
   */
  separator?: string;
  /** JSONL and Parquet: the field of the text, a string or several to be put together with line feeds. Default `text`. */
  field?: string;
  /** JSONL and Parquet: fields that go into the report. */
  licenseField?: string;
  attributionField?: string;
  /** Those of all documents, for the report. */
  license?: string;
  attribution?: string;
  /** How often each token is seen, against tokens of weight 1. Default 1. */
  weight?: number;
}

export type DataFormat = 'text' | 'jsonl' | 'parquet';

export interface DataDocument {
  text: string;
  license?: string;
  attribution?: string;
}

/** A row of JSONL or Parquet, and where it stands. @internal */
export interface DataRecord {
  value: unknown;
  where: string;
}

/** What separates the stories of TinyStories, and many a text since GPT-2. */
export const SEPARATOR = '<|endoftext|>';

/**
 * The documents of a source in their order, read piece by piece. White space around a text's documents is dropped, and
 * documents that are empty then.
 *
 * @param open opens paths and URLs; default: only bytes and sources are read
 * @throws FileError 'bad-text' for what is not UTF-8, 'bad-record' for a line or row without a text, 'bad-parquet', and as
 *   `open` does for files; StateError 'needs-package' without hyparquet; the signal's reason
 * @internal
 */
export async function* readDocuments(
  source: DataSource,
  signal?: AbortSignal,
  open: OpenSource = openSource,
): AsyncGenerator<DataDocument> {
  checkSource(source);
  for (const file of source.files) {
    const opened = await open(file, signal);
    try {
      for await (const document of documentsOf(opened, source, signal)) {
        if (document.text.trim() !== '') yield document;
      }
    } finally {
      await opened.close();
    }
  }
}

async function* documentsOf(
  file: Source,
  source: DataSource,
  signal: AbortSignal | undefined,
): AsyncGenerator<DataDocument> {
  const format = formatOf(source, file.name);
  const { license, attribution } = source;
  const given = {
    ...(license !== undefined && { license }),
    ...(attribution !== undefined && { attribution }),
  };
  if (format === 'text') {
    for await (const text of readText(file, separatorOf(source), signal)) {
      yield { ...given, text: text.trim() };
    }
    return;
  }
  const { field = 'text', licenseField, attributionField } = source;
  const fields = [field, licenseField, attributionField].filter(name => name !== undefined);
  const records =
    format === 'jsonl'
      ? readJsonLines(file, signal)
      : (await import('./parquet.ts')).readParquet(file, fields, signal);
  for await (const { value, where } of records) {
    const own = (name: string | undefined): unknown =>
      name === undefined ? undefined : Object.getOwnPropertyDescriptor(Object(value), name)?.value;
    const document: DataDocument = { ...given, text: textOf(own(field), field, value, where) };
    const [ownLicense, ownAttribution] = [own(licenseField), own(attributionField)];
    if (typeof ownLicense === 'string') document.license = ownLicense;
    if (typeof ownAttribution === 'string') document.attribution = ownAttribution;
    yield document;
  }
}

async function* readJsonLines(file: Source, signal: AbortSignal | undefined): AsyncGenerator<DataRecord> {
  for await (const { text, number } of readLines(file, signal)) {
    if (text.trim() === '') continue;
    const where = `${file.name}: line ${number}`;
    try {
      yield { value: JSON.parse(text), where };
    } catch (cause) {
      if (!(cause instanceof SyntaxError)) throw cause;
      throw badRecord(where, 'one JSON value', quote(text), 'Repair or remove the line.', cause);
    }
  }
}

/** A string as it is, several put together with line feeds. */
function textOf(found: unknown, field: string, record: unknown, where: string): string {
  if (typeof found === 'string') return found;
  if (Array.isArray(found) && found.every(part => typeof part === 'string')) return found.join('\n');
  const isObject = typeof record === 'object' && record !== null && !Array.isArray(record);
  const got =
    found !== undefined
      ? `one that is ${found === null ? 'null' : Array.isArray(found) ? 'a list of other things' : `a ${typeof found}`}`
      : isObject
        ? `the fields ${quote(Object.keys(record).join(', '))}`
        : quote(JSON.stringify(record) ?? 'nothing');
  throw badRecord(where, `a field ${quote(field)} with a text`, got, 'Name the field that holds the text.');
}

function separatorOf({ separator = SEPARATOR }: DataSource): string | RegExp {
  const [, pattern, flags] = /^\/(.+)\/([a-z]*)$/s.exec(separator) ?? [];
  if (flags) throw new SyntaxError(`the flags ${flags}`);
  return pattern === undefined ? separator : new RegExp(pattern, 'gu');
}

/** @param name of a file of the source @internal */
export function formatOf({ format }: DataSource, name: string): DataFormat {
  if (format !== undefined) return format;
  const ending = /\.(\w+)(?:[?#].*)?$/.exec(name)?.[1]?.toLowerCase();
  if (ending === 'jsonl' || ending === 'ndjson') return 'jsonl';
  return ending === 'parquet' ? 'parquet' : 'text';
}

/** @throws OptionError @internal */
export function checkSource(source: DataSource): void {
  const { files, format, weight, separator } = source;
  const fail = (
    code: 'option-type' | 'option-range',
    what: string,
    expected: string,
    got: unknown,
  ): never => {
    const hint = 'See docs/training.md, Data.';
    throw new OptionError(code, { where: `source: ${what}`, expected, got: String(got), hint });
  };
  if (!Array.isArray(files) || files.length === 0) fail('option-type', 'files', 'a list of files', files);
  for (const key of [
    'name',
    'field',
    'separator',
    'license',
    'attribution',
    'licenseField',
    'attributionField',
  ] as const) {
    const value: unknown = source[key];
    if (value !== undefined && typeof value !== 'string') fail('option-type', key, 'a text', typeof value);
  }
  if (format !== undefined && !['text', 'jsonl', 'parquet'].includes(format)) {
    fail('option-range', 'format', 'text, jsonl or parquet', format);
  }
  if (separator === '') fail('option-range', 'separator', 'a text', 'an empty one');
  try {
    separatorOf(source);
  } catch (error) {
    fail(
      'option-range',
      'separator',
      'a regular expression between slashes, without flags',
      (error as Error).message,
    );
  }
  if (weight !== undefined && !(Number.isFinite(weight) && weight >= 0 && weight <= 1e6)) {
    fail('option-range', 'weight', 'a number from 0 to 1e6', weight);
  }
}

/** @internal */
export function nameOf({ name, files }: DataSource): string {
  if (name !== undefined) return name;
  const first: unknown = files[0];
  const path =
    typeof first === 'string' || first instanceof URL
      ? String(first)
      : (Object(first) as Blob & { name?: unknown }).name;
  return typeof path === 'string' ? path.replace(/^.*[/\\]/, '') : 'source';
}

function badRecord(where: string, expected: string, got: string, hint: string, cause?: unknown): CriaError {
  const parts = { where, expected, got, hint };
  return new FileError('bad-record', cause === undefined ? parts : { ...parts, cause });
}
