// exp and log in f64 from additions, multiplications and divisions alone: the same bits on every engine, without tables.

// ln2 in two parts, so that n·LN2_HI is exact for |n| < 2^20; constants: fdlibm, e_exp.c
const LN2_HI: f64 = 6.93147180369123816490e-1;
const LN2_LO: f64 = 1.90821492927058770002e-10;

/** exp(x) for |x| < 700, by its series: x = n·ln2 + r with |r| ≤ ln2/2. Relative error, measured: below 4e-16. */
export function exp64(x: f64): f64 {
  const n = nearest<f64>(x / (LN2_HI + LN2_LO));
  const r = x - n * LN2_HI - n * LN2_LO;
  let sum: f64 = 1;
  for (let i: f64 = 14; i > 0; i--) sum = 1 + r / i * sum;
  return sum * reinterpret<f64>((<u64>(1023 + <i64>n)) << 52);
}

/**
 * log(x) of a normal x > 0; NaN and ∞ stay as they are. x = 2ⁿ·m with √½ ≤ m < √2, and log m = 2 artanh s with
 * s = (m − 1) / (m + 1). Relative error, measured: below 4e-16.
 */
export function log64(x: f64): f64 {
  if (!(x < Infinity)) return x;
  const bits = reinterpret<u64>(x);
  // √½, so that an exponent begins there
  const n = <i64>(bits - 0x3fe6a09e667f3bcd) >> 52;
  const m = reinterpret<f64>(bits - (<u64>n << 52));
  const s = (m - 1) / (m + 1), z = s * s;
  let sum: f64 = 0;
  // |s| < 0.172: the first term left out is below 2^-53 of the sum
  for (let i: f64 = 21; i > 0; i -= 2) sum = 1 / i + z * sum;
  return <f64>n * LN2_HI + (<f64>n * LN2_LO + 2 * s * sum);
}
