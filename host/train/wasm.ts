import type { Buf, Tensor } from '../backend.ts';
import { compilePatched } from '../inlined.ts';
import { Wasm } from '../wasm.ts';
import type { Kernels } from '../wasm-kernels.ts';
import type { TrainBackend } from './backend.ts';
import { trainPatch } from './kernels.js';

/** Outputs, inputs, work memory, shapes. */
type Matmul = (
  out: number,
  a: number,
  b: number,
  work: number,
  n: number,
  rows: number,
  cols: number,
) => void;

/** The exports of assembly/train.ts. */
export interface TrainKernels extends Kernels {
  gemmBytes(m: number, n: number, k: number): number;
  matmulForward: Matmul;
  matmulBackwardX: Matmul;
  matmulBackwardW: Matmul;
  embeddingBackward(dTable: number, dOut: number, tokens: number, n: number, cols: number): void;
  rmsnormBackward(
    dX: number,
    dWeight: number,
    dOut: number,
    x: number,
    weight: number,
    n: number,
    dim: number,
    eps: number,
  ): void;
  ropeBackward: TrainBackend['ropeBackward'];
  attentionBytes(T: number, headDim: number): number;
  attentionForward(
    out: number,
    lse: number,
    q: number,
    k: number,
    v: number,
    work: number,
    B: number,
    T: number,
    heads: number,
    kvHeads: number,
    headDim: number,
  ): void;
  attentionBackward(
    dQ: number,
    dK: number,
    dV: number,
    dOut: number,
    out: number,
    lse: number,
    q: number,
    k: number,
    v: number,
    work: number,
    B: number,
    T: number,
    heads: number,
    kvHeads: number,
    headDim: number,
  ): void;
  swigluBackward: TrainBackend['swigluBackward'];
  crossEntropyBackward: TrainBackend['crossEntropyBackward'];
  sumSquares: TrainBackend['sumSquares'];
  adamw: TrainBackend['adamw'];
}

let compiled: Promise<WebAssembly.Module> | undefined;

/** The kernels of training, compiled once a process. */
export function trainModule(): Promise<WebAssembly.Module> {
  compiled ??= compilePatched(trainPatch);
  return compiled;
}

/** A fresh instance of the kernels of training. */
export async function trainKernels(): Promise<TrainKernels> {
  return instantiateTrain(await trainModule());
}

export function instantiateTrain(module: WebAssembly.Module): TrainKernels {
  return new WebAssembly.Instance(module, {}).exports as unknown as TrainKernels;
}

/** The SIMD kernels behind the contract of `TrainBackend`. */
export class TrainWasm extends Wasm implements TrainBackend {
  readonly #kernels: TrainKernels;

  constructor(kernels: TrainKernels) {
    super(kernels);
    this.#kernels = kernels;
  }

  part(buf: Buf, first: number): Buf {
    return buf + 4 * first;
  }

  zero(buf: Buf, count: number): void {
    this.floats(buf, count).fill(0);
  }

  matmulForward(out: Buf, x: Buf, { buf, rows, cols }: Tensor, n: number): void {
    const work = this.scratchOf(this.#kernels.gemmBytes(n, rows, cols));
    this.#kernels.matmulForward(out, x, buf, work, n, rows, cols);
  }

  matmulBackwardX(dX: Buf, dOut: Buf, { buf, rows, cols }: Tensor, n: number): void {
    const work = this.scratchOf(this.#kernels.gemmBytes(n, cols, rows));
    this.#kernels.matmulBackwardX(dX, dOut, buf, work, n, rows, cols);
  }

  matmulBackwardW({ buf, rows, cols }: Tensor, dOut: Buf, x: Buf, n: number): void {
    const work = this.scratchOf(this.#kernels.gemmBytes(rows, cols, n));
    this.#kernels.matmulBackwardW(buf, dOut, x, work, n, rows, cols);
  }

  embeddingBackward({ buf, cols }: Tensor, dOut: Buf, tokens: Buf, n: number): void {
    this.#kernels.embeddingBackward(buf, dOut, tokens, n, cols);
  }

  rmsnormBackward(
    dX: Buf,
    dWeight: Tensor,
    dOut: Buf,
    x: Buf,
    weight: Tensor,
    n: number,
    dim: number,
    eps: number,
  ): void {
    this.#kernels.rmsnormBackward(dX, dWeight.buf, dOut, x, weight.buf, n, dim, eps);
  }

  ropeBackward(...args: Parameters<TrainBackend['ropeBackward']>): void {
    this.#kernels.ropeBackward(...args);
  }

  attentionForward(...args: Parameters<TrainBackend['attentionForward']>): void {
    const [out, lse, q, k, v, B, T, heads, kvHeads, headDim] = args;
    const work = this.scratchOf(this.#kernels.attentionBytes(T, headDim));
    this.#kernels.attentionForward(out, lse, q, k, v, work, B, T, heads, kvHeads, headDim);
  }

  attentionBackward(...args: Parameters<TrainBackend['attentionBackward']>): void {
    const [dQ, dK, dV, dOut, out, lse, q, k, v, B, T, heads, kvHeads, headDim] = args;
    const work = this.scratchOf(this.#kernels.attentionBytes(T, headDim));
    const shape = [B, T, heads, kvHeads, headDim] as const;
    this.#kernels.attentionBackward(dQ, dK, dV, dOut, out, lse, q, k, v, work, ...shape);
  }

  swigluBackward(...args: Parameters<TrainBackend['swigluBackward']>): void {
    this.#kernels.swigluBackward(...args);
  }

  crossEntropyBackward(...args: Parameters<TrainBackend['crossEntropyBackward']>): void {
    this.#kernels.crossEntropyBackward(...args);
  }

  sumSquares(...args: Parameters<TrainBackend['sumSquares']>): void {
    this.#kernels.sumSquares(...args);
  }

  adamw(...args: Parameters<TrainBackend['adamw']>): void {
    this.#kernels.adamw(...args);
  }
}
