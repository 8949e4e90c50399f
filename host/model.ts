import type {
  BatchOptions,
  Best,
  BestOptions,
  ChatMessage,
  Completion,
  GenerateOptions,
  Generation,
  ModelInfo,
  Perplexity,
  PerplexityOptions,
  TokenEvent,
  TokenOptions,
} from './api.ts';
import { bestOf, generateBatch } from './batch.ts';
import { restoreCache, saveCache } from './cache-file.ts';
import { encodeChat } from './chat.ts';
import {
  BATCH_RULES,
  BEST_RULES,
  checkOptions,
  describe,
  PERPLEXITY_RULES,
  TOKEN_RULES,
  VOCABULARY_RULES,
} from './check.ts';
import { OptionError } from './errors.ts';
import { checkPrompt, type Engine, generateTokens } from './generate.ts';
import { perplexityOf } from './perplexity.ts';
import type { Tokenizer } from './tokenizer.ts';

/** An opened model. Calls wait for one another; a generator holds its turn until it ends or is returned. */
export class Model {
  readonly info: ModelInfo;
  readonly #engine: Engine;

  /** Use `open`. @internal */
  constructor(info: ModelInfo, engine: Engine) {
    this.info = info;
    this.#engine = engine;
  }

  /** @throws OptionError 'needs-tokenizer' for a llama2.c model opened without one. */
  get tokenizer(): Tokenizer {
    return this.#engine.tokenizer ?? needsTokenizer('model.tokenizer');
  }

  /**
   * The text that follows a prompt, piece by piece. A text gets BOS if the model wants it; ids are taken as given.
   * @throws OptionError for options or a prompt that do not fit; the signal's reason; StateError 'closed'.
   */
  async *generate(
    prompt: string | ArrayLike<number>,
    options: GenerateOptions = {},
  ): AsyncGenerator<string, Completion, void> {
    return yield* pieces(this.tokens(prompt, options));
  }

  /**
   * The tokens that follow a prompt; the value returned at the end says why it ended, counts and times.
   * @throws as `generate`
   */
  async *tokens(
    prompt: string | ArrayLike<number>,
    options: TokenOptions = {},
  ): AsyncGenerator<TokenEvent, Completion, void> {
    checkOptions('generate', options, TOKEN_RULES);
    if (options.stop !== undefined && !this.#engine.tokenizer) needsTokenizer('stop');
    return yield* generateTokens(this.#engine, this.#ids('prompt', prompt), options);
  }

  /**
   * The assistant's answer to a conversation in Llama 2's chat format (docs: README, Chat).
   * @throws OptionError 'chat-format', 'chat-markers', 'chat-too-long', and as `generate`.
   */
  async *chat(
    messages: ChatMessage[],
    options: GenerateOptions = {},
  ): AsyncGenerator<string, Completion, void> {
    checkOptions('chat', options, TOKEN_RULES);
    const ids = encodeChat(this.tokenizer, messages);
    const { contextLength } = this.info;
    if (ids.length >= contextLength) {
      throw new OptionError('chat-too-long', {
        where: 'chat',
        expected: `a conversation of fewer than ${contextLength} tokens, the context of this model as opened`,
        got: `${ids.length} tokens`,
        hint: 'Drop the oldest messages, or open the model with a larger contextLength if it allows one.',
      });
    }
    return yield* pieces(generateTokens(this.#engine, ids, options));
  }

  /**
   * The logits after each of `ids`, (ids.length, vocabSize) in one array. Nothing is added to the ids.
   * @throws OptionError 'prompt-too-long', 'token-out-of-range'; StateError 'closed'.
   */
  async logits(ids: ArrayLike<number>): Promise<Float32Array> {
    const { runner, queue } = this.#engine;
    const { vocabSize } = this.#engine.config;
    const { contextLength } = this.#engine.limits;
    const given = this.#ids('logits', ids);
    checkPrompt(given, vocabSize, contextLength);
    const out = new Float32Array(given.length * vocabSize);
    const turn = await queue.enter();
    try {
      const all = runner.logits(given, turn.signal);
      for (let at = 0; ; ) {
        const { value, done } = await queue.computing(all.next());
        if (done) return out;
        out.set(value, at);
        at += value.length;
      }
    } finally {
      turn.leave();
    }
  }

  /**
   * How well the model predicts a text (BOS is put before it if the vocabulary has one) or ids (taken as given).
   * @throws OptionError; the signal's reason; StateError 'closed'.
   */
  async perplexity(text: string | ArrayLike<number>, options: PerplexityOptions = {}): Promise<Perplexity> {
    checkOptions('perplexity', options, PERPLEXITY_RULES);
    const ids =
      typeof text === 'string'
        ? this.tokenizer.encode(text, { bos: this.tokenizer.bos >= 0, eos: false })
        : this.#ids('ids', text);
    return perplexityOf(this.#engine, ids, options);
  }

  /**
   * Continues several prompts together, as many at once as the model was opened for (`sequences`). Result i is what
   * `generate` gives alone with the seed `seed` + i. Prompts that begin alike are computed once.
   * @throws as `generate`
   */
  async generateBatch(
    prompts: (string | ArrayLike<number>)[],
    options: BatchOptions = {},
  ): Promise<Generation[]> {
    checkOptions('generateBatch', options, BATCH_RULES);
    if (!Array.isArray(prompts)) {
      throw new OptionError('option-type', {
        where: 'prompts',
        expected: 'an array of texts or of arrays of token ids',
        got: describe(prompts),
        hint: 'Put a single prompt into an array.',
      });
    }
    if (options.stop !== undefined && !this.#engine.tokenizer) needsTokenizer('stop');
    return generateBatch(
      this.#engine,
      prompts.map((prompt, i) => this.#ids(`prompt ${i}`, prompt)),
      options,
    );
  }

  /**
   * The best of several continuations of one prompt, which is computed once.
   * @throws as `generate`, and what `score` throws
   */
  async bestOf(prompt: string | ArrayLike<number>, options: BestOptions): Promise<Best> {
    checkOptions('bestOf', options, BEST_RULES);
    if (options.stop !== undefined && !this.#engine.tokenizer) needsTokenizer('stop');
    return bestOf(this.#engine, this.#ids('prompt', prompt), options);
  }

  /**
   * The keys and values of the sequence that was computed last, as bytes: `restoreCache` puts them back in another
   * process, on another runtime, with other threads, and what follows has the same bits.
   */
  async saveCache(options: { signal?: AbortSignal } = {}): Promise<Uint8Array> {
    checkOptions('saveCache', options, VOCABULARY_RULES);
    return saveCache(this.#engine, options.signal);
  }

  /**
   * Puts back what `saveCache` gave.
   * @returns the tokens that it holds: a prompt that begins with them goes on from there
   * @throws FileError 'bad-snapshot' for damaged bytes, 'foreign-snapshot' for those of another model or format
   */
  async restoreCache(bytes: Uint8Array, options: { signal?: AbortSignal } = {}): Promise<number[]> {
    checkOptions('restoreCache', options, VOCABULARY_RULES);
    if (!(bytes instanceof Uint8Array)) {
      throw new OptionError('option-type', {
        where: 'bytes',
        expected: 'a Uint8Array',
        got: describe(bytes),
        hint: 'Pass what saveCache() gave.',
      });
    }
    return restoreCache(this.#engine, bytes, options.signal);
  }

  /** Frees the memory. Calls that are running or waiting end with StateError 'closed'. Closing twice is harmless. */
  async close(): Promise<void> {
    await this.#engine.queue.close();
    await this.#engine.runner.close();
  }

  #ids(where: string, prompt: unknown): number[] {
    if (typeof prompt === 'string') return this.tokenizer.encode(prompt, { eos: false });
    if (Array.isArray(prompt) || ArrayBuffer.isView(prompt))
      return Array.from(prompt as unknown as ArrayLike<number>);
    throw new OptionError('option-type', {
      where,
      expected: 'a text or an array of token ids',
      got: describe(prompt),
      hint: 'Pass a string, or ids from tokenizer.encode().',
    });
  }
}

function needsTokenizer(where: string): never {
  throw new OptionError('needs-tokenizer', {
    where,
    expected: 'a vocabulary',
    got: 'a model file without one',
    hint: "Pass the model's tokenizer.model, or llama2.c's tokenizer file, as the option tokenizer of open().",
  });
}

async function* pieces(
  tokens: AsyncGenerator<TokenEvent, Completion, void>,
): AsyncGenerator<string, Completion, void> {
  try {
    for (;;) {
      const { value, done } = await tokens.next();
      if (done) return value;
      if (value.piece !== '') yield value.piece;
    }
  } finally {
    // a caller who leaves early ends the call underneath too; its value is then of no interest
    await tokens.return(undefined as unknown as Completion);
  }
}
