import { FileError, StateError } from '../../errors.ts';
import type { Source } from '../../source.ts';
import type { DataRecord } from './documents.ts';

/**
 * The rows of a Parquet file, a row group at a time, by the package hyparquet, which is optional. It decompresses Snappy;
 * gzip, Brotli and Zstandard are refused.
 *
 * @param columns those to read
 * @throws StateError 'needs-package'; FileError 'bad-parquet'; the signal's reason
 */
export async function* readParquet(
  source: Source,
  columns: readonly string[],
  signal?: AbortSignal,
): AsyncGenerator<DataRecord> {
  const { parquetMetadataAsync, parquetReadObjects } = await loadPackage();
  const file = {
    byteLength: source.size,
    async slice(start: number, end = source.size): Promise<ArrayBuffer> {
      // a negative place is counted from the end
      const from = start < 0 ? source.size + start : start;
      const bytes = new Uint8Array(Math.max(0, Math.min(end, source.size) - from));
      await source.readInto(bytes, from, signal);
      return bytes.buffer;
    },
  };
  const guarded = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (cause) {
      signal?.throwIfAborted();
      throw bad(source.name, 'a Parquet file', cause instanceof Error ? cause.message : String(cause), cause);
    }
  };
  const metadata = await guarded(parquetMetadataAsync(file));
  const there = (metadata.schema[0]?.num_children ?? 0) > 0 ? topLevel(metadata.schema) : [];
  const missing = columns.find(column => !there.includes(column));
  if (missing !== undefined) {
    throw bad(source.name, `a column ${JSON.stringify(missing)}`, there.join(', ') || 'no column');
  }
  let row = 0;
  for (const group of metadata.row_groups) {
    signal?.throwIfAborted();
    const rowEnd = row + Number(group.num_rows);
    const options = { file, metadata, columns: [...columns], rowStart: row, rowEnd };
    for (const value of await guarded(parquetReadObjects(options))) {
      yield { value, where: `${source.name}: row ${++row}` };
    }
    row = rowEnd;
  }
}

/** The names of the columns, whose own elements follow them in the schema. */
function topLevel(schema: readonly { name: string; num_children?: number }[]): string[] {
  const names: string[] = [];
  const skip = (at: number): number => {
    let next = at + 1;
    for (let child = 0; child < (schema[at]?.num_children ?? 0); child++) next = skip(next);
    return next;
  };
  for (let at = 1; at < schema.length; at = skip(at)) names.push(schema[at]!.name);
  return names;
}

async function loadPackage(): Promise<typeof import('hyparquet')> {
  try {
    return await import('hyparquet');
  } catch (cause) {
    throw new StateError('needs-package', {
      where: 'Parquet',
      expected: 'the package hyparquet',
      got: 'none that can be imported',
      hint: 'Install it beside cria: npm install hyparquet.',
      cause,
    });
  }
}

function bad(where: string, expected: string, got: string, cause?: unknown): FileError {
  const hint =
    'The file is incomplete, damaged, or compressed in a way other than Snappy: get or write it again.';
  const parts = { where, expected, got, hint };
  return new FileError('bad-parquet', cause === undefined ? parts : { ...parts, cause });
}
