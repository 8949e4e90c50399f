import { OptionError } from '../../errors.ts';

/** Rows after which the mixture begins anew: the fineness of shares. */
const PERIOD = 2 ** 16;
/** Odd, and near PERIOD · (√5 − 1)/2: successive multiples spread evenly. */
const STRIDE = 40503;

/**
 * Which source each row of a run comes from. Every 65,536 rows hold each source's share exactly, to the nearest row, and
 * any stretch of them nearly so; where a row comes from follows from its number alone.
 */
export class Mixture {
  /** By source: rows of a period. */
  readonly counts: number[];
  readonly #sources: Uint16Array;
  /** By row: how many before it in its period are of the same source. */
  readonly #before: Uint16Array;

  /** @param amounts of tokens, upweighted: only their proportions count */
  constructor(amounts: readonly number[]) {
    this.counts = shares(amounts, PERIOD);
    const sourceAt = new Uint16Array(PERIOD);
    let end = 0;
    this.counts.forEach((count, source) => {
      sourceAt.fill(source, end, (end += count));
    });
    this.#sources = new Uint16Array(PERIOD);
    this.#before = new Uint16Array(PERIOD);
    const seen = new Uint32Array(amounts.length);
    for (let row = 0; row < PERIOD; row++) {
      const source = sourceAt[(row * STRIDE) % PERIOD]!;
      this.#sources[row] = source;
      this.#before[row] = seen[source]!++;
    }
  }

  /** The source of a row, and how many rows of that source come before it. */
  at(row: number): { source: number; index: number } {
    const place = row % PERIOD;
    const source = this.#sources[place]!;
    return { source, index: Math.floor(row / PERIOD) * this.counts[source]! + this.#before[place]! };
  }
}

/** Integers in the proportions of `amounts`, which add up to `total`: rounded down, then the largest remainders up. */
function shares(amounts: readonly number[], total: number): number[] {
  const sum = amounts.reduce((all, amount) => all + amount, 0);
  if (!(sum > 0)) {
    throw new OptionError('option-range', {
      where: 'data: weight',
      expected: 'a source with tokens and a weight above 0',
      got: 'none',
      hint: 'Give at least one source a weight.',
    });
  }
  const exact = amounts.map(amount => (amount / sum) * total);
  const counts = exact.map(Math.floor);
  const byRemainder = exact
    .map((_, i) => i)
    .sort((a, b) => exact[b]! - counts[b]! - (exact[a]! - counts[a]!) || a - b);
  const left = total - counts.reduce((all, count) => all + count, 0);
  for (const i of byRemainder.slice(0, left)) counts[i]!++;
  return counts;
}
