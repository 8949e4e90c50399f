import { dirname, resolve } from 'node:path';
import { type DataSource, sourcesFromConfig } from '../train/index.ts';
import { choice, type Option, text, UsageError, type Values } from './args.ts';
import { readText } from './terminal.ts';

/** How files are read that are given without a configuration. */
export const dataOptions: {
  format: Option<NonNullable<DataSource['format']>>;
  separator: Option<string>;
  field: Option<string>;
  licenseField: Option<string>;
  attributionField: Option<string>;
} = {
  format: choice(['text', 'jsonl', 'parquet'], "what the files are; default: by their names' ends"),
  separator: text(
    'TEXT',
    'what stands between the documents of a text, \\n for a line feed, /.../ for a pattern; default <|endoftext|>',
  ),
  field: text('NAME', 'the field of JSONL or Parquet that holds the text; default text'),
  licenseField: text('NAME', 'the field that holds the licence'),
  attributionField: text('NAME', 'the field that holds whom to name'),
};

/**
 * The sources that arguments name: one configuration that ends in .json, or files, each a source.
 * @throws UsageError, OptionError, FileError
 */
export async function sourcesFrom(
  paths: string[],
  options: Values<typeof dataOptions>,
): Promise<DataSource[]> {
  const config = paths.find(path => path.endsWith('.json'));
  if (config === undefined) {
    const { separator, ...rest } = options;
    const spelt = separator?.replace(/\\n/g, '\n');
    return paths.map(path => ({ files: [path], ...rest, ...(spelt !== undefined && { separator: spelt }) }));
  }
  if (paths.length > 1)
    throw new UsageError('a configuration (.json) stands alone: name the other files in it');
  const given = Object.keys(options)[0];
  if (given !== undefined) throw new UsageError(`with a configuration, ${given} is one of its keys`);
  return sourcesFromConfig(await readJson(config), config, path => resolve(dirname(config), path));
}

/** @throws FileError for a file that cannot be read; UsageError for what is no JSON, with what the parser said */
export async function readJson(path: string): Promise<unknown> {
  const text = await readText(path);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new UsageError(`${path}: expected JSON, got ${(cause as Error).message}`);
  }
}
