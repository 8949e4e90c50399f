import { loadPart, storePart } from './math';

/** out[0] = Σ x², summed in f64;  x (count) */
export function sumSquares(out: usize, x: usize, count: i32): void {
  let low = f64x2.splat(0), high = low;
  for (let left = count; left > 0; left -= 4) {
    const v = left >= 4 ? v128.load(x) : loadPart(x, left);
    const a = f64x2.promote_low_f32x4(v), b = f64x2.promote_low_f32x4(v128.shuffle<f32>(v, v, 2, 3, 2, 3));
    low = f64x2.add(low, f64x2.mul(a, a));
    high = f64x2.add(high, f64x2.mul(b, b));
    x += 16;
  }
  low = f64x2.add(low, high);
  store<f32>(out, <f32>(f64x2.extract_lane(low, 0) + f64x2.extract_lane(low, 1)));
}

/**
 * Step number `step` (1, 2, …) of AdamW, with the gradient g = scale · gradient:
 * m ← β1 · m + (1 − β1) · g;  v ← β2 · v + (1 − β2) · g²;
 * w ← w · (1 − lr · decay) − lr · m / (1 − β1^step) / (√(v / (1 − β2^step)) + eps);  all (count)
 * Kingma and Ba 2015, "Adam"; Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization"
 */
export function adamw(
  w: usize, m: usize, v: usize, gradient: usize, count: i32,
  step: f64, lr: f64, beta1: f64, beta2: f64, eps: f64, decay: f64, scale: f64,
): void {
  const g4 = f32x4.splat(<f32>scale);
  const b1 = f32x4.splat(<f32>beta1), rest1 = f32x4.splat(<f32>(1 - beta1));
  const b2 = f32x4.splat(<f32>beta2), rest2 = f32x4.splat(<f32>(1 - beta2));
  const keep = f32x4.splat(<f32>(1 - lr * decay)), e = f32x4.splat(<f32>eps);
  const rate = f32x4.splat(<f32>(lr / (1 - NativeMath.pow(beta1, step))));
  const root = f32x4.splat(<f32>(1 / Math.sqrt(1 - NativeMath.pow(beta2, step))));
  for (let left = count; left > 0; left -= 4) {
    const whole = left >= 4;
    const g = f32x4.mul(whole ? v128.load(gradient) : loadPart(gradient, left), g4);
    const m1 = f32x4.add(f32x4.mul(b1, whole ? v128.load(m) : loadPart(m, left)), f32x4.mul(rest1, g));
    const g2 = f32x4.mul(rest2, f32x4.mul(g, g));
    const v1 = f32x4.add(f32x4.mul(b2, whole ? v128.load(v) : loadPart(v, left)), g2);
    const by = f32x4.div(m1, f32x4.add(f32x4.mul(f32x4.sqrt(v1), root), e));
    const w1 = f32x4.sub(f32x4.mul(whole ? v128.load(w) : loadPart(w, left), keep), f32x4.mul(rate, by));
    if (whole) {
      v128.store(m, m1); v128.store(v, v1); v128.store(w, w1);
    } else {
      storePart(m, m1, left); storePart(v, v1, left); storePart(w, w1, left);
    }
    w += 16; m += 16; v += 16; gradient += 16;
  }
}
