import type { Backend, Buf, Cache, Tensor } from './backend.ts';
import { INTEGER, KERNELS } from './cuda-kernels.ts';
import { ATTENTION, type CudaDevice, CudaMemory, over, THREADS, threadsFor, WARP } from './cuda-memory.ts';
import { BLOCK } from './dtype.ts';

/** matvec.cu, matvec8.cu: warps of a block, a row each, and tokens that share a row. */
const MATVEC = { rows: 4, tokens: 4 };
/** matmul.cu: a tile's side, and its threads. */
export const MATMUL: { tile: number; threads: number } = { tile: 64, threads: 256 };
/** Up to so many tokens the weights are streamed past them; more share tiles. */
const FEW = 8;
/** The kernels of a GPU behind the contract of `Backend`. */
export class Cuda extends CudaMemory implements Backend {
  readonly name = 'cuda';
  /** Activations rounded for one matmul, grown when one needs more. */
  #rounded = { buf: 0, bytes: 0 };
  /** Sorted candidates, grown when a vocabulary needs more. */
  #keys = { buf: 0, bytes: 0 };

  /** @throws StateError 'out-of-memory', Error with code 'bad-kernels'; the device is closed then */
  constructor(device: CudaDevice, kernels: Record<string, string> = KERNELS) {
    super(device, kernels);
  }

  embedding(out: Buf, tokens: Buf, table: Tensor, n: number): void {
    const { buf, dtype, cols } = table;
    this.run(`embedding_${dtype}`, n, over(cols, THREADS), THREADS, out, tokens, buf, cols);
  }

  rmsnorm(out: Buf, x: Buf, weight: Tensor, n: number, dim: number, eps: number): void {
    this.run('rmsnorm', n, 1, threadsFor(dim), out, x, weight.buf, dim, eps);
  }

  matmul(out: Buf, x: Buf, { buf, dtype, rows, cols }: Tensor, n: number): void {
    if (n <= FEW) {
      const gridX = over(rows, MATVEC.rows);
      const gridY = over(n, MATVEC.tokens);
      const threads = MATVEC.rows * WARP;
      if (INTEGER.includes(dtype)) {
        const [q, scales] = this.#round(x, n * cols);
        this.run(`matvec8_${dtype}`, gridX, gridY, threads, out, q, scales, buf, n, rows, cols);
      } else this.run(`matvec_${dtype}`, gridX, gridY, threads, out, x, buf, n, rows, cols);
    } else {
      const gridX = over(rows, MATMUL.tile);
      const gridY = over(n, MATMUL.tile);
      this.run(`matmul_${dtype}`, gridX, gridY, MATMUL.threads, out, x, buf, n, rows, cols);
    }
  }

  /** Activations as bytes, and the scale of each 32 of them. */
  #round(x: Buf, count: number): [q: Buf, scales: Buf] {
    const bytes = count + count / 8;
    if (bytes > this.#rounded.bytes) this.#rounded = { buf: this.alloc(bytes), bytes };
    const q = this.#rounded.buf;
    const scales = q + count;
    this.run('round_activations', over(count, THREADS), 1, THREADS, q, scales, x, count);
    return [q, scales];
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
    this.run(
      `attention_${dtype}`,
      heads,
      n,
      ATTENTION.threads,
      out,
      q,
      keys.buf,
      values.buf,
      slots,
      positions,
      heads,
      kvHeads,
      group,
      before,
      headDim,
      capacity,
    );
  }

  gather(..._: Parameters<Backend['gather']>): void {}

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
    const keys = this.#sort(logits, vocab);
    const threads = threadsFor(topK > 0 ? Math.min(topK, vocab) : vocab);
    this.run('sample', 1, 1, threads, id, keys, logits, vocab, temperature, topK, topP, minP, u);
  }

  /** The candidates' keys, sorted (sample.cu). */
  #sort(logits: Buf, vocab: number): Buf {
    const size = 2 ** Math.ceil(Math.log2(vocab));
    if (8 * size > this.#keys.bytes) this.#keys = { buf: this.alloc(8 * size), bytes: 8 * size };
    this.run('sort_logits', 1, 1, threadsFor(size / 2), this.#keys.buf, logits, vocab, size);
    return this.#keys.buf;
  }
}
