import { ALIGN, type Backend, type Buf, type Cache, type Tensor } from './backend.ts';
import { Composed } from './composed.ts';
import {
  ACTIVATION_BLOCK,
  activationBits,
  attentionBytes,
  BLOCK,
  type CacheDType,
  type CodesDType,
  type DType,
  GROUPED,
  HALVES,
  memoryBytes,
  rowBytes,
} from './dtype.ts';
import { StateError } from './errors.ts';
import type { Kernels } from './wasm-kernels.ts';

const PAGE = 65536;
/** Addresses are 32 bits wide. */
const MAX_BYTES = 2 ** 32;

/** The SIMD kernels behind the contract of `Backend`. The host lays out the memory: one bump allocator, freed whole. */
export class Wasm extends Composed implements Backend {
  readonly name = 'wasm';
  #kernels: Kernels;
  #end: number;
  /**
   * A buffer of the backend's own, grown when a call needs more: stored rows, rounded activations, ids for sampling, a
   * block of keys and values.
   */
  #scratch = { buf: 0, bytes: 0 };

  constructor(kernels: Kernels) {
    super();
    this.#kernels = kernels;
    this.#end = kernels.heapBase();
  }

  get bytes(): number {
    return this.#end;
  }

  /** A view of numbers in memory, valid until the next allocation. */
  protected floats(buf: Buf, count: number): Float32Array {
    return new Float32Array(this.#kernels.memory.buffer, buf, count);
  }

  protected ints(buf: Buf, count: number): Int32Array {
    return new Int32Array(this.#kernels.memory.buffer, buf, count);
  }

  reserve(bytes: number, scratch: number): boolean {
    if (!this.#holds(align(this.#end) + bytes)) return false;
    this.scratchOf(scratch);
    return true;
  }

  /** Whether the memory reaches to `end`, grown if need be. */
  #holds(end: number): boolean {
    const { memory } = this.#kernels;
    const missing = Math.ceil((end - memory.buffer.byteLength) / PAGE);
    return end <= MAX_BYTES - ALIGN && (missing <= 0 || grow(memory, missing));
  }

  #alloc(bytes: number): Buf {
    const start = align(this.#end);
    const end = start + bytes;
    if (!this.#holds(end)) {
      throw new StateError('out-of-memory', {
        where: 'WebAssembly memory',
        expected: `${end} bytes in one memory of at most ${MAX_BYTES}`,
        got: `a refusal beyond ${this.#kernels.memory.buffer.byteLength} bytes`,
        hint: 'Open the model with a smaller contextLength, or take a smaller or more quantised model.',
      });
    }
    this.#end = end;
    return start;
  }

  allocF32(count: number): Buf {
    return this.#alloc(4 * count);
  }

  allocI32(count: number): Buf {
    return this.#alloc(4 * count);
  }

  allocTensor(dtype: DType, rows: number, cols: number): Tensor {
    return { buf: this.#alloc(memoryBytes({ dtype, rows, cols })), dtype, rows, cols };
  }

  allocCache(dtype: CacheDType, slots: number, kvHeads: number, capacity: number, headDim: number): Cache {
    const buf = this.#alloc(slots * kvHeads * capacity * rowBytes(dtype, headDim));
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
    const grouped = dtype !== 'f32' && dtype !== 'f16' && dtype !== 'bf16';
    const stored = grouped ? this.scratchOf(bytes) : buf + row * rowBytes(dtype, cols);
    await write(new Uint8Array(this.#kernels.memory.buffer, stored, bytes));
    const finite = this.#isFinite(stored, dtype, rows * cols);
    if (grouped) {
      const group = buf + (row / 4) * (cols / BLOCK[dtype].values) * GROUPED[dtype]!;
      this.#kernels[`relayout_${dtype}`](group, stored, rows, cols);
    }
    return finite;
  }

  #isFinite(stored: Buf, dtype: DType, count: number): boolean {
    if (!isCodes(dtype)) return this.#kernels[`finite_${dtype}`](stored, count) !== 0;
    const { values, bytes } = BLOCK[dtype];
    return HALVES[dtype].every(at => this.#kernels.finite_halves(stored + at, count / values, bytes) !== 0);
  }

  writeF32(buf: Buf, values: ArrayLike<number>): void {
    this.floats(buf, values.length).set(values);
  }

  writeI32(buf: Buf, values: ArrayLike<number>): void {
    this.ints(buf, values.length).set(values);
  }

  async readF32(buf: Buf, count: number): Promise<Float32Array> {
    return this.floats(buf, count).slice();
  }

  async readI32(buf: Buf, count: number): Promise<Int32Array> {
    return this.ints(buf, count).slice();
  }

  dispose(): void {
    // an instance is freed when nothing refers to it: calls after this fail loudly
    this.#kernels = {} as Kernels;
  }

  /** Memory for one call. */
  protected scratchOf(bytes: number): Buf {
    if (bytes > this.#scratch.bytes) this.#scratch = { buf: this.#alloc(bytes), bytes };
    return this.#scratch.buf;
  }

  embedding(out: Buf, tokens: Buf, table: Tensor, n: number): void {
    this.#kernels[`embedding_${table.dtype}`](out, tokens, table.buf, n, table.cols);
  }

  rmsnorm(out: Buf, x: Buf, weight: Tensor, n: number, dim: number, eps: number): void {
    this.#kernels.rmsnorm(out, x, weight.buf, n, dim, eps);
  }

  matmul(out: Buf, x: Buf, w: Tensor, n: number): void {
    const { buf, dtype, rows, cols } = w;
    const bits = activationBits(dtype);
    if (bits === undefined) {
      this.#kernels[`matmul_${dtype}`](out, x, buf, n, rows, cols);
      return;
    }
    const blocks = (n * cols) / 32;
    const rounded = this.scratchOf(blocks * ACTIVATION_BLOCK);
    this.#kernels[`activations${bits}`](rounded, x, blocks);
    this.#kernels[`matmul_${dtype}`](out, rounded, buf, n, rows, cols);
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
    this.#kernels.ropeTable(table, factors?.buf ?? 0, first, count, headDim, base, scale);
  }

  rope(...args: Parameters<Backend['rope']>): void {
    this.#kernels.rope(...args);
  }

  append(cache: Cache, x: Buf, slots: Buf, positions: Buf, n: number): void {
    const { buf, dtype, kvHeads, headDim, capacity } = cache;
    this.#kernels[`append_${dtype}`](buf, x, slots, positions, n, kvHeads, headDim, capacity);
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
    const work = this.scratchOf(attentionBytes(n * heads, headDim));
    this.#kernels[`attention_${dtype}`](
      out,
      q,
      keys.buf,
      values.buf,
      work,
      slots,
      positions,
      n,
      heads,
      kvHeads,
      group,
      before,
      headDim,
      capacity,
    );
  }

  copySlot(cache: Cache, from: number, to: number, count: number): void {
    const { kvHeads, capacity, dtype, headDim } = cache;
    const bytes = new Uint8Array(this.#kernels.memory.buffer);
    const row = rowBytes(dtype, headDim);
    for (let h = 0; h < kvHeads; h++) {
      const source = cache.buf + (from * kvHeads + h) * capacity * row;
      bytes.copyWithin(cache.buf + (to * kvHeads + h) * capacity * row, source, source + count * row);
    }
  }

  async readCache(
    cache: Cache,
    slot: number,
    head: number,
    first: number,
    count: number,
  ): Promise<Uint8Array> {
    return this.#cacheRows(cache, slot, head, first, count).slice();
  }

  writeCache(cache: Cache, slot: number, head: number, first: number, rows: Uint8Array): void {
    const count = rows.length / rowBytes(cache.dtype, cache.headDim);
    this.#cacheRows(cache, slot, head, first, count).set(rows);
  }

  #cacheRows(
    { buf, dtype, kvHeads, capacity, headDim }: Cache,
    slot: number,
    head: number,
    first: number,
    count: number,
  ) {
    const row = rowBytes(dtype, headDim);
    const at = buf + ((slot * kvHeads + head) * capacity + first) * row;
    return new Uint8Array(this.#kernels.memory.buffer, at, count * row);
  }

  gather(..._: Parameters<Backend['gather']>): void {}

  swiglu(...args: Parameters<Backend['swiglu']>): void {
    this.#kernels.swiglu(...args);
  }

  add(...args: Parameters<Backend['add']>): void {
    this.#kernels.add(...args);
  }

  takeRows(...args: Parameters<Backend['takeRows']>): void {
    this.#kernels.takeRows(...args);
  }

  crossEntropy(...args: Parameters<Backend['crossEntropy']>): void {
    this.#kernels.crossEntropy(...args);
  }

  topLogprobs(...args: Parameters<Backend['topLogprobs']>): void {
    this.#kernels.topLogprobs(...args);
  }

  addBias(...args: Parameters<Backend['addBias']>): void {
    this.#kernels.addBias(...args);
  }

  penalize(...args: Parameters<Backend['penalize']>): void {
    this.#kernels.penalize(...args);
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
    const work = this.scratchOf(4 * vocab);
    this.#kernels.sample(id, logits, work, vocab, temperature, topK, topP, minP, u);
  }
}

function align(address: number): number {
  return Math.ceil(address / ALIGN) * ALIGN;
}

function isCodes(dtype: DType): dtype is CodesDType {
  return dtype in HALVES;
}

function grow(memory: WebAssembly.Memory, pages: number): boolean {
  try {
    memory.grow(pages);
    return true;
  } catch {
    return false;
  }
}
