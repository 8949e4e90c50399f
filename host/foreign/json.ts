import { FileError } from '../errors.ts';
import type { Source } from '../source.ts';
import { readAll } from '../sources/bytes.ts';

/** A longer file is no description of a model. */
const LIMIT = 2 ** 26;

/** A field that is asked of a JSON object. */
export class Fields {
  readonly #values: Record<string, unknown>;
  readonly #name: string;

  private constructor(values: Record<string, unknown>, name: string) {
    this.#values = values;
    this.#name = name;
  }

  /** @throws FileError 'bad-json' */
  static async of(source: Source, signal?: AbortSignal): Promise<Fields> {
    const fail = (got: string): FileError =>
      new FileError('bad-json', {
        where: source.name,
        expected: 'a JSON object',
        got,
        hint: 'The file is damaged: download it again.',
      });
    if (source.size > LIMIT) throw fail(`${source.size} bytes`);
    const text = new TextDecoder().decode(await readAll(source, signal));
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (cause) {
      throw fail((cause as Error).message);
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw fail(JSON.stringify(value).slice(0, 100));
    return new Fields(value as Record<string, unknown>, source.name);
  }

  get(key: string): unknown {
    return this.#values[key] ?? undefined;
  }

  /** @throws FileError 'missing-key', 'wrong-key-type' */
  number(key: string, otherwise?: number): number {
    const value = this.get(key);
    if (typeof value === 'number') return value;
    if (value === undefined && otherwise !== undefined) return otherwise;
    throw new FileError(value === undefined ? 'missing-key' : 'wrong-key-type', {
      where: `${this.#name}: ${key}`,
      expected: 'a number',
      got: JSON.stringify(value) ?? 'nothing',
      hint: 'Take the file that belongs to the model.',
    });
  }

  /**
   * Makes sure that a field, where it is, says what it must.
   * @throws FileError 'unsupported-architecture'
   */
  must(key: string, wanted: unknown): void {
    const value = this.get(key);
    if (value === undefined || value === wanted) return;
    throw new FileError('unsupported-architecture', {
      where: `${this.#name}: ${key}`,
      expected: JSON.stringify(wanted),
      got: JSON.stringify(value),
      hint: 'Cria runs models of the Llama family.',
    });
  }
}
