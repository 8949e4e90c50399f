import type { Buf, Tensor } from '../backend.ts';
import { Wasm } from '../wasm.ts';
import type { Kernels } from '../wasm-kernels.ts';
import type { Exchange } from './exchange.ts';

/** The kernels of one rank among several: it exchanges the parts of activations with the others. */
export class RankWasm extends Wasm {
  readonly #exchange: Exchange;
  /** One token id. */
  readonly #id: Buf;

  constructor(kernels: Kernels, exchange: Exchange) {
    super(kernels);
    this.#exchange = exchange;
    this.#id = this.allocI32(1);
  }

  override embedding(out: Buf, tokens: Buf, table: Tensor, n: number): void {
    const { first = 0, rows, cols } = table;
    const { floats } = this.#exchange;
    for (const [i, id] of this.ints(tokens, n).entries()) {
      if (id < first || id >= first + rows) continue;
      const row = out + 4 * i * cols;
      this.writeI32(this.#id, [id - first]);
      super.embedding(row, this.#id, table, 1);
      floats.set(this.floats(row, cols), i * cols);
    }
    this.#meet(out, n * cols);
  }

  override gather(out: Buf, part: Buf, n: number, width: number, first: number, count: number): void {
    const { floats } = this.#exchange;
    const mine = this.floats(part, n * count);
    if (n === 1) floats.set(mine, first);
    else for (let i = 0; i < n; i++) floats.set(mine.subarray(i * count, (i + 1) * count), i * width + first);
    this.#meet(out, n * width);
  }

  #meet(out: Buf, count: number): void {
    this.#exchange.meet();
    this.floats(out, count).set(this.#exchange.floats.subarray(0, count));
    this.#exchange.turn();
  }
}
