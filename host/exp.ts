const LN2_HIGH = 0.6931471803691238; // the upper 33 bits of ln 2
const LN2_LOW = 1.9082149292705877e-10;

/**
 * exp(x) from additions, multiplications and divisions alone, which every engine rounds alike; `Math.exp` differs
 * between engines in the last bit. Relative error below 1e-15.
 */
export function exp(x: number): number {
  if (!(Math.abs(x) < 700)) return x < 0 ? 0 : x > 0 ? Number.POSITIVE_INFINITY : x;
  const k = Math.round(x / (LN2_HIGH + LN2_LOW));
  const r = x - k * LN2_HIGH - k * LN2_LOW;
  let sum = 1;
  for (let i = 16; i > 0; i--) sum = 1 + (r / i) * sum;
  for (let i = 0; i < Math.abs(k); i++) sum *= k > 0 ? 2 : 0.5;
  return sum;
}
