import type { Cache, Tensor } from '../../host/backend.ts';
import { Cuda } from '../../host/cuda.ts';
import type { CudaDevice } from '../../host/cuda-device.ts';
import { type CacheDType, type DType, rowBytes } from '../../host/dtype.ts';
import { SIGNATURES } from '../signatures.ts';

/** A kernel as it was queued. */
export interface Launch {
  name: string;
  gridX: number;
  gridY: number;
  threads: number;
  /** Bytes of dynamic shared memory. */
  shared: number;
  /** Arguments. */
  values: number[];
}

/** A device that runs nothing: its addresses are numbers, what is read is 0, and launches are noted. */
export class Recorder implements CudaDevice {
  launches: Launch[] = [];
  readonly #kernels: { name: string; shared: number }[] = [];
  readonly #recordings: Launch[][] = [];
  /** What was queued before a recording began. */
  #before: Launch[] = [];
  readonly #written = new Map<number, Uint8Array>();
  #next = 2 ** 20;

  kernel(name: string): number {
    return this.#kernels.push({ name, shared: SIGNATURES.get(name)!.shared }) - 1;
  }

  allocate(bytes: number): number {
    const at = this.#next;
    this.#next += Math.ceil(bytes / 256) * 256;
    return at;
  }

  memory(): [free: number, all: number] {
    return [2 ** 40, 2 ** 40];
  }

  launch(kernel: number, gridX: number, gridY: number, threads: number, ...values: number[]): void {
    this.launches.push({ ...this.#kernels[kernel]!, gridX, gridY, threads, values });
  }

  write(address: number, bytes: Uint8Array): void {
    this.#written.set(address, bytes.slice());
  }

  copy(): void {}

  async read(_address: number, bytes: number): Promise<Uint8Array<ArrayBuffer>> {
    return new Uint8Array(bytes);
  }

  beginRecording(): void {
    this.#before = this.launches;
    this.launches = [];
  }

  endRecording(): number {
    const recorded = this.launches;
    this.launches = this.#before;
    return this.#recordings.push(recorded) - 1;
  }

  replay(recording: number): void {
    this.launches.push(...this.#recordings[recording]!);
  }

  readonly hasGemm: boolean = false;
  gemm(): void {}
  sum(): void {}
  hold(): void {}
  close(): void {}

  /** What was last written there, as i32. */
  integers(address: number, count: number): Int32Array {
    const bytes = this.#written.get(address);
    if (!bytes || bytes.length < 4 * count)
      throw new Error(`no ${count} integers were written at ${address}`);
    return new Int32Array(bytes.buffer, 0, count);
  }
}

export type Kind = 'weights' | 'cache' | 'activations';

/** A backend on a recorder, which knows what lies where. */
export class RecordedCuda extends Cuda {
  readonly #regions: { from: number; to: number; kind: Kind }[] = [];

  override allocTensor(dtype: DType, rows: number, cols: number): Tensor {
    const tensor = super.allocTensor(dtype, rows, cols);
    this.#note(tensor.buf, rows * rowBytes(dtype, cols), 'weights');
    return tensor;
  }

  override allocCache(
    dtype: CacheDType,
    slots: number,
    kvHeads: number,
    capacity: number,
    headDim: number,
  ): Cache {
    const cache = super.allocCache(dtype, slots, kvHeads, capacity, headDim);
    this.#note(cache.buf, slots * kvHeads * capacity * rowBytes(dtype, headDim), 'cache');
    return cache;
  }

  #note(from: number, bytes: number, kind: Kind): void {
    this.#regions.push({ from, to: from + bytes, kind });
  }

  kindOf(address: number): Kind {
    return this.#regions.find(({ from, to }) => address >= from && address < to)?.kind ?? 'activations';
  }
}
