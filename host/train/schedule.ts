/** How the learning rate goes: up from 0, then down along half a cosine (Llama 2 paper, section 2.2). */
export interface Schedule {
  /** The largest rate. */
  learningRate: number;
  /** Steps over which it grows, in equal parts. */
  warmup: number;
  /** The last rate, as a share of the largest. */
  finalRate: number;
  /** Of the whole run. */
  steps: number;
}

/** The rate of step number `step` (1, 2, …), the same bits on every engine. */
export function rateAt({ learningRate, warmup, finalRate, steps }: Schedule, step: number): number {
  if (step <= warmup) return (learningRate * step) / warmup;
  if (step >= steps) return learningRate * finalRate;
  const done = (step - warmup) / (steps - warmup);
  return learningRate * (finalRate + (1 - finalRate) * 0.5 * (1 + cosineOfHalfTurns(done)));
}

/** cos(π · x) for x in [0, 1] from additions and multiplications alone, which every engine rounds alike; error below 1e-15. */
export function cosineOfHalfTurns(x: number): number {
  if (x > 0.5) return -cosineOfHalfTurns(1 - x);
  const angle = Math.PI * x;
  const square = angle * angle;
  // Taylor's series: the first term left out is (π/2)^24 / 24! < 1e-19
  let sum = 1;
  for (let i = 22; i > 0; i -= 2) sum = 1 - (square / (i * (i - 1))) * sum;
  return sum;
}
