import { dirname, resolve } from 'node:path';
import {
  type DataSource,
  RUN_PLAN,
  type RunPlan,
  sourcesFromConfig,
  type TokenDataOptions,
  TRAIN_RULES,
  type TrainConfig,
} from '../train/index.ts';
import { choice, integer, number, type Option, text, UsageError, type Values } from './args.ts';
import { readJson } from './data-options.ts';

const MOST = 2 ** 31 - 1;
const yesNo = (help: string): Option<boolean> => {
  const { value, read } = choice(['yes', 'no'], help);
  return { value: value!, help, read: (given, flag) => read(given, flag) === 'yes' };
};

/** What decides the numbers of a run; ranges are the library's. */
const modelOptions: { [K in keyof TrainConfig]: Option<NonNullable<TrainConfig[K]>> } = {
  dim: integer('N', { min: 1 }, 'width of the residual stream'),
  hiddenDim: integer('N', { min: 1 }, 'width of the feed-forward; default 8/3 of dim'),
  nLayers: integer('N', { min: 1 }, 'layers'),
  nHeads: integer('N', { min: 1 }, 'query heads'),
  nKvHeads: integer('N', { min: 1 }, 'key and value heads; default: as many'),
  contextLength: integer('N', { min: 1 }, 'tokens of a sequence'),
  tied: yesNo('whether the output matrix is the table of embeddings; default yes'),
  normEps: number('X', {}, 'default 1e-5'),
  ropeTheta: number('X', {}, 'default 10000'),
  sequences: integer('N', { min: 1 }, 'sequences of a micro-batch; default 8'),
  microBatches: integer('N', { min: 1 }, 'micro-batches of a step; default 1'),
  recompute: yesNo('compute activations again instead of keeping them: less memory, the same bits'),
  mostLogits: integer('N', { min: 1 }, 'logits in memory at once; default 4194304'),
  steps: integer('N', { min: 1, max: MOST }, 'steps of the run'),
  learningRate: number('X', {}, 'the largest; default 0.001'),
  warmup: integer('N', { min: 0 }, 'steps to it; default a tenth of the run, at most 100'),
  finalRate: number('X', {}, 'the last one, as a share of the largest; default 0.1'),
  beta1: number('X', {}, "AdamW's; default 0.9"),
  beta2: number('X', {}, "AdamW's; default 0.95"),
  eps: number('X', {}, "AdamW's; default 1e-5"),
  decay: number('X', {}, 'weight decay of matrices; default 0.1'),
  clip: number('X', {}, 'largest norm of the gradient; default 1'),
  spike: number('X', {}, 'a loss so many times the mean of the last 20 ends the run; 0 never; default 2'),
  seed: integer('N', { min: 0 }, 'of the first weights and of the order of the texts; default 0'),
};

const planOptions: { [K in keyof RunPlan]: Option<RunPlan[K]> } = {
  validateEvery: integer('N', { min: 0, max: MOST }, 'steps between validations, 0 none; default 100'),
  validateBatches: integer('N', { min: 0, max: MOST }, 'batches of a validation; default 0, all'),
  sampleEvery: integer('N', { min: 0, max: MOST }, 'steps between samples, 0 none; default 500'),
  samplePrompts: {
    value: 'TEXT',
    help: 'what a sample begins with (may be repeated); default: nothing',
    read: prompts => prompts,
  },
  sampleTokens: integer('N', { min: 1, max: MOST }, 'default 100'),
  sampleTemperature: number('T', { min: 0, max: 1e6 }, 'default 0.8'),
  checkpointEvery: integer('N', { min: 0, max: MOST }, 'steps between checkpoints; default 100'),
  keep: integer('N', { min: 1, max: MOST }, 'checkpoints that are kept; default 3'),
};

/** Options of the whole, which a configuration may have too. */
const wholeOptions: {
  tokenizer: Option<string>;
  from: Option<string>;
  out: Option<string>;
  cache: Option<string>;
  validation: Option<number>;
  split: Option<'document' | 'tail'>;
  splitSeed: Option<number>;
  ranks: Option<number>;
  backend: Option<'wasm' | 'cuda'>;
  precision: Option<'f32' | 'bf16'>;
  logEvery: Option<number>;
} = {
  tokenizer: text('FILE', 'the vocabulary: a GGUF file or a tokenizer.model'),
  from: text('MODEL', 'a GGUF or llama2.c model to go on from, whose shape and vocabulary the run takes'),
  out: text('FOLDER', 'where the run is kept'),
  cache: text('FOLDER', 'where tokenised texts are kept; default: with the run'),
  validation: number('X', { min: 0, max: 0.999 }, 'share kept for validation; default 0.05'),
  split: choice(['document', 'tail'], 'keep whole documents, or the end of each text; default document'),
  splitSeed: integer('N', { min: 0 }, 'of the choice of documents; default: seed'),
  ranks: integer('N', { min: 1, max: 64 }, 'threads that compute; default 1; the same bits with any number'),
  backend: choice(['wasm', 'cuda'], 'cuda: on a GPU, by the package cria-cuda; default wasm'),
  precision: choice(['f32', 'bf16'], 'of what is multiplied; bf16 with --backend cuda; default f32'),
  logEvery: integer(
    'N',
    { min: 1, max: MOST },
    'steps between lines, where there is no terminal; default 10',
  ),
};

export const trainOptions: typeof modelOptions & typeof planOptions & typeof wholeOptions = {
  ...wholeOptions,
  ...modelOptions,
  ...planOptions,
};

/** A configuration with the flags that override it. */
export interface TrainJob {
  config: Partial<TrainConfig>;
  plan: Partial<RunPlan>;
  sources: DataSource[];
  data: Pick<TokenDataOptions, 'validation' | 'split' | 'splitSeed'>;
  tokenizer: string | undefined;
  from: string | undefined;
  out: string;
  cache: string | undefined;
  ranks: number;
  backend: 'wasm' | 'cuda';
  precision: 'f32' | 'bf16';
  logEvery: number;
}

const PATHS: string[] = ['tokenizer', 'from', 'out', 'cache'];

/** @throws UsageError, OptionError 'bad-config' */
export async function readJob(
  path: string | undefined,
  given: Values<typeof trainOptions>,
  files: DataSource[],
): Promise<TrainJob> {
  const file = path === undefined ? {} : await readJson(path);
  if (typeof file !== 'object' || file === null || Array.isArray(file)) {
    throw new UsageError(`${path}: expected an object, got ${JSON.stringify(file)}`);
  }
  const { sources: _, ...own } = file as Record<string, unknown>;
  const here = (name: string) => resolve(dirname(path ?? '.'), name);
  for (const [key, value] of Object.entries(own)) {
    own[key] = fromFile(path!, key, value);
    if (PATHS.includes(key)) own[key] = here(own[key] as string);
  }
  const all = { ...own, ...given } as Values<typeof trainOptions>;
  const sources = files.length > 0 ? files : sourcesFromConfig(file, path ?? 'cria train', here);
  if (all.out === undefined) throw new UsageError('--out is missing: the folder of the run');
  if (all.backend === 'cuda' && (all.ranks ?? 1) > 1)
    throw new UsageError(`--ranks: expected 1 with --backend cuda, got ${all.ranks}`);
  if (all.precision === 'bf16' && all.backend !== 'cuda')
    throw new UsageError('--precision: expected f32 without --backend cuda, got bf16');
  const part = (keys: object) => Object.fromEntries(Object.entries(all).filter(([key]) => key in keys));
  const { tokenizer, from, out, cache, ranks = 1, backend = 'wasm', precision = 'f32', logEvery = 10 } = all;
  return {
    config: part(TRAIN_RULES),
    plan: part(RUN_PLAN),
    sources,
    data: part({ validation: 0, split: 0, splitSeed: 0 }),
    tokenizer,
    from,
    out,
    cache,
    ranks,
    backend,
    precision,
    logEvery,
  };
}

/** A value of a configuration, under the rules of the flag of the same name. */
function fromFile(path: string, key: string, value: unknown): unknown {
  const option = Object.hasOwn(trainOptions, key)
    ? (trainOptions as Record<string, Option<unknown>>)[key]!
    : undefined;
  if (!option) {
    const known = Object.keys(trainOptions).join(', ');
    throw new UsageError(`${path}: expected sources, ${known}; got the key ${JSON.stringify(key)}`);
  }
  const spell = (one: unknown) => (typeof one === 'boolean' ? (one ? 'yes' : 'no') : String(one));
  try {
    return option.read(Array.isArray(value) ? value.map(spell) : [spell(value)], key);
  } catch (error) {
    throw error instanceof UsageError ? new UsageError(`${path}: ${error.message}`) : error;
  }
}
