import { exp1, exp4, largestLane } from './math';

/** The largest of logits (vocab ≥ 1). */
export function largest(logits: usize, vocab: i32): f32 {
  let m = load<f32>(logits);
  let i = 0;
  if (vocab >= 4) {
    let m4 = v128.load(logits);
    for (i = 4; i + 4 <= vocab; i += 4) m4 = f32x4.max(m4, v128.load(logits + (<usize>i << 2)));
    m = largestLane(m4);
  }
  for (; i < vocab; i++) m = max(m, load<f32>(logits + (<usize>i << 2)));
  return m;
}

/** log Σ exp(logits) in f64, whose sum over a vocabulary of 32,000 keeps what f32 would lose. */
export function logSumExp(logits: usize, vocab: i32): f64 {
  const m = largest(logits, vocab);
  const m4 = f32x4.splat(m);
  let low = f64x2.splat(0), high = low;
  let i = 0;
  for (; i + 4 <= vocab; i += 4) {
    const e = exp4(f32x4.sub(v128.load(logits + (<usize>i << 2)), m4));
    low = f64x2.add(low, f64x2.promote_low_f32x4(e));
    high = f64x2.add(high, f64x2.promote_low_f32x4(v128.shuffle<f32>(e, e, 2, 3, 2, 3)));
  }
  low = f64x2.add(low, high);
  let sum = f64x2.extract_lane(low, 0) + f64x2.extract_lane(low, 1);
  for (; i < vocab; i++) sum += <f64>exp1(load<f32>(logits + (<usize>i << 2)) - m);
  return <f64>m + NativeMath.log(sum);
}

/** loss[i] = log Σⱼ exp(logits[i][j]) − logits[i][targets[i]];  logits (n, vocab), targets, loss (n) */
export function crossEntropy(loss: usize, logits: usize, targets: usize, n: i32, vocab: i32): void {
  for (let i = 0; i < n; i++) {
    const target = <f64>load<f32>(logits + (<usize>load<u32>(targets) << 2));
    store<f32>(loss, <f32>(logSumExp(logits, vocab) - target));
    logits += <usize>vocab << 2;
    targets += 4;
    loss += 4;
  }
}
