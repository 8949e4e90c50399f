import type { Completion, TokenEvent, TokenOptions } from './api.ts';
import type { Draw } from './runner.ts';
import { Stops } from './stops.ts';
import type { StreamDecoder, Tokenizer } from './tokenizer.ts';

/** Makes of the draws of one sequence the events that its caller sees: text, stops, counts and times. */
export class Transcript {
  readonly seed: number;
  readonly #prompt: number[];
  readonly #ends: Set<number>;
  readonly #eos: Set<number>;
  readonly #stops: Stops;
  readonly #decoder: StreamDecoder | undefined;
  readonly #loadMs: number;
  #done: Completion['done'] = 'length';
  #tokens = 0;
  /** Draws, the one that ended the sequence included. */
  #draws = 0;
  #cached = 0;
  #promptMs = 0;
  #firstMs = 0;
  #lastMs = 0;
  #over = false;

  constructor(
    prompt: number[],
    tokenizer: Tokenizer | undefined,
    options: TokenOptions,
    seed: number,
    loadMs: number,
  ) {
    this.seed = seed;
    this.#prompt = prompt;
    this.#eos = new Set(tokenizer ? [tokenizer.eos, tokenizer.bos].filter(id => id >= 0) : []);
    this.#ends = new Set([...(options.stopIds ?? []), ...this.#eos]);
    this.#stops = new Stops(typeof options.stop === 'string' ? [options.stop] : (options.stop ?? []));
    const continues =
      tokenizer && prompt.some(id => tokenizer.decode([id]) !== '' || tokenizer.byte(id) >= 0);
    this.#decoder = tokenizer?.decoder({ stripLeadingSpace: !continues });
    this.#loadMs = loadMs;
  }

  /** Ids that end the sequence. */
  get ends(): number[] {
    return [...this.#ends];
  }

  /** Whether a stop was met: later draws are ignored. */
  get over(): boolean {
    return this.#over;
  }

  /** Takes a draw; gives the events that are certain now. */
  push(draw: Draw): TokenEvent[] {
    if (this.#over) return [];
    if (draw.prompt) {
      this.#promptMs = draw.prompt.ms;
      this.#cached = draw.prompt.cached;
      this.#firstMs = draw.ms;
    }
    this.#lastMs = draw.ms;
    this.#draws++;
    if (this.#ends.has(draw.id)) {
      this.#done = this.#eos.has(draw.id) ? 'eos' : 'stop';
      this.#over = true;
      return [];
    }
    this.#tokens++;
    const { id, logprob, top } = draw;
    const event: TokenEvent = { id, piece: this.#decoder?.push(id) ?? '' };
    if (logprob !== undefined) event.logprob = logprob;
    if (top) event.top = top;
    const { events, stopped } = this.#stops.push(event, this.#decoder?.pending ?? false);
    if (stopped) {
      this.#done = 'stop';
      this.#over = true;
    }
    return events;
  }

  /** The events that were held back, when there are no more draws. */
  flush(): TokenEvent[] {
    return this.#stops.flush(this.#decoder?.end());
  }

  completion(): Completion {
    const promptTokens = this.#prompt.length;
    const decodeMs = this.#lastMs - this.#firstMs;
    const rate = (tokens: number, ms: number) => (ms > 0 ? (1000 * tokens) / ms : 0);
    return {
      done: this.#done,
      usage: { promptTokens, cachedTokens: this.#cached, completionTokens: this.#tokens },
      timing: {
        loadMs: this.#loadMs,
        promptMs: this.#promptMs,
        decodeMs,
        promptTokensPerSecond: rate(promptTokens - this.#cached, this.#promptMs),
        decodeTokensPerSecond: rate(this.#draws - 1, decodeMs),
        timeToFirstTokenMs: this.#firstMs,
      },
      seed: this.seed,
    };
  }
}
