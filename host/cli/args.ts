import { parseArgs } from 'node:util';
import type { Interrupts } from './interrupts.ts';

/** What is wrong with the command line: exit code 2. */
export class UsageError extends Error {}

/** One option of a command. The flag's name is the table's key in kebab case: `topK` is `--top-k`. */
export interface Option<T> {
  /** What the help calls its value; an option without one is a flag. */
  value?: string;
  help: string;
  /** The value from all texts given for the option, in order. @throws UsageError */
  read: (texts: string[], flag: string) => T;
}

export type OptionTable = Record<string, Option<unknown>>;
export type Values<O> = { [K in keyof O]?: O[K] extends Option<infer T> ? T : never };

export interface Command {
  name: string;
  /** `[X]` may be left out; a last `X...` stands for one or more. */
  positionals: string[];
  summary: string;
  notes?: string;
  options: OptionTable;
  /** @throws UsageError if the arguments do not fit the table. */
  execute: (argv: string[], interrupts: Interrupts) => Promise<void>;
}

/** Keeps the table's value types for `run` and hides them from the list of commands. */
export function command<const O extends OptionTable>(
  description: Omit<Command, 'execute' | 'options'> & {
    options: O;
    run: (values: Values<O>, positionals: string[], interrupts: Interrupts) => Promise<void>;
  },
): Command {
  const { run, ...shown } = description;
  return {
    ...shown,
    execute: (argv, interrupts) => {
      const { values, positionals } = parse(shown.options, shown.positionals, argv);
      return run(values, positionals, interrupts);
    },
  };
}

/** The values of those options that `table` has. */
export function only<O extends OptionTable>(table: O, values: Values<NoInfer<O>>): Values<O> {
  return Object.fromEntries(Object.entries(values).filter(([key]) => key in table)) as Values<O>;
}

export const flagOf = (key: string): string =>
  `--${key.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`;

/** Whether help is asked for, before any `--`. */
export function wantsHelp(argv: string[]): boolean {
  const end = argv.indexOf('--');
  return argv.slice(0, end < 0 ? argv.length : end).some(arg => arg === '--help' || arg === '-h');
}

function parse<O extends OptionTable>(
  table: O,
  wanted: string[],
  argv: string[],
): { values: Values<O>; positionals: string[] } {
  const keys = new Map(Object.keys(table).map(key => [flagOf(key).slice(2), key]));
  const options = Object.fromEntries(
    [...keys].map(([name, key]) => {
      const type = table[key]!.value === undefined ? ('boolean' as const) : ('string' as const);
      return [name, { type, multiple: true }];
    }),
  );
  const takesValue = (arg: string) => arg.startsWith('--') && options[arg.slice(2)]?.type === 'string';
  const given = parseStrictly({ args: joinDashedValues(argv, takesValue), options });
  const required = wanted.filter(name => !name.startsWith('[')).length;
  const { positionals } = given;
  if (positionals.length < required)
    throw new UsageError(`${wanted[positionals.length]!.replace('...', '')} is missing`);
  if (positionals.length > wanted.length && !wanted.at(-1)?.endsWith('...')) {
    const extra = positionals[wanted.length]!;
    throw new UsageError(`unexpected argument ${JSON.stringify(extra)}: quote a text that has spaces`);
  }
  const values: Record<string, unknown> = {};
  for (const [name, texts] of Object.entries(given.values)) {
    const key = keys.get(name)!;
    values[key] = table[key]!.read((texts as (string | boolean)[]).map(String), `--${name}`);
  }
  return { values: values as Values<O>, positionals };
}

function parseStrictly(config: {
  args: string[];
  options: Record<string, { type: 'boolean' | 'string'; multiple: boolean }>;
}): { values: Record<string, unknown>; positionals: string[] } {
  try {
    return parseArgs({ ...config, allowPositionals: true, strict: true });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    // What follows the first sentence is advice for a parser that takes single dashes for options.
    throw new UsageError(error.message.split(/\.\s/)[0]);
  }
}

/** `parseArgs` takes `-1` in `--repeat-last-n -1` for an option; as no option has a single dash, it is a value. */
function joinDashedValues(argv: string[], takesValue: (arg: string) => boolean): string[] {
  const joined: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const arg = argv[i]!;
    if (arg === '--') return [...joined, ...argv.slice(i)];
    if (takesValue(arg) && /^-[^-]/.test(argv[i + 1] ?? '')) joined.push(`${arg}=${argv[++i]}`);
    else joined.push(arg);
  }
  return joined;
}

export function flag(help: string): Option<boolean> {
  return { help, read: () => true };
}

export function text(value: string, help: string): Option<string> {
  return { value, help, read: texts => texts.at(-1)! };
}

export function texts(value: string, help: string): Option<string[]> {
  return {
    value,
    help: `${help} (may be repeated)`,
    read: (texts, flag) => {
      if (texts.includes('')) throw unexpected(flag, 'a text', '');
      return texts;
    },
  };
}

export function choice<T extends string>(allowed: readonly T[], help: string): Option<T> {
  return {
    value: allowed.join('|'),
    help,
    read: (texts, flag) => {
      const found = allowed.find(name => name === texts.at(-1));
      if (found === undefined) throw unexpected(flag, allowed.join(' or '), texts.at(-1)!);
      return found;
    },
  };
}

interface Range {
  min?: number;
  max?: number;
}

export function integer(value: string, range: Range, help: string): Option<number> {
  return numeric(value, 'an integer', /^[+-]?\d+$/, Number.isSafeInteger, range, help);
}

/** An integer, or a word that stands for one. */
export function integerOr<W extends string>(
  word: W,
  value: string,
  range: Range,
  help: string,
): Option<number | W> {
  const { read } = integer(value, range, help);
  return {
    value: `${value}|${word}`,
    help,
    read: (texts, flag) => (texts.at(-1) === word ? word : read(texts, flag)),
  };
}

export function number(value: string, range: Range, help: string): Option<number> {
  return numeric(value, 'a number', DECIMAL, Number.isFinite, range, help);
}

const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

function numeric(
  value: string,
  kind: string,
  pattern: RegExp,
  isKind: (n: number) => boolean,
  { min = -Infinity, max = Infinity }: Range,
  help: string,
): Option<number> {
  const from = min === -Infinity ? '' : ` from ${min}`;
  const to = max === Infinity ? '' : ` to ${max}`;
  return {
    value,
    help,
    read: (texts, flag) => {
      const given = texts.at(-1)!;
      const n = pattern.test(given) ? Number(given) : Number.NaN;
      if (!isKind(n) || n < min || n > max) throw unexpected(flag, `${kind}${from}${to}`, given);
      return n;
    },
  };
}

const UNITS: Record<string, number> = {
  '': 1,
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
};

/** Bytes, with a unit: 25MB is 25,000,000, 25MiB 26,214,400. */
export function byteCount(value: string, { min = 0, max = Infinity }: Range, help: string): Option<number> {
  return {
    value,
    help,
    read: (texts, flag) => {
      const given = texts.at(-1)!;
      const [, digits = '', unit = ''] = /^(\d+(?:\.\d+)?) ?([A-Za-z]*)$/.exec(given) ?? [];
      const bytes = Number(digits) * (Object.hasOwn(UNITS, unit) ? UNITS[unit]! : Number.NaN);
      if (digits === '' || !Number.isSafeInteger(bytes) || bytes < min || bytes > max) {
        const upTo = max === Infinity ? '' : ` to ${max}`;
        throw unexpected(flag, `a size from ${min}${upTo} bytes, such as 25MB or 25MiB`, given);
      }
      return bytes;
    },
  };
}

/** `ID=VALUE` pairs, as logit biases are given. */
export function numbersById(help: string): Option<Record<number, number>> {
  return {
    value: 'ID=VALUE',
    help: `${help} (may be repeated)`,
    read: (texts, flag) => {
      const pairs = texts.map((given): [number, number] => {
        const [id = '', value = ''] = given.split(/=(.*)/s);
        const valid = /^\d+$/.test(id) && Number.isSafeInteger(Number(id)) && DECIMAL.test(value);
        if (!valid || !Number.isFinite(Number(value))) throw unexpected(flag, 'ID=VALUE, two numbers', given);
        return [Number(id), Number(value)];
      });
      return Object.fromEntries(pairs);
    },
  };
}

function unexpected(flag: string, expected: string, given: string): UsageError {
  return new UsageError(`${flag}: expected ${expected}, got ${JSON.stringify(given)}`);
}
