import type { Backend, Buf, Cache, Tensor } from './backend.ts';
import { OptionError } from './errors.ts';
import type { LlamaConfig } from './model-file.ts';

/** The weights of one layer; shapes as (rows, cols), kvDim = nKvHeads · headDim. */
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
  /** Most tokens of one `forward`. */
  batch: number;
  /** Most rows of one `logits`. */
  outputs: number;
}

/** Numbers (f32 or i32) that a Llama keeps besides its weights. */
export function stateSizes(
  { dim, hiddenDim, nLayers, nKvHeads, headDim, vocabSize }: LlamaConfig,
  { contextLength, slots, batch, outputs }: LlamaLimits,
): { cache: number; activations: number } {
  const kvDim = nKvHeads * headDim;
  return {
    cache: 2 * nLayers * slots * contextLength * kvDim,
    activations:
      batch * (4 * dim + 2 * kvDim + 2 * hiddenDim + 3) +
      outputs * (dim + vocabSize + 1) +
      contextLength * headDim,
  };
}

/** Rotary angles computed at once, in positions: under a millisecond. */
const ANGLES_AHEAD = 128;

/** The Llama transformer (Touvron et al. 2023, "Llama 2", section 2.2) as a list of op calls on any backend. */
export class Llama {
  readonly backend: Backend;
  readonly config: LlamaConfig;
  readonly weights: LlamaWeights;
  readonly limits: LlamaLimits;

  // activations of a batch of B tokens
  readonly #x: Buf; // (B, dim)       the residual stream
  readonly #normed: Buf; // (B, dim)
  readonly #q: Buf; // (B, nHeads, headDim)
  readonly #k: Buf; // (B, nKvHeads, headDim)
  readonly #v: Buf; // (B, nKvHeads, headDim)
  readonly #mixed: Buf; // (B, nHeads, headDim)
  readonly #gate: Buf; // (B, hiddenDim)
  readonly #up: Buf; // (B, hiddenDim)
  readonly #tokens: Buf; // (B)
  readonly #slots: Buf; // (B)
  readonly #positions: Buf; // (B)
  // outputs
  readonly #rows: Buf; // (outputs)
  readonly #last: Buf; // (outputs, dim)
  readonly #logits: Buf; // (outputs, vocabSize)
  // state
  readonly #kCache: Cache[]; // per layer (slots, nKvHeads, contextLength, headDim)
  readonly #vCache: Cache[];
  readonly #angles: Buf; // (contextLength, headDim/2, 2)
  /** Positions whose angles have been computed. */
  #turned = 0;
  #taken = 0;

  constructor(backend: Backend, config: LlamaConfig, weights: LlamaWeights, limits: LlamaLimits) {
    const { dim, hiddenDim, nLayers, nKvHeads, headDim, vocabSize } = config;
    const { contextLength, slots, batch, outputs } = limits;
    const kvDim = nKvHeads * headDim;
    this.backend = backend;
    this.config = config;
    this.weights = weights;
    this.limits = limits;
    this.#x = backend.allocF32(batch * dim);
    this.#normed = backend.allocF32(batch * dim);
    this.#q = backend.allocF32(batch * dim);
    this.#mixed = backend.allocF32(batch * dim);
    this.#k = backend.allocF32(batch * kvDim);
    this.#v = backend.allocF32(batch * kvDim);
    this.#gate = backend.allocF32(batch * hiddenDim);
    this.#up = backend.allocF32(batch * hiddenDim);
    this.#tokens = backend.allocI32(batch);
    this.#slots = backend.allocI32(batch);
    this.#positions = backend.allocI32(batch);
    this.#rows = backend.allocI32(outputs);
    this.#last = backend.allocF32(outputs * dim);
    this.#logits = backend.allocF32(outputs * vocabSize);
    const cache = () =>
      Array.from({ length: nLayers }, () =>
        backend.allocCache('f32', slots, nKvHeads, contextLength, headDim),
      );
    this.#kCache = cache();
    this.#vCache = cache();
    this.#angles = backend.allocF32(contextLength * headDim);
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
    this.#check(batch);
    const { backend: b, config, weights } = this;
    const { dim, hiddenDim, nHeads, nKvHeads, headDim, normEps } = config;
    const group = nHeads / nKvHeads;
    b.writeI32(this.#tokens, batch.tokens);
    b.writeI32(this.#slots, batch.slots);
    b.writeI32(this.#positions, batch.positions);

    this.#turnTo(Math.max(...Array.from(batch.positions)));
    b.embedding(this.#x, this.#tokens, weights.tokenEmbd, n);
    for (const [i, layer] of weights.layers.entries()) {
      const kCache = this.#kCache[i]!;
      const vCache = this.#vCache[i]!;
      b.rmsnorm(this.#normed, this.#x, layer.attnNorm, n, dim, normEps);
      b.matmul(this.#q, this.#normed, layer.attnQ, n);
      b.matmul(this.#k, this.#normed, layer.attnK, n);
      b.matmul(this.#v, this.#normed, layer.attnV, n);
      b.rope(this.#q, this.#positions, this.#angles, n, nHeads, headDim);
      b.rope(this.#k, this.#positions, this.#angles, n, nKvHeads, headDim);
      b.append(kCache, this.#k, this.#slots, this.#positions, n);
      b.append(vCache, this.#v, this.#slots, this.#positions, n);
      b.attention(this.#mixed, this.#q, kCache, vCache, this.#slots, this.#positions, n, nHeads, group, 0);
      b.matmul(this.#normed, this.#mixed, layer.attnOutput, n);
      b.add(this.#x, this.#x, this.#normed, n * dim);

      b.rmsnorm(this.#normed, this.#x, layer.ffnNorm, n, dim, normEps);
      b.matmul(this.#gate, this.#normed, layer.ffnGate, n);
      b.matmul(this.#up, this.#normed, layer.ffnUp, n);
      b.swiglu(this.#gate, this.#gate, this.#up, n * hiddenDim);
      b.matmul(this.#normed, this.#gate, layer.ffnDown, n);
      b.add(this.#x, this.#x, this.#normed, n * dim);
    }
    this.#taken = n;
  }

  /**
   * The logits of the given tokens (indexes into the last batch), (rows.length, vocabSize). Valid until the next call.
   * @throws OptionError 'option-range' for more rows than `limits.outputs` or rows that were not in the batch.
   */
  logits(rows: ArrayLike<number>): Buf {
    const n = rows.length;
    const { backend: b, config, weights } = this;
    if (
      n > this.limits.outputs ||
      !every(rows, row => Number.isInteger(row) && row >= 0 && row < this.#taken)
    ) {
      throw new OptionError('option-range', {
        where: 'logits: rows',
        expected: `at most ${this.limits.outputs} indexes below ${this.#taken}, the size of the last batch`,
        got: `${n} rows: ${Array.from(rows).slice(0, 8)}`,
        hint: 'Ask for fewer rows at once.',
      });
    }
    b.writeI32(this.#rows, rows);
    b.takeRows(this.#last, this.#x, this.#rows, n, config.dim);
    b.rmsnorm(this.#last, this.#last, weights.outputNorm, n, config.dim, config.normEps);
    b.matmul(this.#logits, this.#last, weights.output, n);
    return this.#logits;
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

  #check({ tokens, slots, positions }: Batch): void {
    const n = tokens.length;
    const { batch, slots: allSlots, contextLength } = this.limits;
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
    within(tokens, this.config.vocabSize, 'tokens');
    within(slots, allSlots, 'slots');
    within(positions, contextLength, 'positions');
  }
}

function every(values: ArrayLike<number>, test: (value: number) => boolean): boolean {
  return Array.prototype.every.call(values, test);
}
