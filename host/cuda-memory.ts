import { ALIGN, type Buf, type Cache, type Tensor } from './backend.ts';
import { Composed } from './composed.ts';
import type { CudaDevice } from './cuda-device.ts';
import { isQuantised, strideOf } from './cuda-kernels.ts';
import { BLOCK, type CacheDType, type CodesDType, type DType, HALVES, rowBytes } from './dtype.ts';
import { type ErrorParts, StateError } from './errors.ts';

/** Graphs of one owner: each keeps a few hundred launches. */
const MOST_RECORDINGS = 64;

export const WARP = 32;
const MOST_THREADS = 1024;
/** Threads of a block where each has a number of its own. */
export const THREADS = 256;
/** attention.cu: threads of a block, and numbers of a head at most. */
export const ATTENTION: { threads: number; headDim: number } = { threads: 128, headDim: 256 };

/** A GPU's memory and the queue of its kernels: only `read…` and `fill` wait. */
export abstract class CudaMemory extends Composed {
  bytes = 0;
  protected readonly device: CudaDevice;
  /** What `reserve` took and no buffer has yet. */
  #reserved = { next: 0, end: 0 };
  /** Whether a stored number was not finite. */
  readonly #flag: Buf;
  /** Room for what a call needs in between, by its use; grown when one needs more. */
  readonly #scratch = new Map<string, { buf: Buf; bytes: number }>();
  /** Lists that repeat: seen once, or recorded under a number. */
  readonly #repeated = new WeakMap<object, Map<string, number | undefined>>();

  /** @throws StateError 'out-of-memory'; the device is closed then */
  constructor(device: CudaDevice) {
    super();
    this.device = device;
    try {
      this.#flag = this.allocI32(1);
    } catch (error) {
      device.close();
      throw error;
    }
  }

  reserve(bytes: number): boolean {
    try {
      const start = this.device.allocate(bytes);
      this.#reserved = { next: start, end: start + bytes };
    } catch (error) {
      if ((error as { code?: string }).code === 'out-of-memory') return false;
      throw error;
    }
    this.bytes += bytes;
    return true;
  }

  protected alloc(bytes: number): Buf {
    const next = Math.ceil(this.#reserved.next / ALIGN) * ALIGN;
    if (next + bytes <= this.#reserved.end) {
      this.#reserved.next = next + bytes;
      return next;
    }
    try {
      const buf = this.device.allocate(Math.max(bytes, 1));
      this.bytes += bytes;
      return buf;
    } catch (error) {
      throw this.#outOfMemory(bytes, error);
    }
  }

  /** A buffer of the backend's own, the same for each `use` until one needs more. */
  protected scratch(use: string, bytes: number): Buf {
    const held = this.#scratch.get(use);
    if (held && held.bytes >= bytes) return held.buf;
    // twofold at least, so that what is left behind is never more
    const grown = Math.max(bytes, 2 * (held?.bytes ?? 0));
    const buf = this.alloc(grown);
    this.#scratch.set(use, { buf, bytes: grown });
    return buf;
  }

  /** The first time the list is queued, and takes the room that it needs; the second time it is recorded as a CUDA graph. */
  override repeat(owner: object, key: string, ops: () => void): void {
    const lists = this.#repeated.get(owner) ?? new Map<string, number | undefined>();
    this.#repeated.set(owner, lists);
    let recording = lists.get(key);
    if (recording === undefined && lists.has(key) && lists.size <= MOST_RECORDINGS) {
      this.device.beginRecording();
      try {
        ops();
      } finally {
        recording = this.device.endRecording();
      }
      lists.set(key, recording);
    }
    if (recording !== undefined) this.device.replay(recording);
    else {
      ops();
      lists.set(key, undefined);
    }
  }

  /** Keeps what is queued from the GPU until it is let go. */
  hold(held: boolean): void {
    this.device.hold(held);
  }

  #outOfMemory(bytes: number, cause: unknown): unknown {
    if ((cause as { code?: string }).code !== 'out-of-memory') return gpuFailed(cause);
    const [free, all] = this.device.memory();
    return new StateError('out-of-memory', {
      where: 'GPU memory',
      expected: `${bytes} bytes more than the ${this.bytes} taken`,
      got: `${free} free of ${all}`,
      hint: 'Take a smaller contextLength, kvCache or, in training, fewer sequences or recompute; end other programs on the GPU; or take a smaller model.',
      cause,
    });
  }

  allocF32(count: number): Buf {
    return this.alloc(4 * count);
  }

  allocI32(count: number): Buf {
    return this.alloc(4 * count);
  }

  allocTensor(dtype: DType, rows: number, cols: number): Tensor {
    return { buf: this.alloc(rows * strideOf(dtype, cols)), dtype, rows, cols };
  }

  allocCache(dtype: CacheDType, slots: number, kvHeads: number, capacity: number, headDim: number): Cache {
    checkHeadDim(headDim);
    const buf = this.alloc(slots * kvHeads * capacity * rowBytes(dtype, headDim));
    return { buf, dtype, slots, kvHeads, capacity, headDim };
  }

  async fill(
    tensor: Tensor,
    row: number,
    rows: number,
    write: (view: Uint8Array) => Promise<void>,
  ): Promise<boolean> {
    const { buf, dtype, cols } = tensor;
    const bytes = rows * rowBytes(dtype, cols);
    const view = new Uint8Array(bytes);
    await write(view);
    const at = buf + row * strideOf(dtype, cols);
    const stored = isQuantised(dtype) ? this.scratch('stored', bytes) : at;
    this.device.write(stored, view);
    this.writeI32(this.#flag, [0]);
    this.#findNonFinite(stored, dtype, rows * cols);
    if (isQuantised(dtype)) this.run(`planes_${dtype}`, rows, 1, THREADS, at, stored, cols);
    return (await this.readI32(this.#flag, 1))[0] === 0;
  }

  #findNonFinite(at: Buf, dtype: DType, count: number): void {
    const { values, bytes } = BLOCK[dtype];
    const blocks = count / values;
    const halves = (offset: number, exponent: number) =>
      this.run(
        'finite_16',
        over(blocks, THREADS),
        1,
        THREADS,
        this.#flag,
        at + offset,
        blocks,
        bytes,
        exponent,
      );
    if (dtype === 'f32' || dtype === 'q8_f32') {
      this.run('finite_f32', over(blocks, THREADS), 1, THREADS, this.#flag, at, blocks, bytes);
    } else if (dtype === 'bf16') halves(0, 0x7f80);
    else for (const offset of HALVES[dtype as CodesDType] ?? [0]) halves(offset, 0x7c00);
  }

  writeF32(buf: Buf, values: ArrayLike<number>): void {
    this.#write(buf, Float32Array.from(values));
  }

  writeI32(buf: Buf, values: ArrayLike<number>): void {
    this.#write(buf, Int32Array.from(values));
  }

  #write(buf: Buf, { buffer, byteOffset, byteLength }: Float32Array | Int32Array | Uint8Array): void {
    if (byteLength > 0) this.device.write(buf, new Uint8Array(buffer, byteOffset, byteLength));
  }

  async readF32(buf: Buf, count: number): Promise<Float32Array> {
    return new Float32Array((await this.#read(buf, 4 * count)).buffer);
  }

  async readI32(buf: Buf, count: number): Promise<Int32Array> {
    return new Int32Array((await this.#read(buf, 4 * count)).buffer);
  }

  async #read(buf: Buf, bytes: number): Promise<Uint8Array<ArrayBuffer>> {
    if (bytes === 0) return new Uint8Array(0);
    try {
      return await this.device.read(buf, bytes);
    } catch (error) {
      throw gpuFailed(error);
    }
  }

  copySlot(cache: Cache, from: number, to: number, count: number): void {
    if (count === 0) return;
    for (let h = 0; h < cache.kvHeads; h++) {
      const bytes = count * rowBytes(cache.dtype, cache.headDim);
      this.device.copy(rowAt(cache, to, h, 0), rowAt(cache, from, h, 0), bytes);
    }
  }

  readCache(cache: Cache, slot: number, head: number, first: number, count: number): Promise<Uint8Array> {
    return this.#read(rowAt(cache, slot, head, first), count * rowBytes(cache.dtype, cache.headDim));
  }

  writeCache(cache: Cache, slot: number, head: number, first: number, rows: Uint8Array): void {
    this.#write(rowAt(cache, slot, head, first), rows);
  }

  dispose(): void {
    this.device.close();
  }

  /** On each of several ranks: `count` numbers, of which all but one rank have zeros, become that rank's bits. */
  protected sum(buf: Buf, count: number): void {
    if (count > 0) this.device.sum(buf, count);
  }

  /** Queues a kernel over a grid of blocks; one without blocks does nothing. */
  protected run(name: string, gridX: number, gridY: number, threads: number, ...values: number[]): void {
    if (gridX > 0 && gridY > 0)
      this.device.launch(this.device.kernel(name), gridX, gridY, threads, ...values);
  }
}

/** @throws StateError 'unsupported-runtime' for heads that the kernels of attention do not hold */
export function checkHeadDim(headDim: number): void {
  if (headDim <= ATTENTION.headDim) return;
  throw new StateError('unsupported-runtime', {
    where: 'GPU attention',
    expected: `heads of at most ${ATTENTION.headDim} numbers`,
    got: `${headDim}`,
    hint: "Take backend: 'wasm'.",
  });
}

/** Groups of `size` that hold `count`. */
export function over(count: number, size: number): number {
  return Math.ceil(count / size);
}

/** Threads of the one block that works on `count` numbers: whole warps. */
export function threadsFor(count: number): number {
  return Math.min(MOST_THREADS, Math.max(1, over(count, WARP)) * WARP);
}

function rowAt(cache: Cache, slot: number, head: number, position: number): Buf {
  const { buf, dtype, kvHeads, capacity, headDim } = cache;
  return buf + ((slot * kvHeads + head) * capacity + position) * rowBytes(dtype, headDim);
}

/** What a device says once it is open, in our own words. */
function gpuFailed(cause: unknown): unknown {
  const { code, message } = cause as { code?: string; message: string };
  if (code === undefined) return cause;
  const parts: ErrorParts =
    code === 'closed'
      ? { where: 'GPU', expected: 'an open model', got: message, hint: 'Open it again.', cause }
      : {
          where: 'GPU',
          expected: 'a driver call that succeeds',
          got: message,
          hint: 'Close the model and open it again; if it stays so, see nvidia-smi and start the process anew.',
          cause,
        };
  return new StateError(code === 'closed' ? 'closed' : 'gpu-failed', parts);
}
