import { log64 } from './log';
import { expCall1, expCall4, largestLane } from './math';

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
    const e = expCall4(f32x4.sub(v128.load(logits + (<usize>i << 2)), m4));
    low = f64x2.add(low, f64x2.promote_low_f32x4(e));
    high = f64x2.add(high, f64x2.promote_low_f32x4(v128.shuffle<f32>(e, e, 2, 3, 2, 3)));
  }
  low = f64x2.add(low, high);
  let sum = f64x2.extract_lane(low, 0) + f64x2.extract_lane(low, 1);
  for (; i < vocab; i++) sum += <f64>expCall1(load<f32>(logits + (<usize>i << 2)) - m);
  return <f64>m + log64(sum);
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

/**
 * loss[i] = log Σⱼ exp(logits[i][j]) − logits[i][targets[i]], and logits become the gradient of Σᵢ coef[i] · loss[i] by
 * themselves: coef[i] · (softmax(logits[i]) − [j = targets[i]]);  logits (n, vocab), targets, coef, loss (n)
 */
export function crossEntropyBackward(
  loss: usize, logits: usize, targets: usize, coef: usize, n: i32, vocab: i32,
): void {
  const rest = vocab & 3;
  for (let i = 0; i < n; i++) {
    const target = logits + (<usize>load<u32>(targets) << 2);
    const c = load<f32>(coef);
    const m = largest(logits, vocab);
    const m4 = f32x4.splat(m);
    const end = logits + (<usize>(vocab - rest) << 2);
    store<f32>(loss, load<f32>(target) - m);
    let low = f64x2.splat(0), high = low;
    for (let p = logits; p < end; p += 16) {
      const e = expCall4(f32x4.sub(v128.load(p), m4));
      v128.store(p, e);
      low = f64x2.add(low, f64x2.promote_low_f32x4(e));
      high = f64x2.add(high, f64x2.promote_low_f32x4(v128.shuffle<f32>(e, e, 2, 3, 2, 3)));
    }
    low = f64x2.add(low, high);
    let sum = f64x2.extract_lane(low, 0) + f64x2.extract_lane(low, 1);
    for (let p = end; p < end + (<usize>rest << 2); p += 4) {
      const e = expCall1(load<f32>(p) - m);
      store<f32>(p, e);
      sum += <f64>e;
    }
    store<f32>(loss, <f32>(NativeMath.log(sum) - <f64>load<f32>(loss)));
    const by: f32 = <f32>(<f64>c / sum);
    const by4 = f32x4.splat(by);
    for (let p = logits; p < end; p += 16) v128.store(p, f32x4.mul(v128.load(p), by4));
    for (let p = end; p < end + (<usize>rest << 2); p += 4) store<f32>(p, load<f32>(p) * by);
    store<f32>(target, load<f32>(target) - c);
    logits += <usize>vocab << 2;
    targets += 4; coef += 4; loss += 4;
  }
}
