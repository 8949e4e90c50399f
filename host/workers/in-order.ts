/** A read that somebody waits for. */
interface Waiting {
  offset: number;
  serve: () => Promise<void>;
}

/**
 * Serves the reads of several readers, each of which ascends, one at a time in the order of their offsets: the next one
 * is known when every reader that goes on has said what it wants.
 */
export class InOrder {
  readonly #waiting: Waiting[][];
  readonly #finished: boolean[];
  #busy = false;

  constructor(readers: number) {
    this.#waiting = Array.from({ length: readers }, () => []);
    this.#finished = this.#waiting.map(() => false);
  }

  /** @param serve never rejects */
  ask(reader: number, offset: number, serve: () => Promise<void>): void {
    this.#waiting[reader]!.push({ offset, serve });
    void this.#go();
  }

  /** The reader wants no more. */
  finish(reader: number): void {
    this.#finished[reader] = true;
    void this.#go();
  }

  async #go(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    for (;;) {
      if (this.#waiting.some((list, reader) => list.length === 0 && !this.#finished[reader])) break;
      const lists = this.#waiting.filter(list => list.length > 0);
      if (lists.length === 0) break;
      const list = lists.reduce((a, b) => (b[0]!.offset < a[0]!.offset ? b : a));
      await list.shift()!.serve();
    }
    this.#busy = false;
  }
}
