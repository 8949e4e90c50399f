import type { Completion, TokenEvent, TokenOptions } from './api.ts';
import type { Backend, Buf } from './backend.ts';
import { OptionError } from './errors.ts';
import type { Llama } from './llama.ts';
import { prefill } from './prefill.ts';
import type { Queue } from './queue.ts';
import { checkId, Sampler, type SamplerBuffers } from './sampler.ts';
import { Stops } from './stops.ts';
import type { Tokenizer } from './tokenizer.ts';
import { turn } from './turn.ts';

/** What a call on a model works with. */
export interface Engine {
  llama: Llama;
  queue: Queue;
  buffers: GenerateBuffers;
  tokenizer: Tokenizer | undefined;
  loadMs: number;
}

export interface GenerateBuffers extends SamplerBuffers {
  /** The model's own logits, kept while sampling changes them. */
  raw: Buf; // (vocabSize) f32
  losses: Buf; // (limits.outputs) f32
}

/**
 * Generates from a prompt of token ids, in slot 0 from an empty cache.
 * @param options checked ones
 * @throws OptionError 'prompt-too-long', 'token-out-of-range'; the signal's reason; StateError 'closed'
 */
export async function* generateTokens(
  engine: Engine,
  prompt: number[],
  options: TokenOptions,
): AsyncGenerator<TokenEvent, Completion, void> {
  const { llama, queue, buffers, tokenizer, loadMs } = engine;
  const { contextLength } = llama.limits;
  const { vocabSize } = llama.config;
  const { signal } = options;
  checkPrompt(prompt, vocabSize, contextLength);
  const stopIds = new Set(options.stopIds ?? []);
  for (const id of stopIds) checkId('stopIds', id, vocabSize);
  const maxTokens = Math.min(options.maxTokens ?? contextLength, contextLength - prompt.length);
  const sampler = new Sampler(llama.backend, buffers, vocabSize, options);
  const stops = new Stops(typeof options.stop === 'string' ? [options.stop] : (options.stop ?? []));
  const decoder = tokenizer?.decoder({ stripLeadingSpace: !prompt.some(id => hasText(tokenizer, id)) });
  const ends = new Set([tokenizer?.eos, tokenizer?.bos]);

  const history = [...prompt];
  const clock = new Clock();
  let completionTokens = 0;
  let done: Completion['done'] = 'length';
  const completion = (): Completion => ({
    done,
    usage: { promptTokens: prompt.length, completionTokens },
    timing: clock.timing(loadMs, prompt.length),
    seed: sampler.seed,
  });

  const leave = await queue.enter(signal);
  try {
    if (maxTokens === 0) return completion();
    clock.start();
    await prefill(llama, queue, prompt, 0, signal);
    clock.promptDone();
    let row = llama.taken - 1; // of the last token in the last batch
    while (completionTokens < maxTokens) {
      const logits = llama.logits([row]);
      if (options.logprobs !== undefined) keep(llama.backend, buffers, logits, vocabSize);
      const id = await sampler.next(logits, history);
      if (completionTokens === 0) clock.firstToken();
      if (ends.has(id) || stopIds.has(id)) {
        done = ends.has(id) ? 'eos' : 'stop';
        break;
      }
      completionTokens++;
      history.push(id);
      const event: TokenEvent = { id, piece: decoder?.push(id) ?? '' };
      if (options.logprobs !== undefined)
        await addLogprobs(llama.backend, buffers, event, options.logprobs, vocabSize);
      const { events, stopped } = stops.push(event, decoder?.pending ?? false);
      clock.pause();
      for (const certain of events) {
        queue.rest();
        yield certain;
        queue.check(signal);
        queue.compute();
      }
      clock.start();
      if (stopped) {
        done = 'stop';
        break;
      }
      await turn(signal);
      queue.check(signal);
      if (completionTokens === maxTokens) break;
      llama.forward({ tokens: [id], slots: [0], positions: [history.length - 1] });
      row = 0;
      clock.step();
    }
    clock.pause();
    queue.rest();
    yield* stops.flush(decoder?.end());
    return completion();
  } finally {
    leave();
  }
}

function hasText(tokenizer: Tokenizer, id: number): boolean {
  return tokenizer.decode([id]) !== '' || tokenizer.byte(id) >= 0;
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

function keep(backend: Backend, buffers: GenerateBuffers, logits: Buf, vocabSize: number): void {
  backend.writeI32(buffers.ids, [0]);
  backend.takeRows(buffers.raw, logits, buffers.ids, 1, vocabSize);
}

async function addLogprobs(
  backend: Backend,
  buffers: GenerateBuffers,
  event: TokenEvent,
  count: number,
  vocabSize: number,
): Promise<void> {
  const n = Math.min(count, vocabSize);
  backend.writeI32(buffers.id, [event.id]);
  backend.crossEntropy(buffers.losses, buffers.raw, buffers.id, 1, vocabSize);
  event.logprob = -(await backend.readF32(buffers.losses, 1))[0]!;
  if (n === 0) return;
  backend.topLogprobs(buffers.ids, buffers.values, buffers.raw, vocabSize, n);
  const ids = await backend.readI32(buffers.ids, n);
  const logprobs = await backend.readF32(buffers.values, n);
  event.top = Array.from(ids, (id, i) => ({ id, logprob: logprobs[i]! }));
}

/** Times the parts of a call; while the caller holds a token the clock stands. */
class Clock {
  #began = 0;
  #from = 0;
  #spent = 0;
  #promptMs = 0;
  #firstMs = 0;
  #steps = 0;

  start(): void {
    this.#from = performance.now();
    if (this.#began === 0) this.#began = this.#from;
  }

  pause(): void {
    this.#spent += performance.now() - this.#from;
  }

  promptDone(): void {
    this.#promptMs = performance.now() - this.#began;
  }

  firstToken(): void {
    this.#firstMs = performance.now() - this.#began;
  }

  step(): void {
    this.#steps++;
  }

  timing(loadMs: number, promptTokens: number): Completion['timing'] {
    const decodeMs = Math.max(0, this.#spent - this.#firstMs);
    const rate = (tokens: number, ms: number) => (ms > 0 ? (1000 * tokens) / ms : 0);
    return {
      loadMs,
      promptMs: this.#promptMs,
      decodeMs,
      promptTokensPerSecond: rate(promptTokens, this.#promptMs),
      decodeTokensPerSecond: rate(this.#steps, decodeMs),
      timeToFirstTokenMs: this.#firstMs,
    };
  }
}
