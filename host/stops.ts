import type { TokenEvent } from './api.ts';

/**
 * Holds tokens back while their text may be the beginning of a stop text, or is not complete, and cuts the text at
 * the first stop. What it lets go is certain.
 */
export class Stops {
  readonly #stops: string[];
  #held: TokenEvent[] = [];
  /** The text of the held tokens. */
  #text = '';

  constructor(stops: string[]) {
    this.#stops = stops;
  }

  /**
   * Takes the next token. `incomplete` says that bytes of its text are still to come.
   * @returns the tokens that are certain now, and whether a stop text was met (then they are the last)
   */
  push(event: TokenEvent, incomplete: boolean): { events: TokenEvent[]; stopped: boolean } {
    this.#held.push(event);
    this.#text += event.piece;
    const at = this.#firstStop();
    if (at >= 0) {
      this.#cut(at);
      return { events: this.flush(), stopped: true };
    }
    const certain = this.#text.length - Math.max(0, ...this.#stops.map(stop => overlap(this.#text, stop)));
    let count = 0;
    let length = 0;
    for (const { piece } of this.#held) {
      if (length + piece.length > certain) break;
      length += piece.length;
      count++;
    }
    if (incomplete) count = Math.min(count, this.#held.length - 1);
    const events = this.#held.splice(0, count);
    this.#text = this.#held.map(({ piece }) => piece).join('');
    return { events, stopped: false };
  }

  /** Lets everything go, `rest` added to the text of the last token. */
  flush(rest = ''): TokenEvent[] {
    const events = this.#held;
    const last = events.at(-1);
    if (last && rest) last.piece += rest;
    this.#held = [];
    this.#text = '';
    return events;
  }

  #firstStop(): number {
    const found = this.#stops.map(stop => this.#text.indexOf(stop)).filter(at => at >= 0);
    return found.length > 0 ? Math.min(...found) : -1;
  }

  /** Shortens the pieces of the held tokens to the first `length` characters of their text. */
  #cut(length: number): void {
    let left = length;
    for (const event of this.#held) {
      event.piece = event.piece.slice(0, left);
      left -= event.piece.length;
    }
  }
}

/** Length of the longest end of `text` that is a beginning of `stop`, but not all of it. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(stop.length - 1, text.length); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
