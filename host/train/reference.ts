import type { Buf, Tensor } from '../backend.ts';
import { Reference } from '../reference.ts';
import type { TrainBackend } from './backend.ts';

/** The executable specification of training: the formulas of `TrainBackend` as plain loops in f64. */
export class TrainReference extends Reference implements TrainBackend {
  part(buf: Buf, first: number, count: number): Buf {
    return this.buffers.push(this.floats(buf).subarray(first, first + count)) - 1;
  }

  zero(buf: Buf, count: number): void {
    this.floats(buf).fill(0, 0, count);
  }

  /** The numbers of a buffer themselves: `readF32` rounds them. */
  values(buf: Buf): Float64Array {
    return this.floats(buf);
  }

  matmulForward(out: Buf, x: Buf, w: Tensor, n: number): void {
    this.matmul(out, x, w, n);
  }

  matmulBackwardX(dX: Buf, dOut: Buf, w: Tensor, n: number): void {
    const { rows, cols } = w;
    const [dx, d, weights] = [this.floats(dX), this.floats(dOut), this.floats(w.buf)];
    for (let t = 0; t < n; t++) {
      for (let r = 0; r < rows; r++) {
        for (let i = 0; i < cols; i++) dx[t * cols + i]! += d[t * rows + r]! * weights[r * cols + i]!;
      }
    }
  }

  matmulBackwardW(dW: Tensor, dOut: Buf, x: Buf, n: number): void {
    const { rows, cols } = dW;
    const [dw, d, v] = [this.floats(dW.buf), this.floats(dOut), this.floats(x)];
    for (let t = 0; t < n; t++) {
      for (let r = 0; r < rows; r++) {
        for (let i = 0; i < cols; i++) dw[r * cols + i]! += d[t * rows + r]! * v[t * cols + i]!;
      }
    }
  }

  embeddingBackward(dTable: Tensor, dOut: Buf, tokens: Buf, n: number): void {
    const { cols } = dTable;
    const [dt, d, ids] = [this.floats(dTable.buf), this.floats(dOut), this.ints(tokens)];
    for (let t = 0; t < n; t++) {
      for (let i = 0; i < cols; i++) dt[ids[t]! * cols + i]! += d[t * cols + i]!;
    }
  }

  rmsnormBackward(
    dX: Buf,
    dWeight: Tensor,
    dOut: Buf,
    x: Buf,
    weight: Tensor,
    n: number,
    dim: number,
    eps: number,
  ): void {
    const [dx, dw, d] = [this.floats(dX), this.floats(dWeight.buf), this.floats(dOut)];
    const [v, w] = [this.floats(x), this.floats(weight.buf)];
    for (let t = 0; t < n; t++) {
      let squares = 0;
      let products = 0;
      for (let i = t * dim; i < (t + 1) * dim; i++) {
        squares += v[i]! ** 2;
        products += d[i]! * w[i - t * dim]! * v[i]!;
      }
      const r = 1 / Math.sqrt(squares / dim + eps);
      for (let i = t * dim; i < (t + 1) * dim; i++) {
        dx[i]! += r * d[i]! * w[i - t * dim]! - v[i]! * r ** 3 * (products / dim);
        dw[i - t * dim]! += d[i]! * v[i]! * r;
      }
    }
  }

  ropeBackward(dX: Buf, positions: Buf, table: Buf, n: number, heads: number, headDim: number): void {
    const [d, at, angles] = [this.floats(dX), this.ints(positions), this.floats(table)];
    for (let row = 0; row < n * heads; row++) {
      const p = at[Math.floor(row / heads)]!;
      for (let i = 0; i < headDim; i += 2) {
        const cos = angles[p * headDim + i]!;
        const sin = angles[p * headDim + i + 1]!;
        const a = d[row * headDim + i]!;
        const b = d[row * headDim + i + 1]!;
        d[row * headDim + i] = a * cos + b * sin;
        d[row * headDim + i + 1] = b * cos - a * sin;
      }
    }
  }

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
  ): void {
    const [o, l, query] = [this.floats(out), this.floats(lse), this.floats(q)];
    const [key, value] = [this.floats(k), this.floats(v)];
    for (const { row, at, first } of rows(B, T, heads, kvHeads, headDim)) {
      const scores = first.map(j => dot(query, at, key, j, headDim) / Math.sqrt(headDim));
      const largest = Math.max(...scores);
      const sum = scores.reduce((total, s) => total + Math.exp(s - largest), 0);
      l[row] = largest + Math.log(sum);
      for (let i = 0; i < headDim; i++) {
        o[at + i] = scores.reduce((total, s, j) => total + Math.exp(s - l[row]!) * value[first[j]! + i]!, 0);
      }
    }
  }

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
  ): void {
    const [dq, dk, dv, d] = [this.floats(dQ), this.floats(dK), this.floats(dV), this.floats(dOut)];
    const [o, l, query] = [this.floats(out), this.floats(lse), this.floats(q)];
    const [key, value] = [this.floats(k), this.floats(v)];
    for (const { row, at, first } of rows(B, T, heads, kvHeads, headDim)) {
      const mean = dot(d, at, o, at, headDim);
      for (const j of first) {
        const p = Math.exp(dot(query, at, key, j, headDim) / Math.sqrt(headDim) - l[row]!);
        const ds = (p * (dot(d, at, value, j, headDim) - mean)) / Math.sqrt(headDim);
        for (let i = 0; i < headDim; i++) {
          dv[j + i]! += p * d[at + i]!;
          dq[at + i]! += ds * key[j + i]!;
          dk[j + i]! += ds * query[at + i]!;
        }
      }
    }
  }

  swigluBackward(dGate: Buf, dUp: Buf, dOut: Buf, gate: Buf, up: Buf, count: number): void {
    const [dg, du, d] = [this.floats(dGate), this.floats(dUp), this.floats(dOut)];
    const [g, u] = [this.floats(gate), this.floats(up)];
    for (let i = 0; i < count; i++) {
      const s = 1 / (1 + Math.exp(-g[i]!));
      du[i]! += d[i]! * g[i]! * s;
      dg[i]! += d[i]! * u[i]! * s * (1 + g[i]! * (1 - s));
    }
  }

  crossEntropyBackward(loss: Buf, logits: Buf, targets: Buf, coef: Buf, n: number, vocab: number): void {
    this.crossEntropy(loss, logits, targets, n, vocab);
    const [l, row, c] = [this.floats(loss), this.floats(logits), this.floats(coef)];
    for (let t = 0; t < n; t++) {
      const target = t * vocab + this.ints(targets)[t]!;
      // loss = log Σ exp − logit of the target
      const total = l[t]! + row[target]!;
      for (let i = t * vocab; i < (t + 1) * vocab; i++) {
        row[i] = c[t]! * (Math.exp(row[i]! - total) - (i === target ? 1 : 0));
      }
    }
  }

  sumSquares(out: Buf, x: Buf, count: number): void {
    this.floats(out)[0] = this.floats(x)
      .subarray(0, count)
      .reduce((sum, value) => sum + value ** 2, 0);
  }

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
  ): void {
    const [weight, mean, square] = [this.floats(w), this.floats(m), this.floats(v)];
    for (let i = 0; i < count; i++) {
      const g = scale * this.floats(gradient)[i]!;
      mean[i] = beta1 * mean[i]! + (1 - beta1) * g;
      square[i] = beta2 * square[i]! + (1 - beta2) * g ** 2;
      const root = Math.sqrt(square[i]! / (1 - beta2 ** step));
      const by = mean[i]! / (1 - beta1 ** step) / (root + eps);
      weight[i] = weight[i]! * (1 - lr * decay) - lr * by;
    }
  }
}

/** Every head of every token: the number of its row, where that begins, and where the keys begin that it sees. */
function* rows(
  B: number,
  T: number,
  heads: number,
  kvHeads: number,
  headDim: number,
): Generator<{ row: number; at: number; first: number[] }> {
  for (let row = 0; row < B * T * heads; row++) {
    const token = Math.floor(row / heads);
    const sequence = token - (token % T);
    const kvHead = Math.floor(((row % heads) * kvHeads) / heads);
    const first = Array.from({ length: (token % T) + 1 }, (_, j) => {
      return ((sequence + j) * kvHeads + kvHead) * headDim;
    });
    yield { row, at: row * headDim, first };
  }
}

function dot(a: Float64Array, i: number, b: Float64Array, j: number, count: number): number {
  let sum = 0;
  for (let d = 0; d < count; d++) sum += a[i + d]! * b[j + d]!;
  return sum;
}
