import type { SamplingOptions } from './api.ts';
import type { Backend, Buf } from './backend.ts';
import { OptionError } from './errors.ts';
import { notFinite } from './model-errors.ts';
import { Random, randomSeed } from './random.ts';

const DEFAULTS = {
  temperature: 0.8,
  topK: 40,
  topP: 0.95,
  minP: 0,
  repeatPenalty: 1,
  frequencyPenalty: 0,
  presencePenalty: 0,
  repeatLastN: 64,
};

/** Buffers that sampling needs, shared by the calls on one model. */
export interface SamplerBuffers {
  id: Buf; // (1) i32
  ids: Buf; // (vocabSize) i32
  counts: Buf; // (vocabSize) i32
  values: Buf; // (vocabSize) f32
}

export function samplerBuffers(backend: Backend, vocabSize: number): SamplerBuffers {
  return {
    id: backend.allocI32(1),
    ids: backend.allocI32(vocabSize),
    counts: backend.allocI32(vocabSize),
    values: backend.allocF32(vocabSize),
  };
}

/** Draws tokens from logits: biases, penalties, then temperature and cuts (order and formulas in backend.ts). */
export class Sampler {
  readonly seed: number;
  readonly #backend: Backend;
  readonly #buffers: SamplerBuffers;
  readonly #vocabSize: number;
  readonly #options: typeof DEFAULTS;
  readonly #bias: [ids: number[], values: number[]];
  readonly #random: Random;

  /**
   * @param options checked ones; undefined takes the default
   * @throws OptionError 'token-out-of-range' for a bias on an id outside the vocabulary
   */
  constructor(backend: Backend, buffers: SamplerBuffers, vocabSize: number, options: SamplingOptions) {
    this.#backend = backend;
    this.#buffers = buffers;
    this.#vocabSize = vocabSize;
    const given = Object.entries(options).filter(([, value]) => value !== undefined);
    this.#options = { ...DEFAULTS, ...Object.fromEntries(given) };
    this.seed = options.seed ?? randomSeed();
    this.#random = Random.seeded(this.seed);
    const bias = Object.entries(options.logitBias ?? {});
    this.#bias = [bias.map(([id]) => Number(id)), bias.map(([, value]) => value)];
    for (const id of this.#bias[0]) checkId('logitBias', id, vocabSize);
  }

  /**
   * Draws the token that follows `history` from `logits` (vocabSize), which it changes.
   * @throws FileError 'non-finite-results'
   */
  async next(logits: Buf, history: number[]): Promise<number> {
    const b = this.#backend;
    const { id, ids, counts, values } = this.#buffers;
    const o = this.#options;
    const [biased, bias] = this.#bias;
    if (biased.length > 0) {
      b.writeI32(ids, biased);
      b.writeF32(values, bias);
      b.addBias(logits, ids, values, biased.length);
    }
    if (o.repeatPenalty !== 1 || o.frequencyPenalty !== 0 || o.presencePenalty !== 0) {
      const seen = occurrences(history, o.repeatLastN);
      b.writeI32(ids, [...seen.keys()]);
      b.writeI32(counts, [...seen.values()]);
      b.penalize(logits, ids, counts, seen.size, o.repeatPenalty, o.frequencyPenalty, o.presencePenalty);
    }
    // one draw a token, used or not, so that a seed's later tokens do not depend on how earlier ones were cut
    const u = this.#random.next();
    b.sample(id, logits, this.#vocabSize, o.temperature, o.topK, o.topP, o.minP, u);
    const drawn = (await b.readI32(id, 1))[0]!;
    if (drawn < 0) throw notFinite('logits', Number.NaN);
    return drawn;
  }
}

/** How often each id occurs among the last `n` (−1: all), in the order of first occurrence. */
function occurrences(history: number[], n: number): Map<number, number> {
  const counts = new Map<number, number>();
  const from = n < 0 ? 0 : Math.max(0, history.length - n);
  for (let i = from; i < history.length; i++) counts.set(history[i]!, (counts.get(history[i]!) ?? 0) + 1);
  return counts;
}

/** @throws OptionError 'token-out-of-range' */
export function checkId(where: string, id: unknown, vocabSize: number): void {
  if (Number.isInteger(id) && (id as number) >= 0 && (id as number) < vocabSize) return;
  throw new OptionError('token-out-of-range', {
    where,
    expected: `token ids in 0 .. ${vocabSize - 1}`,
    got: String(id),
    hint: 'Encode text with this model’s tokenizer.',
  });
}
