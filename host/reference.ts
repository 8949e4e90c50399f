import type { Backend, Buf, Cache, Tensor } from './backend.ts';
import { BLOCK } from './dtype.ts';
import { cacheRows, decodeRows, roundActivations } from './reference-formats.ts';
import { ReferenceMemory } from './reference-memory.ts';

export interface ReferenceOptions {
  /** Round the activations that meet quantised weights, as the WASM kernels do. Default false. */
  roundActivations?: boolean;
  /** Round them as the CUDA kernels do: to 8 bits, where there are few tokens. Default false. */
  roundAsGpu?: boolean;
}

/** host/cuda.ts: quantised weights meet integers, for at most so many tokens. */
const GPU_FEW = 8;

/**
 * The executable specification: every op as the shortest loops that can be right, in f64. Slow on purpose, free to
 * use `Math`, compared with the fast backends by tolerance.
 */
export class Reference extends ReferenceMemory implements Backend {
  readonly name = 'reference';
  readonly #round: boolean;
  readonly #asGpu: boolean;

  constructor(options: ReferenceOptions = {}) {
    super();
    this.#round = options.roundActivations ?? false;
    this.#asGpu = options.roundAsGpu ?? false;
  }

  embedding(out: Buf, tokens: Buf, table: Tensor, n: number): void {
    const o = this.floats(out);
    const ids = this.ints(tokens);
    const w = this.weights(table);
    for (let t = 0; t < n; t++) {
      for (let i = 0; i < table.cols; i++) o[t * table.cols + i] = w[ids[t]! * table.cols + i]!;
    }
  }

  rmsnorm(out: Buf, x: Buf, weight: Tensor, n: number, dim: number, eps: number): void {
    const o = this.floats(out);
    const v = this.floats(x);
    const w = this.weights(weight);
    for (let t = 0; t < n; t++) {
      let sum = 0;
      for (let i = 0; i < dim; i++) sum += v[t * dim + i]! ** 2;
      const scale = 1 / Math.sqrt(sum / dim + eps);
      for (let i = 0; i < dim; i++) o[t * dim + i] = v[t * dim + i]! * scale * w[i]!;
    }
  }

  matmul(out: Buf, x: Buf, w: Tensor, n: number): void {
    const { rows, cols } = w;
    const o = this.floats(out);
    let v = this.floats(x);
    if (this.#round) v = roundActivations(v, n * cols, w.dtype);
    // Q4_0 is a format that meets 8 bits
    if (this.#asGpu && n <= GPU_FEW && BLOCK[w.dtype].values > 1) v = roundActivations(v, n * cols, 'q4_0');
    const weights = this.weights(w);
    for (let t = 0; t < n; t++) {
      for (let r = 0; r < rows; r++) {
        let sum = 0;
        for (let i = 0; i < cols; i++) sum += v[t * cols + i]! * weights[r * cols + i]!;
        o[t * rows + r] = sum;
      }
    }
  }

  ropeTable(
    table: Buf,
    factors: Tensor | undefined,
    first: number,
    count: number,
    headDim: number,
    base: number,
    scale: number,
  ): void {
    const o = this.floats(table);
    const divisors = factors && this.weights(factors);
    for (let p = first; p < first + count; p++) {
      for (let i = 0; i < headDim / 2; i++) {
        const angle = ((p / scale) * base ** ((-2 * i) / headDim)) / (divisors?.[i] ?? 1);
        o[p * headDim + 2 * i] = Math.cos(angle);
        o[p * headDim + 2 * i + 1] = Math.sin(angle);
      }
    }
  }

  rope(x: Buf, positions: Buf, table: Buf, n: number, heads: number, headDim: number): void {
    const v = this.floats(x);
    const at = this.ints(positions);
    const angles = this.floats(table);
    for (let row = 0; row < n * heads; row++) {
      const p = at[Math.floor(row / heads)]!;
      for (let i = 0; i < headDim; i += 2) {
        const cos = angles[p * headDim + i]!;
        const sin = angles[p * headDim + i + 1]!;
        const a = v[row * headDim + i]!;
        const b = v[row * headDim + i + 1]!;
        v[row * headDim + i] = a * cos - b * sin;
        v[row * headDim + i + 1] = a * sin + b * cos;
      }
    }
  }

  append(cache: Cache, x: Buf, slots: Buf, positions: Buf, n: number): void {
    const { dtype, kvHeads, headDim } = cache;
    const v = this.floats(x);
    for (let t = 0; t < n; t++) {
      for (let h = 0; h < kvHeads; h++) {
        const at = (t * kvHeads + h) * headDim;
        const rows = cacheRows(v.subarray(at, at + headDim), dtype);
        this.writeCache(cache, this.ints(slots)[t]!, h, this.ints(positions)[t]!, rows);
      }
    }
  }

  attention(
    out: Buf,
    q: Buf,
    keys: Cache,
    values: Cache,
    slots: Buf,
    positions: Buf,
    n: number,
    heads: number,
    group: number,
    before: number,
  ): void {
    const { dtype, headDim } = keys;
    const o = this.floats(out);
    const query = this.floats(q);
    for (let t = 0; t < n; t++) {
      const length = this.ints(positions)[t]! + 1;
      for (let h = 0; h < heads; h++) {
        const at = (t * heads + h) * headDim;
        const kvHead = Math.floor((before + h) / group);
        const rowsOf = (cache: Cache) =>
          decodeRows(this.rows(cache, this.ints(slots)[t]!, kvHead, 0, length), dtype, length * headDim);
        const k = rowsOf(keys);
        const v = rowsOf(values);
        const scores = Array.from({ length }, (_, j) => {
          let sum = 0;
          for (let i = 0; i < headDim; i++) sum += query[at + i]! * k[j * headDim + i]!;
          return sum / Math.sqrt(headDim);
        });
        const p = softmax(scores);
        for (let i = 0; i < headDim; i++) {
          let sum = 0;
          for (let j = 0; j < length; j++) sum += p[j]! * v[j * headDim + i]!;
          o[at + i] = sum;
        }
      }
    }
  }

  gather(): void {}

  swiglu(out: Buf, gate: Buf, up: Buf, count: number): void {
    const o = this.floats(out);
    const g = this.floats(gate);
    const u = this.floats(up);
    for (let i = 0; i < count; i++) o[i] = (g[i]! / (1 + Math.exp(-g[i]!))) * u[i]!;
  }

  add(out: Buf, a: Buf, b: Buf, count: number): void {
    const o = this.floats(out);
    for (let i = 0; i < count; i++) o[i] = this.floats(a)[i]! + this.floats(b)[i]!;
  }

  takeRows(out: Buf, x: Buf, rows: Buf, n: number, dim: number): void {
    for (let i = 0; i < n; i++) {
      const row = this.ints(rows)[i]!;
      this.floats(out).set(this.floats(x).subarray(row * dim, (row + 1) * dim), i * dim);
    }
  }

  crossEntropy(loss: Buf, logits: Buf, targets: Buf, n: number, vocab: number): void {
    for (let i = 0; i < n; i++) {
      const row = this.floats(logits).subarray(i * vocab, (i + 1) * vocab);
      this.floats(loss)[i] = logSumExp(row) - row[this.ints(targets)[i]!]!;
    }
  }

  topLogprobs(ids: Buf, logprobs: Buf, logits: Buf, vocab: number, k: number): void {
    const row = this.floats(logits).subarray(0, vocab);
    const total = logSumExp(row);
    for (const [i, id] of descending(row).slice(0, k).entries()) {
      this.ints(ids)[i] = id;
      this.floats(logprobs)[i] = row[id]! - total;
    }
  }

  addBias(logits: Buf, ids: Buf, values: Buf, n: number): void {
    for (let i = 0; i < n; i++) this.floats(logits)[this.ints(ids)[i]!]! += this.floats(values)[i]!;
  }

  penalize(
    logits: Buf,
    ids: Buf,
    counts: Buf,
    n: number,
    repeat: number,
    frequency: number,
    presence: number,
  ): void {
    const row = this.floats(logits);
    for (let i = 0; i < n; i++) {
      const id = this.ints(ids)[i]!;
      const repeated = row[id]! > 0 ? row[id]! / repeat : row[id]! * repeat;
      row[id] = repeated - frequency * this.ints(counts)[i]! - presence;
    }
  }

  sample(
    id: Buf,
    logits: Buf,
    vocab: number,
    temperature: number,
    topK: number,
    topP: number,
    minP: number,
    u: number,
  ): void {
    const row = this.floats(logits).subarray(0, vocab);
    let candidates = descending(row);
    if (!Number.isFinite(row[candidates[0]!])) candidates = [-1];
    else if (temperature > 0) {
      if (topK > 0) candidates = candidates.slice(0, topK);
      const weights = candidates.map(c => Math.exp((row[c]! - row[candidates[0]!]!) / temperature));
      let kept = weights.findIndex(w => w < minP);
      if (kept < 0) kept = weights.length;
      kept = Math.max(kept, 1);
      if (topP < 1) kept = countReaching(weights, topP * sum(weights.slice(0, kept)), kept);
      const target = u * sum(weights.slice(0, kept));
      let running = 0;
      const drawn = weights.findIndex(w => (running += w) > target);
      candidates = [candidates[Math.min(drawn < 0 ? kept : drawn, kept - 1)]!];
    }
    this.ints(id)[0] = candidates[0]!;
  }
}

function sum(values: number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

/** The fewest of the first `limit` weights whose sum reaches `enough`; at least one. */
function countReaching(weights: number[], enough: number, limit: number): number {
  let count = 1;
  for (let running = weights[0]!; count < limit && running < enough; count++) running += weights[count]!;
  return count;
}

function softmax(scores: number[]): number[] {
  const largest = Math.max(...scores);
  const weights = scores.map(s => Math.exp(s - largest));
  const total = sum(weights);
  return weights.map(w => w / total);
}

function logSumExp(row: Float64Array): number {
  const largest = row.reduce((a, b) => Math.max(a, b));
  return largest + Math.log(row.reduce((total, l) => total + Math.exp(l - largest), 0));
}

/** Indexes by falling value, the lower first among equals. */
function descending(row: Float64Array): number[] {
  return Array.from(row.keys()).sort((a, b) => row[b]! - row[a]! || a - b);
}
