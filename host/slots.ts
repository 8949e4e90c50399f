import type { Llama } from './llama.ts';

/** The slots of the kv cache and the tokens whose keys and values each holds. */
export class Slots {
  readonly #llama: Llama;
  readonly #held: number[][];
  readonly #busy = new Set<number>();
  /** Free slots, least recently used first. */
  readonly #order: number[];

  constructor(llama: Llama) {
    this.#llama = llama;
    this.#held = Array.from({ length: llama.limits.slots }, () => []);
    this.#order = [...this.#held.keys()];
  }

  get free(): number {
    return this.#order.length - this.#busy.size;
  }

  /** The slot used last. */
  get latest(): number {
    return this.#order.at(-1)!;
  }

  held(slot: number): readonly number[] {
    return this.#held[slot]!;
  }

  /**
   * Takes a free slot for a sequence that begins with `prompt`. What any slot holds of its beginning is not computed
   * again, but for the last token, whose logits are wanted.
   */
  take(prompt: readonly number[]): number {
    const common = this.#held.map(held => commonLength(held, prompt, prompt.length - 1));
    const free = this.#order.filter(slot => !this.#busy.has(slot));
    const source = common.indexOf(Math.max(...common));
    const length = common[source]!;
    const most = Math.max(...free.map(slot => common[slot]!));
    // where none of the free ones holds anything of it, the one unused for longest is given up
    const slot = free.find(slot => common[slot] === most)!;
    if (most < length) this.#llama.copySlot(source, slot, length);
    this.#held[slot] = prompt.slice(0, length);
    this.#busy.add(slot);
    this.#use(slot);
    return slot;
  }

  release(slot: number): void {
    this.#busy.delete(slot);
  }

  /** Takes note that tokens now stand in the slot from `position` on, and what was behind them is gone. */
  put(slot: number, position: number, ids: readonly number[]): void {
    const held = this.#held[slot]!;
    held.length = position;
    for (const id of ids) held.push(id);
    this.#use(slot);
  }

  #use(slot: number): void {
    this.#order.splice(this.#order.indexOf(slot), 1);
    this.#order.push(slot);
  }
}

function commonLength(a: readonly number[], b: readonly number[], most: number): number {
  let length = 0;
  while (length < most && length < a.length && a[length] === b[length]) length++;
  return length;
}
