import { OptionError } from '../errors.ts';
import type { Tokenizer } from '../tokenizer.ts';
import { turn } from '../turn.ts';
import { saveBest, saveCheckpoint } from './checkpoints.ts';
import { anatomy } from './dump.ts';
import type { RunStore } from './run-store.ts';
import { Diverged, type StepReport, type Trainer } from './trainer.ts';
import { Writer } from './writer.ts';

/** What a run does besides learning. Steps of 0 are never; all but checkpoints happen at the end too. */
export interface RunPlan {
  /** Steps between validations, the best of which is kept in `best.ckpt`. Default 100. */
  validateEvery: number;
  /** Batches of a validation; 0: all. Default 0. */
  validateBatches: number;
  /** Steps between samples. Default 500. */
  sampleEvery: number;
  samplePrompts: string[];
  /** Tokens of a sample. Default 100. */
  sampleTokens: number;
  /** Default 0.8. */
  sampleTemperature: number;
  /** Steps between checkpoints, of which one is written at the end. Default 100. */
  checkpointEvery: number;
  /** Checkpoints that are kept. Default 3. */
  keep: number;
}

export const RUN_PLAN: RunPlan = {
  validateEvery: 100,
  validateBatches: 0,
  sampleEvery: 500,
  samplePrompts: [''],
  sampleTokens: 100,
  sampleTemperature: 0.8,
  checkpointEvery: 100,
  keep: 3,
};

export type RunEvent =
  | ({ kind: 'step'; ms: number } & StepReport)
  | { kind: 'validation'; step: number; loss: number; ms: number }
  | { kind: 'sample'; step: number; prompt: string; text: string }
  /** It is on the disk. */
  | { kind: 'checkpoint'; step: number; name: string; ms: number };

export interface RunOptions {
  trainer: Trainer;
  tokenizer: Tokenizer;
  store: RunStore;
  /** Which run the checkpoints belong to. */
  run: string;
  plan?: Partial<RunPlan>;
  /** Stop after this step, as if interrupted. Default: the last. */
  until?: number;
  signal?: AbortSignal;
}

/**
 * A run from where the trainer stands to its last step. An abort of the signal saves a checkpoint and ends the run with
 * the signal's reason.
 * @throws Diverged, after a dump was written to `dump-STEP.json`; what the data and the store throw: checkpoints stay then
 */
export async function* runTraining({
  trainer,
  tokenizer,
  store,
  run,
  plan,
  until = trainer.config.steps,
  signal,
}: RunOptions): AsyncGenerator<RunEvent, void, void> {
  const { checkpointEvery, validateEvery, validateBatches, sampleEvery, keep, ...samples } = {
    ...RUN_PLAN,
    ...plan,
  };
  const end = Math.min(until, trainer.config.steps);
  let saved = trainer.step;
  let writer: Writer | undefined;

  const checkpoint = async () => {
    const { config, llama } = trainer;
    return { config, llama, run, state: await trainer.state() };
  };
  const save = async (): Promise<RunEvent> => {
    const from = performance.now();
    const { step } = trainer;
    const name = await saveCheckpoint(store, await checkpoint(), keep);
    saved = step;
    return { kind: 'checkpoint', step, name, ms: performance.now() - from };
  };
  const due = (every: number) => every > 0 && (trainer.step % every === 0 || trainer.step === end);

  try {
    while (trainer.step < end) {
      const from = performance.now();
      const report = await trainer.advance(signal).catch(error => dumped(error, trainer, store));
      yield { kind: 'step', ms: performance.now() - from, ...report };
      const { step } = trainer;
      if (due(validateEvery) && trainer.validationBatches > 0) {
        const from = performance.now();
        const loss = await trainer.validate(validateBatches || undefined, signal);
        yield { kind: 'validation', step, loss, ms: performance.now() - from };
        if (!(loss >= (trainer.best ?? Number.POSITIVE_INFINITY))) {
          trainer.best = loss;
          await saveBest(store, await checkpoint());
        }
      }
      if (due(checkpointEvery) || step === end) yield await save();
      if (due(sampleEvery)) {
        writer ??= new Writer(trainer.model);
        for (const prompt of samples.samplePrompts) {
          const text = await sample(writer, tokenizer, prompt, step, samples);
          yield { kind: 'sample', step, prompt, text };
        }
      }
      await turn(signal);
    }
  } catch (error) {
    if (signal?.aborted && trainer.step > saved) yield await save();
    throw error;
  }
}

/** A text of its own for each step, the same in every run of the same configuration. @internal */
export async function sample(
  writer: Writer,
  tokenizer: Tokenizer,
  prompt: string,
  seed: number,
  { sampleTokens, sampleTemperature }: Pick<RunPlan, 'sampleTokens' | 'sampleTemperature'>,
): Promise<string> {
  const ids = tokenizer.encode(prompt, { eos: false });
  if (ids.length === 0) {
    throw new OptionError('option-range', {
      where: 'samplePrompts',
      expected: 'a text, as the vocabulary has no BOS to begin with',
      got: 'an empty one',
      hint: 'Give --sample-prompt.',
    });
  }
  const options = { temperature: sampleTemperature, seed };
  return tokenizer.decode(await writer.write(ids, tokenizer.eos, sampleTokens, options));
}

async function dumped(error: unknown, { model, gradient }: Trainer, store: RunStore): Promise<never> {
  if (!(error instanceof Diverged)) throw error;
  const { report, losses, message } = error;
  const dump = {
    message,
    ...report,
    loss: String(report.loss),
    norm: String(report.norm),
    losses: losses.map(String),
    weights: await anatomy(model, model.weights),
    gradient: await anatomy(model, gradient),
  };
  const bytes = new TextEncoder().encode(`${JSON.stringify(dump, undefined, 1)}\n`);
  await store.write(`dump-${report.step}.json`, sink => sink.write(bytes));
  throw error;
}
