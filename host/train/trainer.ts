import type { Buf } from '../backend.ts';
import { StateError } from '../errors.ts';
import type { LlamaConfig } from '../model-file.ts';
import { turn } from '../turn.ts';
import type { Thread } from '../workers/thread.ts';
import { AdamW } from './adamw.ts';
import {
  llamaConfig,
  type Precision,
  type TrainConfig,
  type TrainOptions,
  tokensOfStep,
  trainConfig,
} from './config.ts';
import type { TrainBatch, TrainData } from './data.ts';
import { initialWeights } from './initial.ts';
import { TrainLlama } from './llama.ts';
import type { MicroBatch } from './micro-batch.ts';
import type { Parameters } from './parameters.ts';
import { type OpenTrainGpu, openBackend } from './place.ts';
import { type Answer, type Rank, startRanks } from './ranks.ts';
import { rateAt } from './schedule.ts';

/** Losses that a spike is measured against. */
const RECENT = 20;

export interface TrainerOptions {
  vocabSize: number;
  /** Threads that compute side by side, the calling one included. Default 1, as where there are no threads and on a GPU. */
  ranks?: number;
  /** 'wasm', the default, gives the same bits everywhere; 'cuda', on a GPU, takes the package cria-cuda. */
  backend?: 'wasm' | 'cuda';
  /** 'f32', the default, or 'bf16', on a GPU: what is multiplied is rounded then, what is summed and kept is not. */
  precision?: Precision;
  /** Starts a thread that runs `runTrainRank`; the entry of training gives it. @internal */
  startThread?: (() => Thread) | undefined;
  /** Opens a GPU; likewise. @internal */
  openGpu?: OpenTrainGpu | undefined;
  /** The first weights, a buffer of parameters; default: random ones. */
  from?: Float32Array | undefined;
}

export interface StepReport {
  /** 1, 2, … */
  step: number;
  /** Mean over the tokens of the step, in nats, before the step. */
  loss: number;
  /** Of the gradient, before clipping. */
  norm: number;
  learningRate: number;
}

/** All that must be kept to go on as if nothing had happened; the data follow from the step. */
export interface TrainState {
  step: number;
  /** Buffers of the model's parameters. */
  weights: Float32Array;
  m: Float32Array;
  v: Float32Array;
  /** The last losses, by which a spike is recognised. */
  recent: number[];
  /** The lowest validation loss so far; undefined before the first. */
  best: number | undefined;
}

/** A loss that is no number or has leapt up. The weights are those before the step. */
export class Diverged extends StateError {
  readonly report: StepReport;
  /** Mean loss of each micro-batch of the step. */
  readonly losses: number[];

  constructor(report: StepReport, losses: number[], expected: string) {
    super('diverged', {
      where: `step ${report.step}`,
      expected,
      got: `a loss of ${report.loss} and a gradient of norm ${report.norm}`,
      hint: 'Lower the learning rate or lengthen the warm-up, and resume from a checkpoint before.',
    });
    this.report = report;
    this.losses = losses;
  }
}

/**
 * Pretraining of one model: `step` after `step`. In WebAssembly the same configuration, texts and vocabulary give the
 * same bits on every runtime and CPU, for any number of ranks, stopped and resumed or not.
 */
export class Trainer {
  readonly config: TrainConfig;
  /** @internal */
  readonly model: TrainLlama;
  /** The gradient of the last step that was begun, a buffer of parameters. @internal */
  readonly gradient: Buf;
  readonly #data: TrainData;
  readonly #optimiser: AdamW;
  readonly #others: Rank[];
  /** Whether the other ranks have the weights of this one. */
  #shared = false;
  #recent: number[] = [];
  /** The lowest validation loss so far; undefined before the first. */
  best: number | undefined;

  /** @throws OptionError for what the options make; StateError 'out-of-memory', 'thread-died', 'gpu-unavailable' @internal */
  static async create(
    options: TrainOptions,
    data: TrainData,
    { vocabSize, ranks = 1, backend = 'wasm', precision = 'f32', startThread, openGpu, from }: TrainerOptions,
  ): Promise<Trainer> {
    const config = trainConfig(options);
    const llama = llamaConfig(config, vocabSize);
    const { sequences: B, contextLength: T, tied, recompute, mostLogits } = config;
    const shape = { B, T, tied, recompute, mostLogits };
    const count = Math.min(ranks, config.microBatches);
    const device = await openBackend(backend, ranks, openGpu, precision);
    let others: Rank[] = [];
    try {
      if (startThread) others = await startRanks(count, startThread, llama, shape);
      const model = new TrainLlama(device, llama, shape);
      const weights = from ?? initialWeights(model.parameters, config.nLayers, config.seed);
      return new Trainer(config, model, data, others, weights);
    } catch (error) {
      device.dispose();
      await Promise.all(others.map(rank => rank.close()));
      throw error;
    }
  }

  /** Use `create`. @internal */
  constructor(config: TrainConfig, model: TrainLlama, data: TrainData, others: Rank[], first: Float32Array) {
    this.config = config;
    this.model = model;
    this.#data = data;
    this.#others = others;
    const { backend, parameters, weights } = model;
    this.gradient = parameters.alloc(backend);
    this.#optimiser = new AdamW(backend, parameters, weights, this.gradient, config);
    backend.writeF32(weights, first);
  }

  get parameters(): Parameters {
    return this.model.parameters;
  }

  /** Steps done. */
  get step(): number {
    return this.#optimiser.step;
  }

  /** Batches of the validation split. */
  get validationBatches(): number {
    return this.#data.validationBatches;
  }

  get llama(): LlamaConfig {
    return this.model.config;
  }

  /**
   * One step of the optimiser.
   * @throws Diverged, with the weights as they were; what the data throw; the signal's reason: nothing has happened then
   */
  async advance(signal?: AbortSignal): Promise<StepReport> {
    const { microBatches } = this.config;
    const { backend, parameters, gradient } = this.model;
    const step = this.step + 1;
    const batches: MicroBatch[] = [];
    for (let i = 0; i < microBatches; i++) {
      const { tokens, targets } = await this.#data.batchAt(step - 1, i, signal);
      const coef = new Float32Array(tokens.length).fill(1 / tokensOfStep(this.config));
      batches.push({ tokens, targets, coef });
    }
    signal?.throwIfAborted();
    backend.zero(this.gradient, parameters.size);
    const losses: number[] = [];
    for await (const answer of this.#answers('backward', batches, signal)) {
      if (answer.gradient) backend.writeF32(gradient, answer.gradient);
      backend.add(this.gradient, this.gradient, gradient, parameters.size);
      losses.push(sum(answer.losses) / answer.losses.length);
    }
    const loss = sum(losses) / microBatches;
    const learningRate = rateAt(this.config, step);
    const report = { step, loss, norm: Number.NaN, learningRate };
    this.#check(report, losses);
    report.norm = await this.#optimiser.update(learningRate);
    if (!Number.isFinite(report.norm)) throw new Diverged(report, losses, 'finite numbers');
    this.#shared = false;
    this.#recent = [...this.#recent, loss].slice(-RECENT);
    return report;
  }

  /**
   * The mean loss over the validation split, in nats, or over the first `batches` of it.
   * @throws what the data throw; the signal's reason
   */
  async validate(batches: number = this.#data.validationBatches, signal?: AbortSignal): Promise<number> {
    const { contextLength } = this.config;
    let total = 0;
    let tokens = 0;
    const count = Math.min(batches, this.#data.validationBatches);
    const together = 1 + this.#others.length;
    for (let first = 0; first < count; first += together) {
      signal?.throwIfAborted();
      const some: TrainBatch[] = [];
      for (let i = first; i < Math.min(count, first + together); i++) {
        some.push(await this.#data.validationAt(i, signal));
      }
      let i = 0;
      for await (const { losses } of this.#answers(
        'losses',
        some.map(({ tokens, targets }) => ({ tokens, targets, coef: [] })),
        signal,
      )) {
        const counted = losses.subarray(0, some[i++]!.rows * contextLength);
        total += sum(counted);
        tokens += counted.length;
      }
    }
    return total / tokens;
  }

  async state(): Promise<TrainState> {
    const { backend, parameters, weights } = this.model;
    const read = (buf: number) => backend.readF32(buf, parameters.size);
    const { step, m, v } = this.#optimiser;
    const { best } = this;
    return {
      step,
      weights: await read(weights),
      m: await read(m),
      v: await read(v),
      recent: this.#recent,
      best,
    };
  }

  /** Goes on from a state of the same configuration, in which it must not be in the middle of a step. */
  restore({ step, weights, m, v, recent, best }: TrainState): void {
    const { backend } = this.model;
    backend.writeF32(this.model.weights, weights);
    backend.writeF32(this.#optimiser.m, m);
    backend.writeF32(this.#optimiser.v, v);
    this.#optimiser.step = step;
    this.#recent = [...recent];
    this.best = best;
    this.#shared = false;
  }

  /** Frees everything. */
  async close(): Promise<void> {
    await Promise.all(this.#others.map(rank => rank.close()));
    this.model.backend.dispose();
  }

  /** Answers in the order of the batches; this rank's own gradients are in `model.gradient`. */
  async *#answers(
    kind: 'backward' | 'losses',
    batches: MicroBatch[],
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Answer> {
    const { backend, parameters, weights } = this.model;
    const ranks = 1 + this.#others.length;
    if (!this.#shared && ranks > 1) {
      const numbers = await backend.readF32(weights, parameters.size);
      for (const rank of this.#others) rank.setWeights(numbers);
      this.#shared = true;
    }
    const asked = batches.map((batch, i) => {
      const answer = i % ranks > 0 ? this.#others[(i % ranks) - 1]!.ask(kind, batch) : undefined;
      answer?.catch(() => {}); // heard below
      return answer;
    });
    for (const [i, batch] of batches.entries()) {
      yield (await asked[i]) ?? { losses: await this.model[kind](batch), gradient: undefined };
      await turn(signal);
    }
  }

  /** @throws Diverged */
  #check(report: StepReport, losses: number[]): void {
    if (!Number.isFinite(report.loss)) throw new Diverged(report, losses, 'finite numbers');
    const { spike } = this.config;
    if (spike === 0 || this.#recent.length < RECENT) return;
    const usual = sum(this.#recent) / RECENT;
    if (report.loss > spike * usual) {
      throw new Diverged(
        report,
        losses,
        `a loss of at most ${spike} · ${usual}, the mean of the last ${RECENT}`,
      );
    }
  }
}

function sum(values: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i]!;
  return total;
}
