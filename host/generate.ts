import type { Completion, TokenEvent, TokenOptions } from './api.ts';
import { OptionError } from './errors.ts';
import type { Fingerprint } from './fingerprint.ts';
import type { LlamaLimits } from './llama.ts';
import type { LlamaConfig } from './model-file.ts';
import type { Queue } from './queue.ts';
import { randomSeed } from './random.ts';
import type { Runner, SequenceRequest } from './runner.ts';
import { checkId } from './sampler.ts';
import type { Tokenizer } from './tokenizer.ts';
import { Transcript } from './transcript.ts';

/** What a call on a model works with. */
export interface Engine {
  runner: Runner;
  queue: Queue;
  tokenizer: Tokenizer | undefined;
  config: LlamaConfig;
  limits: LlamaLimits;
  fingerprint: Fingerprint;
  loadMs: number;
}

/** A token of one of the sequences asked for together. */
export interface SequenceEvent {
  sequence: number;
  event: TokenEvent;
}

/**
 * Generates from prompts of token ids; sequence i draws as it would alone with the seed `seed` + i.
 * @param options checked ones
 * @throws OptionError 'prompt-too-long', 'token-out-of-range'; the signal's reason; StateError 'closed'
 */
export async function* generateAll(
  engine: Engine,
  prompts: number[][],
  options: TokenOptions,
): AsyncGenerator<SequenceEvent, Completion[], void> {
  const { runner, queue, tokenizer, loadMs } = engine;
  const { vocabSize } = engine.config;
  const { contextLength } = engine.limits;
  for (const prompt of prompts) checkPrompt(prompt, vocabSize, contextLength);
  for (const id of options.stopIds ?? []) checkId('stopIds', id, vocabSize);
  for (const id of Object.keys(options.logitBias ?? {})) checkId('logitBias', Number(id), vocabSize);
  const seed = options.seed ?? randomSeed();
  const seedOf = (i: number) => (seed + i) % Number.MAX_SAFE_INTEGER;
  const transcripts = prompts.map(
    (prompt, i) => new Transcript(prompt, tokenizer, options, seedOf(i), loadMs),
  );
  const requests: SequenceRequest[] = [];
  /** Which sequence a request is for. */
  const sequences: number[] = [];
  for (const [i, prompt] of prompts.entries()) {
    const maxTokens = Math.min(options.maxTokens ?? contextLength, contextLength - prompt.length);
    if (maxTokens === 0) continue;
    sequences.push(i);
    const sampling = { ...samplingOf(options), seed: seedOf(i) };
    requests.push({ prompt, maxTokens, ends: transcripts[i]!.ends, sampling, logprobs: options.logprobs });
  }

  const turn = await queue.enter(options.signal);
  try {
    const steps = runner.generate(requests, turn.signal);
    try {
      let over: number[] = [];
      for (;;) {
        const step = await queue.computing(steps.next(over));
        turn.signal.throwIfAborted();
        if (step.done) break;
        over = [];
        for (const draw of step.value) {
          const sequence = sequences[draw.sequence]!;
          const transcript = transcripts[sequence]!;
          const was = transcript.over;
          for (const event of transcript.push(draw)) {
            yield { sequence, event };
            turn.signal.throwIfAborted();
          }
          if (transcript.over && !was) over.push(draw.sequence);
        }
        if (transcripts.every(transcript => transcript.over)) break;
      }
    } finally {
      await steps.return();
    }
    for (const [sequence, transcript] of transcripts.entries()) {
      for (const event of transcript.flush()) yield { sequence, event };
    }
    return transcripts.map(transcript => transcript.completion());
  } finally {
    turn.leave();
  }
}

/** `generateAll` for one prompt. */
export async function* generateTokens(
  engine: Engine,
  prompt: number[],
  options: TokenOptions,
): AsyncGenerator<TokenEvent, Completion, void> {
  const events = generateAll(engine, [prompt], options);
  try {
    for (;;) {
      const { value, done } = await events.next();
      if (done) return value[0]!;
      yield value.event;
    }
  } finally {
    // a caller who leaves early ends the call underneath too; its value is then of no interest
    await events.return([]);
  }
}

/** What goes to the sampler, which may sit in another thread. */
function samplingOf(options: TokenOptions): SequenceRequest['sampling'] {
  const { stop, stopIds, maxTokens, logprobs, signal, ...sampling } = options;
  return { ...sampling, seed: 0 };
}

/** @throws OptionError */
export function checkPrompt(ids: ArrayLike<number>, vocabSize: number, contextLength: number): void {
  if (ids.length === 0) {
    throw new OptionError('option-range', {
      where: 'prompt',
      expected: 'at least one token',
      got: 'none',
      hint: 'Begin with BOS: the tokenizer adds it to text if the model wants it.',
    });
  }
  for (let i = 0; i < ids.length; i++) checkId(`prompt token ${i}`, ids[i], vocabSize);
  if (ids.length <= contextLength) return;
  throw new OptionError('prompt-too-long', {
    where: 'prompt',
    expected: `at most ${contextLength} tokens, the context of this model as opened`,
    got: `${ids.length} tokens`,
    hint: 'Shorten the prompt, or open the model with a larger contextLength if it allows one.',
  });
}
