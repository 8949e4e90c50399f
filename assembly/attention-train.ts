// Causal attention over whole sequences, with grouped queries, and its backward. A head's queries go in blocks of
// QUERIES against all the keys that the block sees: scores, probabilities and their gradients are then products of
// matrices. Forward keeps one log-sum-exp a query, from which backward computes the probabilities again (Dao et al.
// 2022, "FlashAttention", appendix B).

import { gemm, gemmBytes } from './gemm';
import { exp4, largestLane, loadPart, storePart, sumLanes } from './math';

const QUERIES = 32;

/** 1 / Σ of each query of a block. */
const INVERSES = memory.data(QUERIES * 4, 16);

/** Bytes of work memory: two blocks of scores, (QUERIES, T) each, and what their products need. */
export function attentionBytes(T: i32, headDim: i32): usize {
  const m = min(QUERIES, T);
  const products = max(gemmBytes(m, T, headDim), max(gemmBytes(m, headDim, T), gemmBytes(T, headDim, m)));
  return 2 * blockBytes(T) + products;
}

// @ts-ignore: decorator
@inline
function blockBytes(T: i32): usize {
  return (<usize>min(QUERIES, T) * T) << 2;
}

/** s[from … to − 1] = 0, at most QUERIES numbers: for so few a loop is faster than memory.fill. */
function maskFrom(s: usize, from: i32, to: i32): void {
  let p = s + (<usize>from << 2);
  let left = to - from;
  for (; left >= 4; left -= 4) {
    v128.store(p, f32x4.splat(0));
    p += 16;
  }
  if (left) storePart(p, f32x4.splat(0), left);
}

/** s[j] ← exp(scale · s[j] − m) for j < length, with m the largest scale · s[j];  lse = m + log Σ; returns 1 / Σ. */
function softmaxRow(s: usize, lse: usize, length: i32, scale: f32): f32 {
  const rest = length & 3;
  const end = s + (<usize>(length - rest) << 2);
  const by = f32x4.splat(scale);
  const lowest = f32x4.splat(-Infinity);
  let m4 = lowest;
  for (let p = s; p < end; p += 16) m4 = f32x4.pmax(m4, v128.load(p));
  const valid = i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(rest));
  if (rest) m4 = f32x4.pmax(m4, v128.bitselect(loadPart(end, rest), lowest, valid));
  const m = largestLane(m4) * scale;
  m4 = f32x4.splat(m);
  let sum = f32x4.splat(0);
  for (let p = s; p < end; p += 16) {
    const e = exp4(f32x4.sub(f32x4.mul(v128.load(p), by), m4));
    v128.store(p, e);
    sum = f32x4.add(sum, e);
  }
  if (rest) {
    const e = v128.and(exp4(f32x4.sub(f32x4.mul(loadPart(end, rest), by), m4)), valid);
    storePart(end, e, rest);
    sum = f32x4.add(sum, e);
  }
  const total = sumLanes(sum);
  store<f32>(lse, <f32>(<f64>m + NativeMath.log(<f64>total)));
  return <f32>1 / total;
}

/** s ← p = exp(scale · s − lse) and ds ← scale · p · (ds − d), for `length` keys of a query */
function scoresBackward(s: usize, ds: usize, length: i32, scale: f32, lse: f32, d: f32): void {
  const by = f32x4.splat(scale), total = f32x4.splat(lse), mean = f32x4.splat(d);
  const rest = length & 3;
  const end = s + (<usize>(length - rest) << 2);
  for (; s < end; s += 16) {
    const p = exp4(f32x4.sub(f32x4.mul(v128.load(s), by), total));
    v128.store(s, p);
    v128.store(ds, f32x4.mul(f32x4.mul(p, f32x4.sub(v128.load(ds), mean)), by));
    ds += 16;
  }
  if (rest) {
    const p = exp4(f32x4.sub(f32x4.mul(loadPart(s, rest), by), total));
    storePart(s, p, rest);
    storePart(ds, f32x4.mul(f32x4.mul(p, f32x4.sub(loadPart(ds, rest), mean)), by), rest);
  }
}

/** x ← x · by;  x (count) */
function scaleRow(x: usize, count: i32, by: f32): void {
  const b = f32x4.splat(by);
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    v128.store(x, f32x4.mul(v128.load(x), b));
    x += 16;
  }
  const rest = count - i;
  if (rest) storePart(x, f32x4.mul(loadPart(x, rest), b), rest);
}

function dot(a: usize, b: usize, count: i32): f32 {
  let sum = f32x4.splat(0);
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    sum = f32x4.add(sum, f32x4.mul(v128.load(a), v128.load(b)));
    a += 16; b += 16;
  }
  const rest = count - i;
  if (rest) sum = f32x4.add(sum, f32x4.mul(loadPart(a, rest), loadPart(b, rest)));
  return sumLanes(sum);
}

/**
 * out[t][h] = Σⱼ softmaxⱼ(q[t][h] · k[j] / √headDim) v[j] over the positions j ≤ t of the sequence, kv head ⌊h / group⌋;
 * lse[t][h] = log Σⱼ exp(q[t][h] · k[j] / √headDim).  q, out (B, T, heads, headDim), k, v (B, T, kvHeads, headDim),
 * lse (B, T, heads), work (attentionBytes(T, headDim))
 */
export function attentionForward(
  out: usize, lse: usize, q: usize, k: usize, v: usize, work: usize,
  B: i32, T: i32, heads: i32, kvHeads: i32, headDim: i32,
): void {
  assert(heads % kvHeads == 0, 'attentionForward: heads must be a multiple of kvHeads');
  const row = <usize>T << 2, qRow = <usize>heads * headDim << 2, kRow = <usize>kvHeads * headDim << 2;
  const scale: f32 = <f32>1 / sqrt<f32>(<f32>headDim);
  const group = heads / kvHeads;
  const packed = work + blockBytes(T);
  for (let b = 0; b < B; b++) {
    for (let h = 0; h < heads; h++) {
      const kHead = k + (<usize>(h / group * headDim) << 2), vHead = v + (<usize>(h / group * headDim) << 2);
      for (let i = 0; i < T; i += QUERIES) {
        const m = min(QUERIES, T - i), keys = i + m;
        const at = <usize>i * qRow + (<usize>(h * headDim) << 2);
        gemm(work, q + at, kHead, packed, m, keys, headDim, row, qRow, kRow, false, true, false);
        let s = work, l = lse + (<usize>(i * heads + h) << 2);
        for (let r = 0; r < m; r++) {
          store<f32>(INVERSES + (<usize>r << 2), softmaxRow(s, l, i + r + 1, scale));
          maskFrom(s, i + r + 1, keys);
          s += row;
          l += <usize>heads << 2;
        }
        gemm(out + at, work, vHead, packed, m, headDim, keys, qRow, row, kRow, false, false, false);
        for (let r = 0; r < m; r++) {
          scaleRow(out + at + <usize>r * qRow, headDim, load<f32>(INVERSES + (<usize>r << 2)));
        }
      }
    }
    q += <usize>T * qRow; out += <usize>T * qRow;
    k += <usize>T * kRow; v += <usize>T * kRow;
    lse += <usize>(T * heads) << 2;
  }
}

/**
 * The gradients of `attentionForward`: dQ, dK, dV += …, from dOut and what forward took and gave. The heads of a group
 * add to their kv head in ascending order.
 */
export function attentionBackward(
  dQ: usize, dK: usize, dV: usize, dOut: usize, out: usize, lse: usize, q: usize, k: usize, v: usize, work: usize,
  B: i32, T: i32, heads: i32, kvHeads: i32, headDim: i32,
): void {
  assert(heads % kvHeads == 0, 'attentionBackward: heads must be a multiple of kvHeads');
  const row = <usize>T << 2, qRow = <usize>heads * headDim << 2, kRow = <usize>kvHeads * headDim << 2;
  const scale: f32 = <f32>1 / sqrt<f32>(<f32>headDim);
  const group = heads / kvHeads;
  const dScores = work + blockBytes(T), packed = dScores + blockBytes(T);
  for (let b = 0; b < B; b++) {
    for (let h = 0; h < heads; h++) {
      const kv = <usize>(h / group * headDim) << 2;
      for (let i = 0; i < T; i += QUERIES) {
        const m = min(QUERIES, T - i), keys = i + m;
        const at = <usize>i * qRow + (<usize>(h * headDim) << 2);
        gemm(work, q + at, k + kv, packed, m, keys, headDim, row, qRow, kRow, false, true, false);
        gemm(dScores, dOut + at, v + kv, packed, m, keys, headDim, row, qRow, kRow, false, true, false);
        let s = work, ds = dScores, l = lse + (<usize>(i * heads + h) << 2), o = at;
        for (let r = 0; r < m; r++) {
          scoresBackward(s, ds, i + r + 1, scale, load<f32>(l), dot(dOut + o, out + o, headDim));
          maskFrom(s, i + r + 1, keys);
          maskFrom(ds, i + r + 1, keys);
          s += row; ds += row;
          l += <usize>heads << 2;
          o += qRow;
        }
        gemm(dV + kv, work, dOut + at, packed, keys, headDim, m, kRow, row, qRow, true, false, true);
        gemm(dQ + at, dScores, k + kv, packed, m, headDim, keys, qRow, row, kRow, false, false, true);
        gemm(dK + kv, dScores, q + at, packed, keys, headDim, m, kRow, row, qRow, true, false, true);
      }
    }
    const qBytes = <usize>T * qRow, kBytes = <usize>T * kRow;
    q += qBytes; out += qBytes; dQ += qBytes; dOut += qBytes;
    k += kBytes; v += kBytes; dK += kBytes; dV += kBytes;
    lse += <usize>(T * heads) << 2;
  }
}
