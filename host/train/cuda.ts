import type { Buf, Tensor } from '../backend.ts';
import { Cuda } from '../cuda.ts';
import type { CudaDevice } from '../cuda-device.ts';
import { MATMUL } from '../cuda-gemm.ts';
import { flashSize } from '../cuda-kernels.ts';
import { ATTENTION, checkHeadDim, over, THREADS, threadsFor, WARP } from '../cuda-memory.ts';
import type { TrainBackend } from './backend.ts';
import type { Precision } from './config.ts';

type Matrix = [buf: Buf, rows: number, cols: number];

/** Most blocks that share a sum. */
const PARTS = 512;
/** flash_train.cuh: rows of a block. */
const FLASH_ROWS = 64;

/**
 * A GPU as training takes it: numbers are f32, products of matrices and of attention too, or of operands that are rounded to bf16, with
 * sums in f32. No two blocks add to one number, so that a run gives the same bits again on the same GPU; those of `TrainWasm` it does not
 * give.
 */
export class TrainCuda extends Cuda implements TrainBackend {
  readonly #precision: Precision;

  /** @throws as `Cuda` */
  constructor(device: CudaDevice, precision: Precision = 'f32') {
    super(device);
    this.#precision = precision;
  }

  /** Attention in tiles: the kernel for heads of so many numbers, if there is one. */
  #flashSize(headDim: number): number | undefined {
    return this.#precision === 'bf16' && headDim <= 128 ? flashSize(headDim) : undefined;
  }

  /** A number a row while a backward is under way: scales of norms, means of attention. */
  #perRow(count: number): Buf {
    return this.scratch('rows', 4 * count);
  }

  part(buf: Buf, first: number, _count: number): Buf {
    return buf + 4 * first;
  }

  zero(buf: Buf, count: number): void {
    this.run('zero', over(count, THREADS), 1, THREADS, buf, count);
  }

  matmulForward(out: Buf, x: Buf, { buf, rows, cols }: Tensor, n: number): void {
    if (this.#precision === 'f32') this.#tiles('matmul_f32', rows, n, out, x, buf, n, rows, cols);
    else this.#product('nt', out, [x, n, cols], [buf, rows, cols], n, rows, cols, 0);
  }

  matmulBackwardX(dX: Buf, dOut: Buf, { buf, rows, cols }: Tensor, n: number): void {
    if (this.#precision === 'f32') this.#tiles('matmul_backward_x', cols, n, dX, dOut, buf, n, rows, cols);
    else this.#product('nn', dX, [dOut, n, rows], [buf, rows, cols], n, cols, rows, 1);
  }

  matmulBackwardW({ buf, rows, cols }: Tensor, dOut: Buf, x: Buf, n: number): void {
    if (this.#precision === 'f32') this.#tiles('matmul_backward_w', cols, rows, buf, dOut, x, n, rows, cols);
    else this.#product('tn', buf, [dOut, n, rows], [x, n, cols], rows, cols, n, 1);
  }

  /** Of two matrices, given with their rows and columns, in bf16. */
  #product(
    layout: 'nt' | 'nn' | 'tn',
    out: Buf,
    left: Matrix,
    right: Matrix,
    m: number,
    n: number,
    k: number,
    add: 0 | 1,
  ): void {
    const a = this.narrow('a', 'f32', ...left);
    const b = this.narrow('b', 'f32', ...right);
    this.gemm(layout, 'bf16', out, a, b, m, n, k, { add });
  }

  #tiles(name: string, across: number, down: number, ...values: number[]): void {
    this.run(name, over(across, MATMUL.tile), over(down, MATMUL.tile), MATMUL.threads, ...values);
  }

  embeddingBackward({ buf, cols }: Tensor, dOut: Buf, tokens: Buf, n: number): void {
    this.run('embedding_backward', n, over(cols, THREADS), THREADS, buf, dOut, tokens, n, cols);
  }

  rmsnormBackward(
    dX: Buf,
    dWeight: Tensor,
    dOut: Buf,
    x: Buf,
    { buf: weight }: Tensor,
    n: number,
    dim: number,
    eps: number,
  ): void {
    const scales = this.#perRow(n);
    this.run('rmsnorm_backward', n, 1, threadsFor(dim), dX, scales, dOut, x, weight, dim, eps);
    this.run('rmsnorm_backward_w', over(dim, 32), 1, THREADS, dWeight.buf, dOut, x, scales, n, dim);
  }

  ropeBackward(dX: Buf, positions: Buf, table: Buf, n: number, heads: number, headDim: number): void {
    const half = headDim / 2;
    this.run('rope_backward', n, over(heads * half, THREADS), THREADS, dX, positions, table, heads, half);
  }

  attentionForward(
    out: Buf,
    lse: Buf,
    q: Buf,
    k: Buf,
    v: Buf,
    B: number,
    T: number,
    heads: number,
    kvHeads: number,
    headDim: number,
  ): void {
    checkHeadDim(headDim);
    const given = [out, lse, q, k, v, T, heads, kvHeads, headDim];
    const size = this.#flashSize(headDim);
    if (size) {
      const tiles = B * over((T * heads) / kvHeads, FLASH_ROWS);
      this.run(`flash_forward_${size}`, tiles, kvHeads, ATTENTION.threads, ...given);
    } else this.run('attention_forward', B * T, heads, ATTENTION.threads, ...given);
  }

  attentionBackward(
    dQ: Buf,
    dK: Buf,
    dV: Buf,
    dOut: Buf,
    out: Buf,
    lse: Buf,
    q: Buf,
    k: Buf,
    v: Buf,
    B: number,
    T: number,
    heads: number,
    kvHeads: number,
    headDim: number,
  ): void {
    const mean = this.#perRow(B * T * heads);
    const given = [q, k, v, T, heads, kvHeads, headDim];
    const { threads } = ATTENTION;
    const size = this.#flashSize(headDim);
    if (size) {
      const count = B * T * heads;
      this.run('flash_means', over(count, threads / WARP), 1, threads, mean, dOut, out, count, headDim);
      const queries = B * over((T * heads) / kvHeads, FLASH_ROWS);
      this.run(`flash_backward_q_${size}`, queries, kvHeads, threads, dQ, mean, dOut, lse, ...given);
      const keys = B * over(T, FLASH_ROWS);
      this.run(`flash_backward_kv_${size}`, keys, kvHeads, threads, dK, dV, mean, dOut, lse, ...given);
      return;
    }
    this.run('attention_backward_q', B * T, heads, threads, dQ, mean, dOut, out, lse, ...given);
    this.run('attention_backward_kv', B * T, kvHeads, threads, dK, dV, mean, dOut, lse, ...given);
  }

  swigluBackward(dGate: Buf, dUp: Buf, dOut: Buf, gate: Buf, up: Buf, count: number): void {
    this.run('swiglu_backward', over(count, THREADS), 1, THREADS, dGate, dUp, dOut, gate, up, count);
  }

  crossEntropyBackward(loss: Buf, logits: Buf, targets: Buf, coef: Buf, n: number, vocab: number): void {
    this.run('cross_entropy_backward', n, 1, threadsFor(vocab), loss, logits, targets, coef, vocab);
  }

  sumSquares(out: Buf, x: Buf, count: number): void {
    const sums = this.scratch('squares', 8 * PARTS);
    const parts = Math.min(PARTS, Math.max(1, over(count, 4 * THREADS)));
    this.run('sum_squares', parts, 1, THREADS, sums, x, count);
    this.run('sum_parts', 1, 1, THREADS, out, sums, parts);
  }

  adamw(
    w: Buf,
    m: Buf,
    v: Buf,
    gradient: Buf,
    count: number,
    step: number,
    lr: number,
    beta1: number,
    beta2: number,
    eps: number,
    decay: number,
    scale: number,
  ): void {
    const rate = lr / (1 - beta1 ** step);
    const factors = [scale, beta1, 1 - beta1, beta2, 1 - beta2, rate, 1 - beta2 ** step, eps, 1 - lr * decay];
    this.run('adamw', over(count, THREADS), 1, THREADS, w, m, v, gradient, count, ...factors);
  }
}
