import { type ErrorCode, OptionError } from './errors.ts';

/** What an option must be; the text stands in the message. */
export interface Rule {
  expected: string;
  /** Whether any number is of the right kind, so that a wrong one is out of range. */
  numeric: boolean;
  test(value: unknown): boolean;
}

const number = (min: number, max: number, expected: string): Rule => ({
  expected,
  numeric: true,
  test: v => typeof v === 'number' && v >= min && v <= max && Number.isFinite(v),
});
const integer = (min: number, max: number, expected: string): Rule => ({
  expected,
  numeric: true,
  test: v => Number.isInteger(v) && (v as number) >= min && (v as number) <= max,
});
const kind = (expected: string, test: (value: unknown) => boolean): Rule => ({
  expected,
  numeric: false,
  test,
});

const isObject = (v: unknown): v is object => typeof v === 'object' && v !== null;
const LARGEST = 2 ** 31 - 1;
// by its methods, since a signal may come from another realm
const SIGNAL = kind(
  'an AbortSignal',
  v =>
    isObject(v) &&
    'aborted' in v &&
    ['throwIfAborted', 'addEventListener', 'removeEventListener'].every(
      method => typeof (v as Record<string, unknown>)[method] === 'function',
    ),
);
const CALLBACK = kind('a function', v => typeof v === 'function');
const LIKE_A_NAME = kind(
  'a path, URL, ArrayBuffer, Uint8Array, Blob or source of your own',
  v => typeof v === 'string' || isObject(v),
);

/** Rules by option name; an option that is undefined is always right. */
export type Rules = Record<string, Rule>;

/** @internal */
export const OPEN_RULES: Rules = {
  backend: kind("'auto', 'wasm', 'cuda' or 'reference'", v =>
    ['auto', 'wasm', 'cuda', 'reference'].some(name => name === v),
  ),
  gpus: integer(1, 64, 'an integer from 1 to 64'),
  contextLength: integer(1, LARGEST, 'an integer of at least 1'),
  sequences: integer(1, 1024, 'an integer from 1 to 1024'),
  kvCache: kind("'f32', 'f16' or 'q8_0'", v => v === 'f32' || v === 'f16' || v === 'q8_0'),
  threads: {
    expected: "'auto' or an integer from 0 to 64",
    numeric: true,
    test: v => v === 'auto' || (Number.isInteger(v) && (v as number) >= 0 && (v as number) <= 64),
  },
  memoryLimit: integer(1, Number.MAX_SAFE_INTEGER, 'a number of bytes'),
  tokenizer: LIKE_A_NAME,
  signal: SIGNAL,
  onProgress: CALLBACK,
};

const SAMPLING_RULES: Rules = {
  temperature: number(0, 1e6, 'a number from 0 to 1e6'),
  topK: integer(0, LARGEST, 'an integer of at least 0 (0 keeps all)'),
  topP: number(0, 1, 'a number from 0 to 1'),
  minP: number(0, 1, 'a number from 0 to 1'),
  repeatPenalty: number(1e-3, 1e3, 'a number from 0.001 to 1000'),
  frequencyPenalty: number(-1e3, 1e3, 'a number from -1000 to 1000'),
  presencePenalty: number(-1e3, 1e3, 'a number from -1000 to 1000'),
  repeatLastN: integer(-1, LARGEST, 'an integer of at least -1 (-1 looks at all)'),
  logitBias: kind(
    'an object of token ids with finite numbers',
    v =>
      isObject(v) &&
      !Array.isArray(v) &&
      Object.entries(v).every(([id, bias]) => /^(0|[1-9]\d*)$/.test(id) && Number.isFinite(bias)),
  ),
  seed: integer(0, Number.MAX_SAFE_INTEGER, 'an integer from 0 to 2^53 - 1'),
};

/** @internal */
export const TOKEN_RULES: Rules = {
  ...SAMPLING_RULES,
  maxTokens: integer(0, LARGEST, 'an integer of at least 0'),
  stop: kind('a text or an array of texts, none empty', v => {
    const texts = Array.isArray(v) ? v : [v];
    return texts.every(t => typeof t === 'string' && t !== '');
  }),
  stopIds: kind(
    'an array of token ids',
    v => Array.isArray(v) && v.every(id => Number.isInteger(id) && id >= 0),
  ),
  logprobs: integer(0, 100, 'an integer from 0 to 100'),
  signal: SIGNAL,
};

const SAMPLES = integer(1, 4096, 'an integer from 1 to 4096');
/** @internal */
export const BATCH_RULES: Rules = { ...TOKEN_RULES, samples: SAMPLES, onToken: CALLBACK };
/** @internal */
export const BEST_RULES: Rules = { ...TOKEN_RULES, samples: SAMPLES, score: CALLBACK };

/** @internal */
export const VOCABULARY_RULES: Rules = { signal: SIGNAL };

const { contextLength, sequences, kvCache, threads, memoryLimit } = OPEN_RULES as Record<string, Rule>;
/** @internal */
export const ESTIMATE_RULES: Rules = {
  contextLength: contextLength!,
  sequences: sequences!,
  kvCache: kvCache!,
  threads: threads!,
  memoryLimit: memoryLimit!,
  signal: SIGNAL,
};

/** @internal */
export const TEXT: Rule = kind('a text', v => typeof v === 'string');
/** @internal */
export const SWITCH: Rule = kind('true or false', v => typeof v === 'boolean');

/** @internal */
export const ENCODE_RULES: Rules = { bos: SWITCH, eos: SWITCH, special: SWITCH };

/** @internal */
export const DECODER_RULES: Rules = { stripLeadingSpace: SWITCH };

/** @internal */
export const PERPLEXITY_RULES: Rules = {
  window: integer(1, LARGEST, 'an integer of at least 1'),
  windows: integer(1, LARGEST, 'an integer of at least 1'),
  signal: SIGNAL,
  onProgress: CALLBACK,
};

/**
 * Checks a caller's options before anything is done with them.
 * @throws OptionError 'option-type', 'option-range' or 'option-unknown'
 * @internal
 */
export function checkOptions(where: string, options: unknown, rules: Rules): void {
  if (!isObject(options) || Array.isArray(options)) {
    throw new OptionError('option-type', {
      where: `${where}: options`,
      expected: 'an object',
      got: describe(options),
      hint: 'Leave the options out to take the defaults.',
    });
  }
  for (const [name, value] of Object.entries(options)) {
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
    if (!rule) {
      throw new OptionError('option-unknown', {
        where: `${where}: ${name}`,
        expected: `one of ${Object.keys(rules).join(', ')}`,
        got: JSON.stringify(name),
        hint: 'Check the spelling.',
      });
    }
    if (value !== undefined && !rule.test(value)) {
      const code: ErrorCode = rule.numeric && typeof value === 'number' ? 'option-range' : 'option-type';
      throw new OptionError(code, {
        where: `${where}: ${name}`,
        expected: rule.expected,
        got: describe(value),
        hint: 'Correct the option or leave it out to take the default.',
      });
    }
  }
}

/** @internal */
export function describe(value: unknown): string {
  if (typeof value === 'number' || value === null || value === undefined) return String(value);
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 40));
  return Array.isArray(value) ? 'an array' : typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
