import type {
  ChatMessage,
  Completion,
  GenerateOptions,
  ModelInfo,
  OpenOptions,
  Perplexity,
  PerplexityOptions,
  TokenEvent,
  TokenOptions,
} from './api.ts';
import type { Backend } from './backend.ts';
import { encodeChat } from './chat.ts';
import { checkOptions, describe, PERPLEXITY_RULES, TOKEN_RULES } from './check.ts';
import { loadWeights } from './checkpoint.ts';
import { OptionError } from './errors.ts';
import { checkPrompt, type Engine, generateTokens } from './generate.ts';
import { Llama } from './llama.ts';
import { checkMemory, limitsOf, planMemory } from './memory.ts';
import type { ModelFile } from './model-file.ts';
import { perplexityOf } from './perplexity.ts';
import { prefill } from './prefill.ts';
import { Queue } from './queue.ts';
import { samplerBuffers } from './sampler.ts';
import type { Source } from './source.ts';
import type { Tokenizer } from './tokenizer.ts';

/** An opened model. Calls wait for one another; a generator holds its turn until it ends or is returned. */
export class Model {
  readonly info: ModelInfo;
  readonly #engine: Engine;

  /** Use `open`. */
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
    const { llama, queue } = this.#engine;
    const { vocabSize } = llama.config;
    const given = this.#ids('logits', ids);
    checkPrompt(given, vocabSize, llama.limits.contextLength);
    const out = new Float32Array(given.length * vocabSize);
    const leave = await queue.enter();
    try {
      await prefill(llama, queue, given, 0, undefined, async (first, count) => {
        for (let row = 0; row < count; row += llama.limits.outputs) {
          const rows = Array.from({ length: Math.min(llama.limits.outputs, count - row) }, (_, i) => row + i);
          const values = await llama.backend.readF32(llama.logits(rows), rows.length * vocabSize);
          out.set(values, (first + row) * vocabSize);
        }
      });
    } finally {
      leave();
    }
    return out;
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

  /** Frees the memory. Calls that are running or waiting end with StateError 'closed'. Closing twice is harmless. */
  async close(): Promise<void> {
    await this.#engine.queue.close();
    this.#engine.llama.backend.dispose();
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
    hint: "Pass llama2.c's tokenizer file as the option tokenizer of open().",
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

/** Loads the weights and makes the model. On failure the backend is disposed. */
export async function buildModel(
  backend: Backend,
  file: ModelFile,
  source: Source,
  tokenizer: Tokenizer | undefined,
  started: number,
  options: OpenOptions,
): Promise<Model> {
  const limits = limitsOf(file.config, options.contextLength);
  try {
    if (backend.name === 'wasm') checkMemory(planMemory(file, options.contextLength), source.name);
    const weights = await loadWeights(backend, file, source, options);
    const llama = new Llama(backend, file.config, weights, limits);
    const { vocabSize } = file.config;
    const buffers = {
      ...samplerBuffers(backend, vocabSize),
      raw: backend.allocF32(vocabSize),
      losses: backend.allocF32(limits.outputs),
    };
    const loadMs = performance.now() - started;
    const info = infoOf(file, backend, limits.contextLength);
    return new Model(info, { llama, queue: new Queue(), buffers, tokenizer, loadMs });
  } catch (error) {
    backend.dispose();
    throw error;
  }
}

function infoOf(file: ModelFile, backend: Backend, contextLength: number): ModelInfo {
  const { config, metadata, format, tensors } = file;
  const name = metadata.get('general.name');
  const memory = planMemory(file, contextLength);
  const dtypes: ModelInfo['dtypes'] = {};
  for (const { dtype } of tensors.values()) dtypes[dtype] = (dtypes[dtype] ?? 0) + 1;
  return {
    ...config,
    architecture: 'llama',
    name: typeof name === 'string' ? name : undefined,
    format,
    backend: backend.name,
    contextLength,
    trainedContextLength: config.contextLength,
    parameters: [...tensors.values()].reduce((sum, { rows, cols }) => sum + rows * cols, 0),
    bytes: { weights: memory.weights, cache: memory.cache, total: backend.bytes },
    dtypes,
    metadata,
  };
}
