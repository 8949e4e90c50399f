import type { Backend, Buf, Cache, Tensor } from '../../host/backend.ts';
import type { DType } from '../../host/dtype.ts';
import { encode } from './stored.ts';
import { uniform } from './tiny-model.ts';

/** The same seeded inputs for every backend. */
export class Inputs {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = uniform(seed);
  }

  /** `scale` · uniform in [−1, 1), as f32 */
  values(count: number, scale = 1): Float32Array {
    return Float32Array.from({ length: count }, () => scale * this.#random());
  }

  integers(count: number, below: number): number[] {
    return Array.from({ length: count }, () => Math.floor((this.#random() + 1) * 0.5 * below));
  }

  f32(backend: Backend, count: number, scale = 1): Buf {
    const buf = backend.allocF32(count);
    backend.writeF32(buf, this.values(count, scale));
    return buf;
  }

  i32(backend: Backend, values: number[]): Buf {
    const buf = backend.allocI32(values.length);
    backend.writeI32(buf, values);
    return buf;
  }

  async tensor(backend: Backend, dtype: DType, rows: number, cols: number): Promise<Tensor> {
    const tensor = backend.allocTensor(dtype, rows, cols);
    const stored = encode(this.values(rows * cols), dtype);
    await backend.fill(tensor, 0, rows, async view => view.set(stored));
    return tensor;
  }

  /** Fills a cache. */
  cache(backend: Backend, cache: Cache, scale = 1): void {
    const { dtype, slots, kvHeads, capacity, headDim } = cache;
    for (let slot = 0; slot < slots; slot++) {
      for (let h = 0; h < kvHeads; h++) {
        const rows = encode(this.values(capacity * headDim, scale), dtype);
        backend.writeCache(cache, slot, h, 0, rows);
      }
    }
  }
}
