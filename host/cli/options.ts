import type { OpenOptions, SamplingOptions } from '../index.ts';
import { choice, flag, integer, integerOr, number, numbersById, type Option, text, texts } from './args.ts';

// The library's own limits: what is outside of them is said before a large model has been loaded.
export const COUNT: { min: number; max: number } = { min: 0, max: 2 ** 31 - 1 };

/** Options of every command that opens a model. */
export const modelOptions: {
  tokenizer: Option<string>;
  context: Option<number>;
  backend: Option<NonNullable<OpenOptions['backend']>>;
  gpus: Option<number>;
  threads: Option<NonNullable<OpenOptions['threads']>>;
  kvCache: Option<NonNullable<OpenOptions['kvCache']>>;
} = {
  tokenizer: text('FILE', "the vocabulary of a llama2.c model: llama2.c's or SentencePiece's file"),
  context: integer(
    'N',
    { min: 1, max: COUNT.max },
    "tokens that a sequence may hold; default: the model's context",
  ),
  backend: choice(
    ['auto', 'wasm', 'cuda', 'reference'],
    'SIMD kernels, a GPU (with cria-cuda), or the slow plain loops that specify them',
  ),
  gpus: integer('N', { min: 1, max: 64 }, 'GPUs of backend cuda that share the model; default 1'),
  threads: integerOr(
    'auto',
    'N',
    { min: 0, max: 64 },
    'threads that compute, 0 for none but the main one; default auto: all that pay off but one',
  ),
  kvCache: choice(['f32', 'f16', 'q8_0'], 'format of the keys and values; default f32'),
};

export const samplingOptions: {
  [K in keyof SamplingOptions]-?: Option<NonNullable<SamplingOptions[K]>>;
} = {
  temperature: number('T', { min: 0, max: 1e6 }, '0 takes the most probable token; default 0.8'),
  topK: integer('K', COUNT, 'keep the K most probable tokens, 0 all; default 40'),
  topP: number('P', { min: 0, max: 1 }, 'keep the most probable tokens that reach P together; default 0.95'),
  minP: number('P', { min: 0, max: 1 }, 'keep tokens with this share of the largest probability; default 0'),
  repeatPenalty: number('X', { min: 0.001, max: 1000 }, 'divide the logits of recent tokens by X; default 1'),
  frequencyPenalty: number(
    'X',
    { min: -1000, max: 1000 },
    'lower the logits of recent tokens by X per occurrence; default 0',
  ),
  presencePenalty: number(
    'X',
    { min: -1000, max: 1000 },
    'lower the logits of recent tokens by X; default 0',
  ),
  repeatLastN: integer('N', { min: -1, max: COUNT.max }, 'how many tokens are recent; -1 all; default 64'),
  logitBias: numbersById("add VALUE to a token's logit"),
  seed: integer('N', { min: 0 }, 'the same seed gives the same text; default: random'),
};

/** Options of every command that generates text. */
export const generationOptions: typeof samplingOptions & {
  stop: Option<string[]>;
  maxTokens: Option<number>;
} = {
  maxTokens: integer('N', COUNT, 'generate at most N tokens; default: to the end of the context'),
  stop: texts('TEXT', 'end before this text'),
  ...samplingOptions,
};

export const verboseOption: Option<boolean> = flag('report speed, memory and seed on stderr');
