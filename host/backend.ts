import type { CacheDType, DType } from './dtype.ts';

/** An address in a backend's memory. Opaque: only the backend computes with it. 0 is no address. */
export type Buf = number;

/** Backends may lay out rows in groups of so many. */
export const ROWS_TOGETHER = 4;

/** Buffers begin at multiples of so many bytes, a cache line. */
export const ALIGN = 64;

/** A stored matrix: `rows` rows of `cols` values, contiguous. Vectors are one row. */
export interface Tensor {
  buf: Buf;
  dtype: DType;
  rows: number;
  cols: number;
  /** On a rank that holds a part of a matrix: which row of the matrix its first row is. */
  first?: number;
}

/** Keys or values of sequences, kept in `dtype`: (slots, kvHeads, capacity) rows of headDim values. */
export interface Cache {
  buf: Buf;
  dtype: CacheDType;
  slots: number;
  kvHeads: number;
  /** Positions of a sequence. */
  capacity: number;
  headDim: number;
}

/**
 * The contract that every backend keeps, with each op's formula. `reference.ts` is its executable form.
 *
 * Arguments come in the order outputs, inputs, weights, shapes, constants. Activations are f32 (f64 in the
 * reference), indexes are i32. Arrays are row-major; `n` counts tokens (rows). Outputs may alias an input of the
 * same shape in `rmsnorm`, `rope`, `swiglu` and `add`. Ops trust their arguments: shapes are checked when a model is
 * opened, tokens and positions where `forward` is entered. Ops are queued in order; only `read…` waits for results.
 *
 * The WASM backend gives the same bits for any split of the same tokens into calls and on every machine; the GPU's sums are held
 * to the reference by tolerance.
 */
export interface Backend {
  readonly name: 'wasm' | 'reference' | 'cuda';
  /** Bytes taken so far. */
  readonly bytes: number;

  // memory: freed as a whole by `dispose`
  /**
   * Makes room at once for what will be allocated: `bytes`, buffers beginning at multiples of `ALIGN`, of which `scratch` are
   * for the backend's own use. What is not reserved is taken when it is allocated.
   * @returns false if there is no such room; nothing is taken then
   */
  reserve(bytes: number, scratch: number): boolean;
  allocF32(count: number): Buf;
  allocI32(count: number): Buf;
  /** @throws StateError 'out-of-memory' when the backend cannot hold it. */
  allocTensor(dtype: DType, rows: number, cols: number): Tensor;
  /** @throws StateError 'out-of-memory' */
  allocCache(dtype: CacheDType, slots: number, kvHeads: number, capacity: number, headDim: number): Cache;
  /**
   * Takes `rows` rows of `tensor` from `row` on, as they are stored: `write` puts their bytes into a view, which is
   * valid until its promise settles. `row` is a multiple of `ROWS_TOGETHER`, and so is `rows` except at the end.
   * @returns whether all values are finite
   */
  fill(
    tensor: Tensor,
    row: number,
    rows: number,
    write: (view: Uint8Array) => Promise<void>,
  ): Promise<boolean>;
  writeF32(buf: Buf, values: ArrayLike<number>): void;
  writeI32(buf: Buf, values: ArrayLike<number>): void;
  /** Copies `count` numbers out. */
  readF32(buf: Buf, count: number): Promise<Float32Array>;
  readI32(buf: Buf, count: number): Promise<Int32Array>;
  dispose(): void;

  /** out[i] = table[tokens[i]];  out (n, cols), tokens (n). Ranks that hold parts of the table give each other rows. */
  embedding(out: Buf, tokens: Buf, table: Tensor, n: number): void;
  /** out[i] = x[i] · weight / √(mean(x[i]²) + eps);  x, out (n, dim), weight (1, dim) f32 */
  rmsnorm(out: Buf, x: Buf, weight: Tensor, n: number, dim: number, eps: number): void;
  /** out = x · wᵀ;  x (n, cols), w (rows, cols), out (n, rows). Quantised weights meet rounded activations (assembly/activations.ts). */
  matmul(out: Buf, x: Buf, w: Tensor, n: number): void;
  /**
   * Rows first … first + count − 1 of table[p][i] = (cos a, sin a) with a = p/scale · base^(−2i/headDim) / factors[i];  table (positions, headDim/2, 2),
   * factors (1, headDim/2) f32, or undefined for none
   */
  ropeTable(
    table: Buf,
    factors: Tensor | undefined,
    first: number,
    count: number,
    headDim: number,
    base: number,
    scale: number,
  ): void;
  /** Rotates the pairs (x[2i], x[2i+1]) of every head by table[positions[t]][i], in place;  x (n, heads, headDim) */
  rope(x: Buf, positions: Buf, table: Buf, n: number, heads: number, headDim: number): void;
  /** cache[slots[t]][h][positions[t]] = x[t][h], rounded to the cache's format;  x (n, kvHeads, headDim) */
  append(cache: Cache, x: Buf, slots: Buf, positions: Buf, n: number): void;
  /**
   * out[t][h] = Σⱼ softmaxⱼ(q[t][h] · k[j] / √headDim) v[j] over the positions j ≤ positions[t] of slot slots[t] and
   * kv head ⌊(before + h) / group⌋ of the caches, which have one shape and format;  q, out (n, heads, headDim).
   * `before` is not 0 on a rank whose heads begin inside a group.
   */
  attention(
    out: Buf,
    q: Buf,
    keys: Cache,
    values: Cache,
    slots: Buf,
    positions: Buf,
    n: number,
    heads: number,
    group: number,
    before: number,
  ): void;
  /** cache[to][h][p] = cache[from][h][p] for all heads and p < count */
  copySlot(cache: Cache, from: number, to: number, count: number): void;
  /** The rows of positions first … first + count − 1 of one head, as `rowBytes(cache.dtype, headDim)` bytes each. */
  readCache(cache: Cache, slot: number, head: number, first: number, count: number): Promise<Uint8Array>;
  /** Puts back what `readCache` gave; `rows` holds whole rows. */
  writeCache(cache: Cache, slot: number, head: number, first: number, rows: Uint8Array): void;
  /**
   * out (n, width) in full on every rank: each gives its columns first … first + count − 1 as part (n, count). Where
   * one holds all columns, `out` is `part` and there is nothing to do.
   */
  gather(out: Buf, part: Buf, n: number, width: number, first: number, count: number): void;
  /** out = gate · σ(gate) · up, elementwise;  all (count) */
  swiglu(out: Buf, gate: Buf, up: Buf, count: number): void;
  /** out = a + b, elementwise;  all (count) */
  add(out: Buf, a: Buf, b: Buf, count: number): void;

  // lists of the ops above, for backends that do them in fewer steps (`Composed` does them one by one)
  /**
   * outs[i] = rmsnorm(x) · ws[i]ᵀ;  x (n, cols), norm (1, cols), ws[i] (rows, cols), outs[i] (n, rows). `normed` (n, cols) is left with
   * anything.
   */
  normedMatmuls(outs: Buf[], normed: Buf, x: Buf, norm: Tensor, ws: Tensor[], n: number, eps: number): void;
  /** out = swiglu(rmsnorm(x) · gateᵀ, rmsnorm(x) · upᵀ);  x (n, cols), gate and up (rows, cols), out (n, rows). `other` (n, rows) and `normed` are left with anything. */
  gatedMatmul(
    out: Buf,
    other: Buf,
    normed: Buf,
    x: Buf,
    norm: Tensor,
    gate: Tensor,
    up: Tensor,
    n: number,
    eps: number,
  ): void;
  /**
   * out += x · wᵀ;  out (n, width), of whose columns each rank computes w.rows from `first` on. `product` (n, width) and `part`
   * (n, w.rows), which are one where there is one rank, are left with anything.
   */
  addMatmul(
    out: Buf,
    product: Buf,
    part: Buf,
    x: Buf,
    w: Tensor,
    n: number,
    width: number,
    first: number,
  ): void;
  /** `rope` of q (n, heads, headDim) and k in place, then `append` of k and v (n, kvHeads, headDim); k and v are left with anything. */
  ropeAppend(
    q: Buf,
    k: Buf,
    v: Buf,
    keys: Cache,
    values: Cache,
    slots: Buf,
    positions: Buf,
    table: Buf,
    n: number,
    heads: number,
  ): void;
  /**
   * Queues what `ops` queues. For one owner and key these are the same ops on the same buffers at every call, so that a backend may
   * keep them and not ask again. They write and read nothing on the host.
   */
  repeat(owner: object, key: string, ops: () => void): void;

  /** out[i] = x[rows[i]];  x (any, dim), out (n, dim), rows (n) */
  takeRows(out: Buf, x: Buf, rows: Buf, n: number, dim: number): void;
  /** loss[i] = log Σⱼ exp(logits[i][j]) − logits[i][targets[i]], in nats;  logits (n, vocab), targets, loss (n) */
  crossEntropy(loss: Buf, logits: Buf, targets: Buf, n: number, vocab: number): void;
  /** The k largest of logits (vocab), descending, the lower id first among equals, and their log-probabilities;  ids, logprobs (k) */
  topLogprobs(ids: Buf, logprobs: Buf, logits: Buf, vocab: number, k: number): void;
  /** logits[ids[i]] += values[i];  ids, values (n) */
  addBias(logits: Buf, ids: Buf, values: Buf, n: number): void;
  /**
   * For each of n distinct ids with counts[i] ≥ 1 occurrences: a logit l becomes (l > 0 ? l / repeat : l · repeat)
   * − frequency · counts[i] − presence;  ids, counts (n)
   */
  penalize(
    logits: Buf,
    ids: Buf,
    counts: Buf,
    n: number,
    repeat: number,
    frequency: number,
    presence: number,
  ): void;
  /**
   * id[0] = a draw from softmax(logits / temperature), cut to the topK largest (0: all), then to those with at least
   * minP of the largest probability, then to the fewest whose probabilities, renormalised over what the earlier cuts
   * left, reach topP. Candidates stand in descending order, the lower id first among equals; the draw takes the first
   * whose running sum exceeds u ∈ [0, 1). temperature 0 takes the first candidate. −1 if the largest is not finite.
   */
  sample(
    id: Buf,
    logits: Buf,
    vocab: number,
    temperature: number,
    topK: number,
    topP: number,
    minP: number,
    u: number,
  ): void;
}
