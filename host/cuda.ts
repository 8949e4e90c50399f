import type { Backend, Buf, Cache, Tensor } from './backend.ts';
import { CudaGemm } from './cuda-gemm.ts';
import { flashRows, flashSize, isQuantised, matvecName } from './cuda-kernels.ts';
import { ATTENTION, over, THREADS, threadsFor, WARP } from './cuda-memory.ts';
import { BLOCK } from './dtype.ts';

/** matvec.cuh: warps of a block, two rows each. */
const MATVEC_WARPS = 4;
/** Up to so many tokens the weights are streamed past them; more share tiles. */
const FEW = 8;
/** Positions worth a block, and blocks that keep a GPU busy. */
const SPLIT = 256;
const BLOCKS = 512;
/** sample.cu: candidates that a block sorts. */
const SORTED_RUN = 2048;
/** The kernels of a GPU behind the contract of `Backend`. */
export class Cuda extends CudaGemm implements Backend {
  readonly name = 'cuda';

  embedding(out: Buf, tokens: Buf, table: Tensor, n: number): void {
    const { buf, dtype, cols, rows, first } = table;
    const grid = over(cols, THREADS);
    this.run(`embedding_${dtype}`, n, grid, THREADS, out, tokens, buf, cols, first ?? 0, rows);
    if (first !== undefined) this.sum(out, n * cols);
  }

  rmsnorm(out: Buf, x: Buf, weight: Tensor, n: number, dim: number, eps: number): void {
    this.run('rmsnorm', n, 1, threadsFor(dim), out, x, weight.buf, dim, eps);
  }

  matmul(out: Buf, x: Buf, w: Tensor, n: number): void {
    if (n <= FEW) this.#matvec([out], this.#tokens(x, w, n), [w], n, false);
    else this.matmulsMany([out], x, [w], n);
  }

  /** Few tokens as the weights meet them: themselves, or rounded. */
  #tokens(x: Buf, { dtype, cols }: Tensor, n: number): Buf[] {
    if (!isQuantised(dtype)) return [x];
    const tokens = this.#rounded(n * cols);
    this.run('round_activations', over(n * cols, THREADS), 1, THREADS, ...tokens, x, n * cols);
    return tokens;
  }

  /** Room for activations as bytes, and for two factors of each 16 of them. */
  #rounded(count: number): [q: Buf, factors: Buf] {
    const q = this.scratch('rounded', count + count / 2);
    return [q, q + count];
  }

  /** outs[i] = x · ws[i]ᵀ, or += that, for up to three matrices of one format. */
  #matvec(outs: Buf[], tokens: Buf[], ws: Tensor[], n: number, add: boolean): void {
    const { dtype, cols } = ws[0]!;
    const three = (of: (i: number) => number | undefined) => [0, 1, 2].map(i => of(i) ?? 0);
    const pairs = ws.reduce((sum, { rows }) => sum + over(rows, 2), 0);
    this.run(
      matvecName('', dtype, n),
      over(pairs, MATVEC_WARPS),
      1,
      MATVEC_WARPS * WARP,
      ...three(i => outs[i]),
      ...three(i => ws[i]?.buf),
      ...three(i => ws[i]?.rows),
      ...tokens,
      n,
      cols,
      Number(add),
    );
  }

  override normedMatmuls(
    outs: Buf[],
    normed: Buf,
    x: Buf,
    norm: Tensor,
    ws: Tensor[],
    n: number,
    eps: number,
  ): void {
    if (n > FEW) {
      this.rmsnorm(normed, x, norm, n, norm.cols, eps);
      this.matmulsMany(outs, normed, ws, n);
    } else if (isAlike(ws)) {
      this.#matvec(outs, this.#normedTokens(normed, x, norm, ws[0]!, n, eps), ws, n, false);
    } else super.normedMatmuls(outs, normed, x, norm, ws, n, eps);
  }

  /** `#tokens` of rmsnorm(x). */
  #normedTokens(normed: Buf, x: Buf, norm: Tensor, { dtype, cols }: Tensor, n: number, eps: number): Buf[] {
    if (!isQuantised(dtype)) {
      this.rmsnorm(normed, x, norm, n, cols, eps);
      return [normed];
    }
    const tokens = this.#rounded(n * cols);
    this.run('rmsnorm_round', n, 1, threadsFor(cols), ...tokens, x, norm.buf, cols, eps);
    return tokens;
  }

  override gatedMatmul(
    out: Buf,
    other: Buf,
    normed: Buf,
    x: Buf,
    norm: Tensor,
    gate: Tensor,
    up: Tensor,
    n: number,
    eps: number,
  ): void {
    if (n > FEW || !isAlike([gate, up])) {
      this.normedMatmuls([out, other], normed, x, norm, [gate, up], n, eps);
      this.swiglu(out, out, other, n * gate.rows);
      return;
    }
    const { rows, cols } = gate;
    const tokens = this.#normedTokens(normed, x, norm, gate, n, eps);
    const name = matvecName('gated_', gate.dtype, n);
    const grid = over(rows, MATVEC_WARPS);
    this.run(name, grid, 1, MATVEC_WARPS * WARP, out, gate.buf, up.buf, rows, ...tokens, n, cols);
  }

  override addMatmul(
    out: Buf,
    product: Buf,
    part: Buf,
    x: Buf,
    w: Tensor,
    n: number,
    width: number,
    first: number,
  ): void {
    if (n > FEW || product !== part) super.addMatmul(out, product, part, x, w, n, width, first);
    else this.#matvec([out], this.#tokens(x, w, n), [w], n, true);
  }

  ropeTable(
    table: Buf,
    factors: Tensor | undefined,
    first: number,
    count: number,
    headDim: number,
    base: number,
    scale: number,
  ): void {
    const half = headDim / 2;
    const blocks = over(count * half, THREADS);
    this.run('rope_table', blocks, 1, THREADS, table, factors?.buf ?? 0, first, count, half, base, scale);
  }

  rope(x: Buf, positions: Buf, table: Buf, n: number, heads: number, headDim: number): void {
    const half = headDim / 2;
    this.run('rope', n, over(heads * half, THREADS), THREADS, x, positions, table, heads, half);
  }

  append(cache: Cache, x: Buf, slots: Buf, positions: Buf, n: number): void {
    const { buf, dtype, kvHeads, headDim, capacity } = cache;
    const blocks = (kvHeads * headDim) / BLOCK[dtype].values;
    const grid = over(blocks, THREADS);
    this.run(`append_${dtype}`, grid, n, THREADS, buf, x, slots, positions, kvHeads, headDim, capacity);
  }

  override ropeAppend(
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
  ): void {
    const { dtype, kvHeads, headDim, capacity } = keys;
    const stored = (2 * kvHeads * headDim) / Math.max(2, BLOCK[dtype].values);
    const grid = over((heads * headDim) / 2 + stored, THREADS);
    const buffers = [q, k, v, keys.buf, values.buf, slots, positions, table];
    this.run(`rope_append_${dtype}`, grid, n, THREADS, ...buffers, heads, kvHeads, headDim, capacity);
  }

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
  ): void {
    const { dtype, kvHeads, headDim, capacity } = keys;
    const { threads } = ATTENTION;
    const given = [q, keys.buf, values.buf, slots, positions];
    const shape = [heads, kvHeads, group, before, headDim, capacity];
    const splits = splitsOf(n * heads, capacity);
    if (splits === 1) this.run(`attention_${dtype}`, heads, n, threads, out, ...given, ...shape);
    else {
      const parts = this.scratch('parts', 4 * n * heads * splits * (headDim + 2));
      this.run(`attention_split_${dtype}`, heads, n * splits, threads, parts, ...given, splits, ...shape);
      this.run('attention_combine', heads, n, threads, out, parts, splits, heads, headDim);
    }
    // last: it writes over what the others make of the tokens that it alone has (runs.cuh)
    const size = flashSize(headDim);
    if (n <= FEW || !size) return;
    const tiles = over(n * Math.min(group, heads), flashRows(dtype, size));
    this.run(`flash_${size}_${dtype}`, tiles, kvHeads, threads, out, ...given, n, ...shape);
  }

  gather(out: Buf, part: Buf, n: number, width: number, first: number, count: number): void {
    if (out === part) return;
    this.run('spread', over(width, THREADS), n, THREADS, out, part, width, first, count);
    this.sum(out, n * width);
  }

  swiglu(out: Buf, gate: Buf, up: Buf, count: number): void {
    this.run('swiglu', over(count, THREADS), 1, THREADS, out, gate, up, count);
  }

  add(out: Buf, a: Buf, b: Buf, count: number): void {
    this.run('add', over(count, THREADS), 1, THREADS, out, a, b, count);
  }

  takeRows(out: Buf, x: Buf, rows: Buf, n: number, dim: number): void {
    this.run('take_rows', over(dim, THREADS), n, THREADS, out, x, rows, dim);
  }

  crossEntropy(loss: Buf, logits: Buf, targets: Buf, n: number, vocab: number): void {
    this.run('cross_entropy', n, 1, threadsFor(vocab), loss, logits, targets, vocab);
  }

  topLogprobs(ids: Buf, logprobs: Buf, logits: Buf, vocab: number, k: number): void {
    const keys = this.#sort(logits, vocab);
    this.run('top_logprobs', 1, 1, threadsFor(vocab), ids, logprobs, keys, logits, vocab, k);
  }

  addBias(logits: Buf, ids: Buf, values: Buf, n: number): void {
    this.run('add_bias', over(n, THREADS), 1, THREADS, logits, ids, values, n);
  }

  penalize(
    logits: Buf,
    ids: Buf,
    counts: Buf,
    n: number,
    repeat: number,
    frequency: number,
    presence: number,
  ): void {
    const grid = over(n, THREADS);
    this.run('penalize', grid, 1, THREADS, logits, ids, counts, n, repeat, frequency, presence);
  }

  sample(
    id: Buf,
    logits: Buf,
    vocab: number,
    temperature: number,
    topK: number,
    topP: number,
    minP: number,
    u: number,
  ): void {
    if (temperature === 0) {
      this.run('sample_first', 1, 1, threadsFor(vocab), id, logits, vocab);
      return;
    }
    const keys = this.#sort(logits, vocab);
    const threads = threadsFor(topK > 0 ? Math.min(topK, vocab) : vocab);
    this.run('sample', 1, 1, threads, id, keys, logits, vocab, temperature, topK, topP, minP, u);
  }

  /** The candidates' keys, sorted (sample.cu). */
  #sort(logits: Buf, vocab: number): Buf {
    const count = over(vocab, SORTED_RUN);
    const runs = this.scratch('runs', 8 * count * SORTED_RUN);
    const keys = this.scratch('keys', 8 * vocab);
    const threads = threadsFor(Math.min(vocab, SORTED_RUN) / 2);
    this.run('sort_runs', count, 1, threads, runs, logits, vocab);
    this.run('merge_runs', over(count * SORTED_RUN, THREADS), 1, THREADS, keys, runs, count);
    return keys;
  }
}

/** Whether one kernel may multiply by all of them. */
function isAlike(ws: Tensor[]): boolean {
  return ws.length <= 3 && ws.every(({ dtype }) => dtype === ws[0]!.dtype);
}

/**
 * Parts of a token's positions, so that all of a GPU has work. The same for every length: recorded launches keep it.
 * @param rows heads of all tokens
 */
function splitsOf(rows: number, capacity: number): number {
  return Math.max(1, Math.min(over(capacity, SPLIT), over(BLOCKS, rows)));
}
