import { OptionError, quote } from '../../errors.ts';
import { checkSource, type DataSource } from './documents.ts';

const KEYS: readonly string[] = [
  'name',
  'files',
  'format',
  'separator',
  'field',
  'licenseField',
  'attributionField',
  'license',
  'attribution',
  'weight',
] satisfies (keyof DataSource)[];

/**
 * The sources that a configuration names under `sources`; each with `files`, or one `file`.
 *
 * @param config what `JSON.parse` made of it
 * @param resolve what a path means, which is relative to the configuration
 * @throws OptionError 'bad-config', 'option-type', 'option-range'
 */
export function sourcesFromConfig(
  config: unknown,
  name: string,
  resolve: (path: string) => string,
): DataSource[] {
  const { sources } = Object(config) as { sources?: unknown };
  if (!Array.isArray(sources) || sources.length === 0) {
    throw bad(
      `${name}: sources`,
      'a list of sources',
      sources === undefined ? 'nothing' : quote(JSON.stringify(sources)),
    );
  }
  const names = new Set<string>();
  return sources.map((entry: unknown, i) => {
    const where = `${name}: sources[${i}]`;
    if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) {
      throw bad(where, 'an object', quote(JSON.stringify(entry)));
    }
    const {
      file,
      files = file === undefined ? undefined : [file],
      ...rest
    } = entry as Record<string, unknown>;
    const unknown = Object.keys(rest).find(key => !KEYS.includes(key));
    if (unknown !== undefined) throw bad(where, `the keys file, ${KEYS.join(', ')}`, quote(unknown));
    if (!Array.isArray(files) || files.length === 0 || !files.every(path => typeof path === 'string')) {
      throw bad(
        `${where}: files`,
        'a list of paths',
        files === undefined ? 'nothing' : quote(JSON.stringify(files)),
      );
    }
    const source = { ...rest, files: files.map(path => resolve(path)) } as DataSource;
    checkSource(source);
    const own = source.name ?? String(files[0]);
    if (names.has(own)) throw bad(where, 'a name of its own', quote(own));
    names.add(own);
    return source;
  });
}

function bad(where: string, expected: string, got: string): OptionError {
  return new OptionError('bad-config', { where, expected, got, hint: 'See docs/training.md, Data.' });
}
