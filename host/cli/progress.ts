import { bytes } from './format.ts';

const INTERVAL_MS = 100;

/** One line on stderr that rewrites itself; nothing at all where stderr is not a terminal. */
export class Progress {
  #shown = false;
  #lastMs = -Infinity;

  show(text: string): void {
    const now = performance.now();
    if (!process.stderr.isTTY || now - this.#lastMs < INTERVAL_MS) return;
    this.#lastMs = now;
    this.#shown = true;
    process.stderr.write(`\r${text.slice(0, (process.stderr.columns || 80) - 1)}\x1b[K`);
  }

  clear(): void {
    if (this.#shown) process.stderr.write('\r\x1b[K');
    this.#shown = false;
  }
}

export function loadingText({ loaded, total }: { loaded: number; total: number }): string {
  const percent = total > 0 ? Math.floor((100 * loaded) / total) : 100;
  return `loading ${percent}% of ${bytes(total)}`;
}
