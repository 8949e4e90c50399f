import { exp } from '../exp.ts';
import type { Random } from '../random.ts';

const ROOT = exp(-0.5);

/**
 * A number of the normal distribution with mean 0 and variance 1, from uniform numbers, comparisons and `exp` of ours: the
 * same bits on every engine. Algorithm N of Karney, "Sampling exactly from the normal distribution" (2016).
 */
export function normal(random: Random): number {
  for (;;) {
    // k has probability ∝ exp(−k/2), then ∝ exp(−k²/2)
    let k = 0;
    while (random.next() < ROOT) k++;
    if (random.next() >= exp((-k * (k - 1)) / 2)) continue;
    const x = random.next();
    if (random.next() >= exp((-x * (2 * k + x)) / 2)) continue;
    return random.bits() >>> 31 ? -(k + x) : k + x;
  }
}
