import type { Buf, Cache, Tensor } from './backend.ts';
import { Composed } from './composed.ts';
import { type CacheDType, type DType, rowBytes } from './dtype.ts';
import { decodeRows } from './reference-formats.ts';

/** What the reference computes on: numbers in f64, and rows as files and caches store them. */
export abstract class ReferenceMemory extends Composed {
  bytes = 0;
  /** A buffer's address is its index in these. */
  protected readonly buffers: (Float64Array | Int32Array)[] = [new Float64Array(0)];
  readonly #stored = new Map<Buf, Uint8Array>();
  readonly #decoded = new Map<Buf, Float64Array>();

  reserve(): boolean {
    return true;
  }

  allocF32(count: number): Buf {
    this.bytes += 8 * count;
    return this.buffers.push(new Float64Array(count)) - 1;
  }

  allocI32(count: number): Buf {
    this.bytes += 4 * count;
    return this.buffers.push(new Int32Array(count)) - 1;
  }

  allocTensor(dtype: DType, rows: number, cols: number): Tensor {
    const buf = this.buffers.push(new Float64Array(0)) - 1;
    this.#stored.set(buf, new Uint8Array(rows * rowBytes(dtype, cols)));
    this.bytes += rows * rowBytes(dtype, cols);
    return { buf, dtype, rows, cols };
  }

  allocCache(dtype: CacheDType, slots: number, kvHeads: number, capacity: number, headDim: number): Cache {
    const { buf } = this.allocTensor(dtype, slots * kvHeads * capacity, headDim);
    return { buf, dtype, slots, kvHeads, capacity, headDim };
  }

  async fill(
    tensor: Tensor,
    row: number,
    rows: number,
    write: (view: Uint8Array) => Promise<void>,
  ): Promise<boolean> {
    const bytes = rowBytes(tensor.dtype, tensor.cols);
    const view = this.#stored.get(tensor.buf)!.subarray(row * bytes, (row + rows) * bytes);
    await write(view);
    this.#decoded.delete(tensor.buf);
    return decodeRows(view, tensor.dtype, rows * tensor.cols).every(Number.isFinite);
  }

  writeF32(buf: Buf, values: ArrayLike<number>): void {
    this.floats(buf).set(values);
  }

  writeI32(buf: Buf, values: ArrayLike<number>): void {
    this.ints(buf).set(values);
  }

  async readF32(buf: Buf, count: number): Promise<Float32Array> {
    return Float32Array.from(this.floats(buf).subarray(0, count));
  }

  async readI32(buf: Buf, count: number): Promise<Int32Array> {
    return this.ints(buf).slice(0, count);
  }

  dispose(): void {
    this.buffers.length = 1;
    this.#stored.clear();
    this.#decoded.clear();
  }

  protected floats(buf: Buf): Float64Array {
    return (this.#decoded.get(buf) ?? this.buffers[buf]) as Float64Array;
  }

  protected ints(buf: Buf): Int32Array {
    return this.buffers[buf] as Int32Array;
  }

  /** A stored tensor's values, decoded once; or those of a buffer of numbers, as weights in training are. */
  protected weights(tensor: Tensor): Float64Array {
    let values = this.#decoded.get(tensor.buf);
    if (!values) {
      const stored = this.#stored.get(tensor.buf);
      if (!stored) return this.floats(tensor.buf);
      values = decodeRows(stored, tensor.dtype, tensor.rows * tensor.cols);
      this.#decoded.set(tensor.buf, values);
    }
    return values;
  }

  copySlot(cache: Cache, from: number, to: number, count: number): void {
    for (let h = 0; h < cache.kvHeads; h++)
      this.rows(cache, to, h, 0, count).set(this.rows(cache, from, h, 0, count));
  }

  async readCache(
    cache: Cache,
    slot: number,
    head: number,
    first: number,
    count: number,
  ): Promise<Uint8Array> {
    return this.rows(cache, slot, head, first, count).slice();
  }

  writeCache(cache: Cache, slot: number, head: number, first: number, rows: Uint8Array): void {
    const count = rows.length / rowBytes(cache.dtype, cache.headDim);
    this.rows(cache, slot, head, first, count).set(rows);
  }

  /** Stored rows of a cache. */
  protected rows(cache: Cache, slot: number, head: number, first: number, count: number): Uint8Array {
    const { buf, dtype, kvHeads, capacity, headDim } = cache;
    const bytes = rowBytes(dtype, headDim);
    const at = ((slot * kvHeads + head) * capacity + first) * bytes;
    return this.#stored.get(buf)!.subarray(at, at + count * bytes);
  }
}
