import type { Backend, Buf, Tensor } from '../backend.ts';

/**
 * What training asks of a backend beyond inference. Weights, gradients and activations are f32 (f64 in the reference);
 * a `Tensor` here has dtype 'f32' and may be a part of a larger buffer. Names: `dX` is the gradient of the loss by x.
 *
 * Every backward adds to the gradients that it gives (+=), which begin as zeros; `ropeBackward` and
 * `crossEntropyBackward` work in place. Sums have one order, so that the same calls give the same bits everywhere.
 */
export interface TrainBackend extends Backend {
  /** Numbers first … first + count − 1 of a buffer of f32, as a buffer that shares their memory. */
  part(buf: Buf, first: number, count: number): Buf;
  /** buf = 0;  buf (count) f32 */
  zero(buf: Buf, count: number): void;

  /** out = x · wᵀ, as `matmul`, for many tokens;  x (n, cols), w (rows, cols), out (n, rows) */
  matmulForward(out: Buf, x: Buf, w: Tensor, n: number): void;
  /** dX += dOut · w;  dX (n, cols), dOut (n, rows), w (rows, cols) */
  matmulBackwardX(dX: Buf, dOut: Buf, w: Tensor, n: number): void;
  /** dW += dOutᵀ · x;  dW (rows, cols), dOut (n, rows), x (n, cols) */
  matmulBackwardW(dW: Tensor, dOut: Buf, x: Buf, n: number): void;
  /** dTable[tokens[i]] += dOut[i];  dOut (n, cols), tokens (n) */
  embeddingBackward(dTable: Tensor, dOut: Buf, tokens: Buf, n: number): void;
  /**
   * dX[i] += r · dOut[i] · weight − x[i] · r³ · mean(dOut[i] · weight · x[i]) with r = 1 / √(mean(x[i]²) + eps);
   * dWeight += Σᵢ dOut[i] · x[i] · r;  dX, dOut, x (n, dim), dWeight, weight (1, dim)
   */
  rmsnormBackward(
    dX: Buf,
    dWeight: Tensor,
    dOut: Buf,
    x: Buf,
    weight: Tensor,
    n: number,
    dim: number,
    eps: number,
  ): void;
  /** Rotates back what `rope` rotated: the gradient of its result becomes that of its input, in place;  dX (n, heads, headDim) */
  ropeBackward(dX: Buf, positions: Buf, table: Buf, n: number, heads: number, headDim: number): void;
  /**
   * Causal attention inside each of B sequences of T tokens, without a cache: s[t][h][j] = q[t][h] · k[j][g] / √headDim
   * for j ≤ t, kv head g = ⌊h · kvHeads / heads⌋; out[t][h] = Σⱼ softmaxⱼ(s) v[j][g]; lse[t][h] = log Σⱼ exp(s);
   * q, out (B, T, heads, headDim), k, v (B, T, kvHeads, headDim), lse (B, T, heads)
   */
  attentionForward(
    out: Buf,
    lse: Buf,
    q: Buf,
    k: Buf,
    v: Buf,
    B: number,
    T: number,
    heads: number,
    kvHeads: number,
    headDim: number,
  ): void;
  /**
   * With p = exp(s − lse) and ds = p · (dOut · v[j] − dOut · out) / √headDim: dV[j] += Σₜ p · dOut[t],
   * dQ[t] += Σⱼ ds · k[j], dK[j] += Σₜ ds · q[t], over the tokens t ≥ j and, for dK and dV, all heads of a group.
   */
  attentionBackward(
    dQ: Buf,
    dK: Buf,
    dV: Buf,
    dOut: Buf,
    out: Buf,
    lse: Buf,
    q: Buf,
    k: Buf,
    v: Buf,
    B: number,
    T: number,
    heads: number,
    kvHeads: number,
    headDim: number,
  ): void;
  /** dUp += dOut · gate · s; dGate += dOut · up · s · (1 + gate · (1 − s)) with s = σ(gate);  all (count) */
  swigluBackward(dGate: Buf, dUp: Buf, dOut: Buf, gate: Buf, up: Buf, count: number): void;
  /**
   * loss[i] = log Σⱼ exp(logits[i][j]) − logits[i][targets[i]], as `crossEntropy`, and logits become
   * coef[i] · (softmax(logits[i]) − [j = targets[i]]), their own gradient of Σᵢ coef[i] · loss[i];  logits (n, vocab),
   * targets, coef, loss (n)
   */
  crossEntropyBackward(loss: Buf, logits: Buf, targets: Buf, coef: Buf, n: number, vocab: number): void;

  /** out[0] = Σ x²;  x (count) */
  sumSquares(out: Buf, x: Buf, count: number): void;
  /**
   * Step number `step` (1, 2, …) of AdamW (Loshchilov and Hutter 2019), with g = scale · gradient:
   * m ← β1 · m + (1 − β1) · g; v ← β2 · v + (1 − β2) · g²;
   * w ← w · (1 − lr · decay) − lr · m / (1 − β1^step) / (√(v / (1 − β2^step)) + eps);  all (count)
   */
  adamw(
    w: Buf,
    m: Buf,
    v: Buf,
    gradient: Buf,
    count: number,
    step: number,
    lr: number,
    beta1: number,
    beta2: number,
    eps: number,
    decay: number,
    scale: number,
  ): void;
}
