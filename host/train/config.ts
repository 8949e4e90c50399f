import { checkOptions, type Rule, type Rules, SWITCH } from '../check.ts';
import { OptionError } from '../errors.ts';
import { configProblem } from '../llama-shape.ts';
import type { LlamaConfig } from '../model-file.ts';
import { rateAt } from './schedule.ts';

/** Of the operands of matrix products: bf16 takes a GPU. */
export type Precision = 'f32' | 'bf16';

/** All that decides the numbers of a run, beside its texts. */
export interface TrainConfig {
  // the model
  dim: number;
  /** Default: 8/3 · dim, up to a multiple of 32. */
  hiddenDim: number;
  nLayers: number;
  nHeads: number;
  /** Default: nHeads. */
  nKvHeads: number;
  /** Tokens of a sequence. */
  contextLength: number;
  /** Whether the output matrix is the table of embeddings. Default true. */
  tied: boolean;
  normEps: number;
  ropeTheta: number;
  // a step
  /** Sequences of a micro-batch, whose gradient is computed at once. */
  sequences: number;
  /** Micro-batches of a step, whose gradients are added. */
  microBatches: number;
  /** Compute activations again for backward instead of keeping them. */
  recompute: boolean;
  /** Most logits in memory at once. */
  mostLogits: number;
  // the optimiser
  steps: number;
  learningRate: number;
  warmup: number;
  finalRate: number;
  beta1: number;
  beta2: number;
  eps: number;
  decay: number;
  clip: number;
  /** A loss so many times the mean of the last 20 ends the run; 0: never. Default 2. */
  spike: number;
  /** Of the first weights and of the order of the texts. */
  seed: number;
}

/** What must be given; the rest has defaults. */
export type TrainOptions = Partial<TrainConfig> &
  Pick<TrainConfig, 'dim' | 'nLayers' | 'nHeads' | 'contextLength' | 'steps'>;

const integer = (min: number, max: number): Rule => ({
  expected: `an integer from ${min} to ${max}`,
  numeric: true,
  test: v => Number.isInteger(v) && (v as number) >= min && (v as number) <= max,
});
const number = (min: number, max: number): Rule => ({
  expected: `a number from ${min} to ${max}`,
  numeric: true,
  test: v => typeof v === 'number' && v >= min && v <= max,
});

export const TRAIN_RULES: { [K in keyof TrainConfig]-?: Rule } = {
  dim: integer(1, 2 ** 20),
  hiddenDim: integer(1, 2 ** 22),
  nLayers: integer(1, 1024),
  nHeads: integer(1, 4096),
  nKvHeads: integer(1, 4096),
  contextLength: integer(1, 2 ** 20),
  tied: SWITCH,
  normEps: number(1e-12, 1),
  ropeTheta: number(1, 1e12),
  sequences: integer(1, 65536),
  microBatches: integer(1, 65536),
  recompute: SWITCH,
  mostLogits: integer(1, 2 ** 30),
  steps: integer(1, 2 ** 31 - 1),
  learningRate: number(0, 10),
  warmup: integer(0, 2 ** 31 - 1),
  finalRate: number(0, 1),
  beta1: number(0, 1 - 2 ** -20),
  beta2: number(0, 1 - 2 ** -20),
  eps: number(1e-20, 1),
  decay: number(0, 10),
  clip: number(1e-9, Number.MAX_VALUE),
  spike: number(0, 1e6),
  seed: integer(0, Number.MAX_SAFE_INTEGER),
};

/**
 * The options with their defaults: those of the Llama 2 paper, section 2.2, where it has one.
 * @throws OptionError
 */
export function trainConfig(options: TrainOptions): TrainConfig {
  checkOptions('train', options, TRAIN_RULES as Rules);
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  for (const key of ['dim', 'nLayers', 'nHeads', 'contextLength', 'steps'] as const) {
    if (given[key] === undefined) throw wrong(key, TRAIN_RULES[key].expected, 'nothing', 'Give it.');
  }
  const { dim, nHeads, steps } = options;
  const config: TrainConfig = {
    dim,
    hiddenDim: Math.ceil((dim * 8) / 3 / 32) * 32,
    nLayers: options.nLayers,
    nHeads,
    nKvHeads: nHeads,
    contextLength: options.contextLength,
    tied: true,
    normEps: 1e-5,
    ropeTheta: 10000,
    sequences: 8,
    microBatches: 1,
    recompute: false,
    mostLogits: 2 ** 22,
    steps,
    learningRate: 1e-3,
    warmup: Math.min(100, Math.floor(steps / 10)),
    finalRate: 0.1,
    beta1: 0.9,
    beta2: 0.95,
    eps: 1e-5,
    decay: 0.1,
    clip: 1,
    spike: 2,
    seed: 0,
    ...given,
  };
  if (config.warmup > steps) throw wrong('warmup', `at most ${steps}, the steps of the run`, config.warmup);
  return config;
}

/** @throws OptionError for numbers that make no Llama */
export function llamaConfig(config: TrainConfig, vocabSize: number): LlamaConfig {
  const { dim, hiddenDim, nLayers, nHeads, nKvHeads, contextLength, normEps, ropeTheta } = config;
  const llama: LlamaConfig = {
    dim,
    hiddenDim,
    nLayers,
    nHeads,
    nKvHeads,
    headDim: dim / nHeads,
    vocabSize,
    contextLength,
    normEps,
    ropeTheta,
    ropeScale: 1,
  };
  const problem = configProblem(llama);
  if (problem) throw wrong(problem.field, problem.expected, problem.got);
  return llama;
}

/** Tokens of a step. */
export function tokensOfStep({ sequences, microBatches, contextLength }: TrainConfig): number {
  return sequences * microBatches * contextLength;
}

/** The learning rate of every step, for plots. */
export function rates(config: TrainConfig): Float64Array {
  return Float64Array.from({ length: config.steps }, (_, i) => rateAt(config, i + 1));
}

function wrong(field: string, expected: string, got: unknown, hint = 'Correct the option.'): OptionError {
  return new OptionError('option-range', { where: `train: ${field}`, expected, got: String(got), hint });
}
