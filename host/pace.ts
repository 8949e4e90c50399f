/** The kernels compute so many tokens together; what is left over takes them as long. */
const TOGETHER = 4;

/** How many tokens to compute at once, so that a piece of work takes about as long as it may. */
export class Pace {
  readonly #target: number;
  readonly #least: number;
  readonly #most: number;
  #size: number;

  /**
   * @param target milliseconds that a piece may take
   * @param least tokens at once, however long they take; the first piece has so many
   * @param most tokens at once, however short they take
   */
  constructor(target: number, least: number, most: number) {
    this.#target = target;
    this.#least = Math.min(least, most);
    this.#most = most;
    this.#size = this.#least;
  }

  get size(): number {
    return this.#size;
  }

  /** Takes note of how long a piece took. */
  took(tokens: number, ms: number): void {
    const allowed = Math.min(this.#most, 2 * this.#size, Math.floor((this.#target * tokens) / ms));
    this.#size = Math.max(this.#least, allowed > TOGETHER ? allowed - (allowed % TOGETHER) : allowed);
  }
}
