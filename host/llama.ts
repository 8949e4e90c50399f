import type { Backend, Buf, Cache, Tensor } from './backend.ts';
import type { CacheDType } from './dtype.ts';
import { OptionError } from './errors.ts';
import type { LlamaConfig } from './model-file.ts';
import { type Share, shareOf } from './ranks/share.ts';

/** The weights of one layer; shapes as (rows, cols), kvDim = nKvHeads · headDim. A rank holds its share of the rows. */
export interface LayerWeights {
  attnNorm: Tensor; // (1, dim)
  attnQ: Tensor; // (dim, dim)
  attnK: Tensor; // (kvDim, dim)
  attnV: Tensor; // (kvDim, dim)
  attnOutput: Tensor; // (dim, dim)
  ffnNorm: Tensor; // (1, dim)
  ffnGate: Tensor; // (hiddenDim, dim)
  ffnUp: Tensor; // (hiddenDim, dim)
  ffnDown: Tensor; // (dim, hiddenDim)
}

export interface LlamaWeights {
  tokenEmbd: Tensor; // (vocabSize, dim)
  layers: LayerWeights[];
  outputNorm: Tensor; // (1, dim)
  /** The same tensor as `tokenEmbd` where the file ties them. */
  output: Tensor; // (vocabSize, dim)
  /** Divisors of the rotary frequencies, if the file brings any. */
  ropeFactors: Tensor | undefined; // (1, headDim/2)
}

/** Tokens of any sequences: token i belongs to slot slots[i] and stands at positions[i] of its sequence. */
export interface Batch {
  tokens: ArrayLike<number>;
  slots: ArrayLike<number>;
  /** A sequence's tokens come in order and continue what its slot holds. */
  positions: ArrayLike<number>;
}

export interface LlamaLimits {
  /** Tokens that a slot's kv cache holds. */
  contextLength: number;
  /** Sequences held at once. */
  slots: number;
  /** Format of their keys and values. */
  cache: CacheDType;
  /** Most tokens of one `forward`. */
  batch: number;
  /** Most rows of one `logits`. */
  outputs: number;
}

/** Rotary angles computed at once, in positions: under a millisecond. */
const ANGLES_AHEAD = 128;

/**
 * The Llama transformer (Touvron et al. 2023, "Llama 2", section 2.2) as a list of op calls on any backend. Ranks run
 * the same calls side by side, each on its share of the rows; `gather` puts the parts of an activation together.
 */
export class Llama {
  readonly backend: Backend;
  readonly config: LlamaConfig;
  readonly weights: LlamaWeights;
  readonly limits: LlamaLimits;
  readonly share: Share;

  // activations of a batch of B tokens; a `…Part` is what this rank computes of the array, or the array itself
  readonly #x: Buf; // (B, dim)       the residual stream
  readonly #normed: Buf; // (B, dim)
  readonly #q: Buf; // (B, heads, headDim)
  readonly #k: Buf; // (B, kvHeads, headDim)
  readonly #v: Buf; // (B, kvHeads, headDim)
  readonly #mixed: Buf; // (B, nHeads, headDim)
  readonly #mixedPart: Buf; // (B, heads, headDim)
  readonly #rowsPart: Buf; // (B, dim)
  readonly #gate: Buf; // (B, hiddenDim)
  readonly #gatePart: Buf; // (B, hidden)
  readonly #up: Buf; // (B, hidden)
  readonly #tokens: Buf; // (B)
  readonly #slots: Buf; // (B)
  readonly #positions: Buf; // (B)
  // outputs
  readonly #rows: Buf; // (outputs)
  readonly #last: Buf; // (outputs, dim)
  readonly #logits: Buf; // (outputs, vocabSize)
  readonly #logitsPart: Buf; // (outputs, vocab)
  // state
  readonly #keys: Cache[]; // per layer
  readonly #values: Cache[];
  readonly #angles: Buf; // (contextLength, headDim/2, 2)
  /** Positions whose angles have been computed. */
  #turned = 0;
  #taken = 0;

  constructor(
    backend: Backend,
    config: LlamaConfig,
    weights: LlamaWeights,
    limits: LlamaLimits,
    share: Share = shareOf(config),
  ) {
    const { dim, hiddenDim, nLayers, headDim, vocabSize } = config;
    const { contextLength, slots, batch, outputs, cache } = limits;
    this.backend = backend;
    this.config = config;
    this.weights = weights;
    this.limits = limits;
    this.share = share;
    const heads = share.heads.count;
    const kvHeads = share.kvHeads.count;
    const part = (whole: Buf, count: number) => (share.ranks === 1 ? whole : backend.allocF32(count));
    this.#x = backend.allocF32(batch * dim);
    this.#normed = backend.allocF32(batch * dim);
    this.#q = backend.allocF32(batch * heads * headDim);
    this.#mixed = backend.allocF32(batch * dim);
    this.#mixedPart = part(this.#mixed, batch * heads * headDim);
    this.#rowsPart = part(this.#normed, batch * share.dim.count);
    this.#k = backend.allocF32(batch * kvHeads * headDim);
    this.#v = backend.allocF32(batch * kvHeads * headDim);
    this.#gate = backend.allocF32(batch * hiddenDim);
    this.#gatePart = part(this.#gate, batch * share.hidden.count);
    this.#up = backend.allocF32(batch * share.hidden.count);
    this.#tokens = backend.allocI32(batch);
    this.#slots = backend.allocI32(batch);
    this.#positions = backend.allocI32(batch);
    this.#rows = backend.allocI32(outputs);
    this.#last = backend.allocF32(outputs * dim);
    this.#logits = backend.allocF32(outputs * vocabSize);
    this.#logitsPart = part(this.#logits, outputs * share.vocab.count);
    const caches = () =>
      Array.from({ length: nLayers }, () =>
        backend.allocCache(cache, slots, kvHeads, contextLength, headDim),
      );
    this.#keys = caches();
    this.#values = caches();
    this.#angles = backend.allocF32(contextLength * headDim);
  }

  /** Bytes taken in all memories. */
  get bytes(): number {
    return this.backend.bytes;
  }

  /** Frees them. */
  dispose(): void {
    this.backend.dispose();
  }

  /** Tokens that the last `forward` took. */
  get taken(): number {
    return this.#taken;
  }

  /**
   * Runs a batch through all layers and leaves its keys and values in the cache; `logits` then gives its outputs.
   * @throws OptionError for tokens, slots or positions that the model does not have.
   */
  forward(batch: Batch): void {
    const n = batch.tokens.length;
    checkBatch(batch, this.config, this.limits);
    const { backend: b, weights } = this;
    b.writeI32(this.#tokens, batch.tokens);
    b.writeI32(this.#slots, batch.slots);
    b.writeI32(this.#positions, batch.positions);

    this.#turnTo(Math.max(...Array.from(batch.positions)));
    b.repeat(this, `forward ${n}`, () => {
      b.embedding(this.#x, this.#tokens, weights.tokenEmbd, n);
      for (const [i, layer] of weights.layers.entries())
        this.#layer(layer, this.#keys[i]!, this.#values[i]!, n);
    });
    this.#taken = n;
  }

  #layer(layer: LayerWeights, keys: Cache, values: Cache, n: number): void {
    const { backend: b, config, share } = this;
    const { dim, hiddenDim, nHeads, nKvHeads, headDim, normEps } = config;
    const x = this.#x;
    const normed = this.#normed;
    const q = this.#q;
    const slots = this.#slots;
    const positions = this.#positions;
    const heads = share.heads.count;
    const group = nHeads / nKvHeads;
    const before = share.heads.first - share.kvHeads.first * group;

    const { attnQ, attnK, attnV } = layer;
    b.normedMatmuls([q, this.#k, this.#v], normed, x, layer.attnNorm, [attnQ, attnK, attnV], n, normEps);
    b.ropeAppend(q, this.#k, this.#v, keys, values, slots, positions, this.#angles, n, heads);
    b.attention(this.#mixedPart, q, keys, values, slots, positions, n, heads, group, before);
    b.gather(this.#mixed, this.#mixedPart, n, dim, share.heads.first * headDim, heads * headDim);
    b.addMatmul(x, normed, this.#rowsPart, this.#mixed, layer.attnOutput, n, dim, share.dim.first);

    const { ffnNorm, ffnGate, ffnUp, ffnDown } = layer;
    b.gatedMatmul(this.#gatePart, this.#up, normed, x, ffnNorm, ffnGate, ffnUp, n, normEps);
    b.gather(this.#gate, this.#gatePart, n, hiddenDim, share.hidden.first, share.hidden.count);
    b.addMatmul(x, normed, this.#rowsPart, this.#gate, ffnDown, n, dim, share.dim.first);
  }

  /**
   * The logits of the given tokens (indexes into the last batch), (rows.length, vocabSize). Valid until the next call.
   * @throws OptionError 'option-range' for more rows than `limits.outputs` or rows that were not in the batch.
   */
  logits(rows: ArrayLike<number>): Buf {
    const n = rows.length;
    const { backend: b, config, weights, share } = this;
    checkRows(rows, this.#taken, this.limits);
    b.writeI32(this.#rows, rows);
    b.repeat(this, `logits ${n}`, () => {
      const last = this.#last;
      b.takeRows(last, this.#x, this.#rows, n, config.dim);
      b.normedMatmuls(
        [this.#logitsPart],
        last,
        last,
        weights.outputNorm,
        [weights.output],
        n,
        config.normEps,
      );
      b.gather(this.#logits, this.#logitsPart, n, config.vocabSize, share.vocab.first, share.vocab.count);
    });
    return this.#logits;
  }

  /** Gives slot `to` the first `count` positions of slot `from`. */
  copySlot(from: number, to: number, count: number): void {
    for (const cache of [...this.#keys, ...this.#values]) this.backend.copySlot(cache, from, to, count);
  }

  /**
   * Rows of positions first … first + count − 1 of a slot and a kv head of the model, as the cache keeps them.
   * @param cache 2 · layer for keys, 2 · layer + 1 for values
   */
  readCache(cache: number, slot: number, head: number, first: number, count: number): Promise<Uint8Array> {
    return this.backend.readCache(this.#cache(cache), slot, head - this.share.kvHeads.first, first, count);
  }

  /** Puts back what `readCache` gave. A head that this rank does not hold is left to those that do. */
  writeCache(cache: number, slot: number, head: number, first: number, rows: Uint8Array): void {
    const { kvHeads } = this.share;
    const own = head - kvHeads.first;
    if (own < 0 || own >= kvHeads.count) return;
    this.backend.writeCache(this.#cache(cache), slot, own, first, rows);
  }

  #cache(index: number): Cache {
    return (index % 2 === 0 ? this.#keys : this.#values)[index >> 1]!;
  }

  /** Computes the angles of all positions up to `position`, some ahead, as sequences grow into the context. */
  #turnTo(position: number): void {
    const { headDim, ropeTheta, ropeScale } = this.config;
    while (this.#turned <= position) {
      const count = Math.min(ANGLES_AHEAD, this.limits.contextLength - this.#turned);
      const { ropeFactors } = this.weights;
      this.backend.ropeTable(this.#angles, ropeFactors, this.#turned, count, headDim, ropeTheta, ropeScale);
      this.#turned += count;
    }
  }
}

/** @throws OptionError for tokens, slots or positions that the model does not have */
export function checkBatch(
  { tokens, slots, positions }: Batch,
  config: LlamaConfig,
  limits: LlamaLimits,
): void {
  const n = tokens.length;
  const { batch, slots: allSlots, contextLength } = limits;
  const fail = (where: string, expected: string, got: unknown) => {
    const code = where === 'tokens' ? 'token-out-of-range' : 'option-range';
    const hint = 'Check the batch before it is run.';
    throw new OptionError(code, { where: `forward: ${where}`, expected, got: String(got), hint });
  };
  if (n < 1 || n > batch || slots.length !== n || positions.length !== n) {
    const got = `${n} tokens, ${slots.length} slots, ${positions.length} positions`;
    fail('batch', `1 to ${batch} tokens, and as many slots and positions`, got);
  }
  const within = (values: ArrayLike<number>, limit: number, where: string) => {
    const bad = Array.from(values).find(v => !(Number.isInteger(v) && v >= 0 && v < limit));
    if (bad !== undefined) fail(where, `integers in 0 .. ${limit - 1}`, bad);
  };
  within(tokens, config.vocabSize, 'tokens');
  within(slots, allSlots, 'slots');
  within(positions, contextLength, 'positions');
}

/** @throws OptionError 'option-range' */
export function checkRows(rows: ArrayLike<number>, taken: number, { outputs }: LlamaLimits): void {
  if (rows.length <= outputs && every(rows, row => Number.isInteger(row) && row >= 0 && row < taken)) return;
  throw new OptionError('option-range', {
    where: 'logits: rows',
    expected: `at most ${outputs} indexes below ${taken}, the size of the last batch`,
    got: `${rows.length} rows: ${Array.from(rows).slice(0, 8)}`,
    hint: 'Ask for fewer rows at once.',
  });
}

function every(values: ArrayLike<number>, test: (value: number) => boolean): boolean {
  return Array.prototype.every.call(values, test);
}
