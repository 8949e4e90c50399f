import { f16Bits, f16Value } from './floats.ts';

/** The half float nearest to `value`, as a number: what a block's scale will be. */
export function asHalf(value: number): number {
  return f16Value(f16Bits(value));
}

/** The levels that a code may stand for before its scale multiplies it. */
export interface Levels {
  lowest: number;
  highest: number;
  nearest: (value: number) => number;
}

/** Sub-blocks of less than this are stored as zeros: a scale would be below the smallest half float. */
const NOTHING = 1e-15;

/**
 * Candidates on either side of the scale that maps the extreme value onto the last level, and their distance in levels.
 * (measured: twice as many at half the distance gain 0.1 %)
 */
const TRIES = 4;
const STEP = 0.2;

/**
 * The scale s that makes Σ wᵢ (xᵢ − s·qᵢ)² small, qᵢ the level nearest to xᵢ / s: of the scales that map the value of
 * largest magnitude close to either last level, the one whose levels fit best once s is the weighted least squares
 * solution Σwxq / Σwq² for them. The error is then Σwx² − (Σwxq)² / Σwq².
 *
 * @param w weights of the values: w[start + i] is that of x[from + i]
 */
export function fitScale(
  x: Float32Array,
  from: number,
  w: Float64Array,
  start: number,
  count: number,
  levels: Levels,
): number {
  let extreme = 0;
  for (let i = 0; i < count; i++) {
    if (Math.abs(x[from + i]!) > Math.abs(extreme)) extreme = x[from + i]!;
  }
  if (Math.abs(extreme) < NOTHING) return 0;
  let most = 0;
  let best = 0;
  const consider = (inverse: number): void => {
    let xq = 0;
    let qq = 0;
    for (let i = 0; i < count; i++) {
      const q = levels.nearest(x[from + i]! * inverse);
      const weighted = w[start + i]! * q;
      xq += weighted * x[from + i]!;
      qq += weighted * q;
    }
    if (qq > 0 && xq * xq > most * qq) {
      most = (xq * xq) / qq;
      best = xq / qq;
    }
  };
  for (const last of [levels.lowest, levels.highest]) {
    for (let step = -TRIES; step <= TRIES; step++) consider((last + STEP * step) / extreme);
  }
  return best;
}

/** An affine code: value ≈ scale·q − min, q in 0..last and min ≥ 0. */
export interface Affine {
  scale: number;
  min: number;
}

/**
 * The scale and min that make Σ wᵢ (xᵢ − (scale·qᵢ − min))² small: of several divisions of the range into steps, the one
 * whose codes fit best after weighted least squares in both. A min cannot be negative: zero is always in the range.
 *
 * @param w weights of the values: w[start + i] is that of x[from + i]
 * @param steps candidates for the number of steps from the smallest to the largest value; about `last`
 * @param found where the result goes
 */
export function fitAffine(
  x: Float32Array,
  from: number,
  w: Float64Array,
  start: number,
  count: number,
  last: number,
  steps: readonly number[],
  found: Affine,
): void {
  let smallest = 0;
  let largest = x[from]!;
  let sumW = 0;
  let sumX = 0;
  for (let i = 0; i < count; i++) {
    const value = x[from + i]!;
    if (value < smallest) smallest = value;
    if (value > largest) largest = value;
    sumW += w[start + i]!;
    sumX += w[start + i]! * value;
  }
  found.scale = 0;
  found.min = -smallest;
  const range = largest - smallest;
  if (!(range > NOTHING)) return;
  let least = Number.POSITIVE_INFINITY;
  for (const step of steps) {
    const inverse = step / range;
    let sumQ = 0;
    let sumQQ = 0;
    let sumXQ = 0;
    for (let i = 0; i < count; i++) {
      const value = x[from + i]!;
      const q = nearestCode((value - smallest) * inverse, last);
      const weighted = w[start + i]! * q;
      sumQ += weighted;
      sumQQ += weighted * q;
      sumXQ += weighted * value;
    }
    const determinant = sumW * sumQQ - sumQ * sumQ;
    if (!(determinant > 0)) continue;
    let scale = (sumW * sumXQ - sumX * sumQ) / determinant;
    let min = (sumQ * sumXQ - sumQQ * sumX) / determinant;
    if (min < 0) {
      min = 0;
      scale = sumXQ / sumQQ;
    }
    // Σ w (x − scale·q + min)² without the term Σwx², which all candidates share
    const error = scale * (scale * sumQQ - 2 * sumXQ - 2 * min * sumQ) + min * (2 * sumX + min * sumW);
    if (error < least) {
      least = error;
      found.scale = scale;
      found.min = min;
    }
  }
}

/** The code nearest to `value` in 0..last. */
export function nearestCode(value: number, last: number): number {
  return value <= 0 ? 0 : value >= last ? last : (value + 0.5) | 0;
}
