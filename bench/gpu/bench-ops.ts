// What an op needs to be timed: a backend, buffers with numbers in them, weights that take turns so that none is in a cache, and a CUDA
// graph of some calls, so that neither JavaScript nor launches count.

import type { Tensor } from '../../host/backend.ts';
import { Cuda } from '../../host/cuda.ts';
import type { CudaDevice } from '../../host/cuda-device.ts';
import { type DType, rowBytes } from '../../host/dtype.ts';
import { randomBits, seedOf } from '../random.ts';

export interface KernelSizes {
  /** Of weights: (rows, cols). */
  matrices: readonly (readonly [rows: number, cols: number])[];
  /** Tokens that meet them. */
  few: readonly number[];
  many: number;
  vocab: number;
  heads: number;
  headDim: number;
  /** Of the feed-forward. */
  hidden: number;
  /** Sequences that decode together, and what each has behind it. */
  batches: readonly number[];
  context: number;
  /** Bytes that weights which take turns fill: more than a cache holds. */
  turns: number;
  /** Times that an op is recorded. */
  calls: number;
  /** Milliseconds that a figure is measured. */
  ms: number;
}

/** Those of Llama 2 7B; an H100's second cache holds 50 MB. */
export const LLAMA_7B: KernelSizes = {
  matrices: [
    [4096, 4096],
    [11008, 4096],
    [4096, 11008],
    [32000, 4096],
  ],
  few: [1, 4, 8],
  many: 2048,
  vocab: 32000,
  heads: 32,
  headDim: 128,
  hidden: 11008,
  batches: [1, 8, 64],
  context: 2048,
  turns: 2 ** 28,
  calls: 20,
  ms: 30,
};

export interface Op {
  op: string;
  shape: object;
  /** What it must read and write, each number once. */
  bytes: number;
  /** Multiplications and additions. */
  flops?: number;
  run: (turn: number) => void;
}

/** Small finite numbers, whatever format reads them: exponents below that of 2. */
function fill(device: CudaDevice, at: number, bytes: number): void {
  const next = randomBits(seedOf('kernels'));
  const first = new Uint8Array(Math.min(bytes, 2 ** 20));
  for (let i = 0; i < first.length; i++) first[i] = next() & 0xbf;
  device.write(at, first);
  for (let done = first.length; done < bytes; done *= 2) {
    device.copy(at + done, at, Math.min(done, bytes - done));
  }
}

/** A backend, buffers for ops on it, and how long they take. */
export class Bench {
  readonly #device: CudaDevice;
  readonly backend: Cuda;
  readonly sizes: KernelSizes;

  constructor(device: CudaDevice, sizes: KernelSizes) {
    this.#device = device;
    this.backend = new Cuda(device);
    this.sizes = sizes;
  }

  /** A buffer of f32 with numbers in it. */
  floats(count: number): number {
    const buf = this.backend.allocF32(count);
    fill(this.#device, buf, 4 * count);
    return buf;
  }

  integers(values: number[]): number {
    const buf = this.backend.allocI32(values.length);
    this.backend.writeI32(buf, values);
    return buf;
  }

  /** Memory for weights that take turns, and those of a format and size in it. */
  weights(): (dtype: DType, rows: number, cols: number) => Tensor[] {
    const { calls, turns, matrices } = this.sizes;
    const largest = Math.max(...matrices.map(([rows, cols]) => 4 * rows * cols + 16 * rows));
    const bytes = Math.max(turns, largest);
    const at = this.backend.allocF32(Math.ceil(bytes / 4));
    fill(this.#device, at, bytes);
    return (dtype, rows, cols) => {
      // a GPU may have rows begin at multiples of 16 bytes
      const size = Math.ceil((rows * Math.ceil(rowBytes(dtype, cols) / 16) * 16) / 256) * 256;
      const count = Math.max(1, Math.min(calls, Math.floor(bytes / size)));
      return Array.from({ length: count }, (_, i) => ({ buf: at + i * size, dtype, rows, cols }));
    };
  }

  /** Microseconds of an op. */
  async time({ run }: Op): Promise<number> {
    const device = this.#device;
    const { calls, ms } = this.sizes;
    const flag = this.integers([0]);
    const done = () => device.read(flag, 4);
    run(0); // what it keeps for itself is allocated now
    device.beginRecording();
    for (let turn = 0; turn < calls; turn++) run(turn);
    const recording = device.endRecording();
    const replays = async (count: number) => {
      const started = performance.now();
      for (let i = 0; i < count; i++) device.replay(recording);
      await done();
      return performance.now() - started;
    };
    await replays(1);
    const one = await replays(1);
    const count = Math.max(1, Math.min(1000, Math.round(ms / one)));
    return (1000 * (await replays(count))) / count / calls;
  }
}
