// Causal attention over the kv cache, with grouped queries (Ainslie et al. 2023, "GQA") and the running softmax of
// Dao et al. 2022, "FlashAttention". The cache is walked in blocks of 32 positions that start at multiples of 32, and
// inside a block position by position: what a query computes depends on its own position and the cache alone, so any
// split of a prompt into chunks, and any company in the batch, gives the same bits. Two queries that look at the same
// keys (of two tokens, or of two heads in a group) go together through the blocks that both see whole: the same steps
// for each, and every key and value is loaded once for both.

import { F32, dot4, dot4Twice } from './dot';
import { exp1, exp4, largestLane, loadPart, storePart, sumLanes } from './math';

const BLOCK = 32;
const LOWEST: f32 = -3.4e38;

// One instance computes for one thread, so static places are safe.
/** Scores, then probabilities, of one block; for each query of a pair. */
const SCORES_A = memory.data(BLOCK * 4, 16);
const SCORES_B = memory.data(BLOCK * 4, 16);
/** The largest score so far and the sum of exp(score − largest), f32 each; for each query of a pair. */
const STATE_A = memory.data(8, 8);
const STATE_B = memory.data(8, 8);
/** The largest score of the block for each query of a pair. */
const HIGHEST = memory.data(8, 8);

/** scores[j] = scale · q·k[j] for j < count, LOWEST for the others; returns the largest. */
// @ts-ignore: decorator
@inline
function scoreBlock(scores: usize, q: usize, k: usize, count: i32, headDim: i32, scale: f32): f32 {
  const row = <usize>headDim << 2;
  const lowest = f32x4.splat(LOWEST);
  let largest = lowest;
  for (let j = 0; j < BLOCK; j += 4) {
    const left = count - j;
    let s = lowest;
    if (left > 0) {
      const k1 = left > 1 ? k + row : k, k2 = left > 2 ? k1 + row : k, k3 = left > 3 ? k2 + row : k;
      s = f32x4.mul(dot4<F32>(q, k, k1, k2, k3, headDim), f32x4.splat(scale));
      if (left < 4) {
        const valid = i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(left));
        s = v128.bitselect(s, lowest, valid);
      }
      k += row << 2;
    }
    v128.store(scores + (<usize>j << 2), s);
    largest = f32x4.max(largest, s);
  }
  return largestLane(largest);
}

/** scores[j] ← exp(scores[j] − largest), exactly 0 where masked; returns their sum. */
// @ts-ignore: decorator
@inline
function expBlock(scores: usize, largest: f32): f32 {
  let sum = f32x4.splat(0);
  for (let j: usize = 0; j < <usize>BLOCK * 4; j += 16) {
    const p = exp4(f32x4.sub(v128.load(scores + j), f32x4.splat(largest)));
    v128.store(scores + j, p);
    sum = f32x4.add(sum, p);
  }
  return sumLanes(sum);
}

/** out ← out · keep + Σ_{j < count} scores[j] · v[j] */
// @ts-ignore: decorator
@inline
function addValues(scores: usize, out: usize, v: usize, count: i32, headDim: i32, keep: f32): void {
  const row = <usize>headDim << 2;
  const rest = headDim & 3;
  const k = f32x4.splat(keep);
  const whole = row - (<usize>rest << 2);
  let d: usize = 0;
  for (; d + 64 <= whole; d += 64) {
    let a0 = f32x4.mul(v128.load(out + d), k), a1 = f32x4.mul(v128.load(out + d, 16), k);
    let a2 = f32x4.mul(v128.load(out + d, 32), k), a3 = f32x4.mul(v128.load(out + d, 48), k);
    let vj = v + d;
    for (let j = 0; j < count; j++) {
      const p = v128.load32_splat(scores + (<usize>j << 2));
      a0 = f32x4.add(a0, f32x4.mul(p, v128.load(vj)));
      a1 = f32x4.add(a1, f32x4.mul(p, v128.load(vj, 16)));
      a2 = f32x4.add(a2, f32x4.mul(p, v128.load(vj, 32)));
      a3 = f32x4.add(a3, f32x4.mul(p, v128.load(vj, 48)));
      vj += row;
    }
    v128.store(out + d, a0);
    v128.store(out + d, a1, 16);
    v128.store(out + d, a2, 32);
    v128.store(out + d, a3, 48);
  }
  for (; d < whole; d += 16) {
    let a = f32x4.mul(v128.load(out + d), k);
    let vj = v + d;
    for (let j = 0; j < count; j++) {
      a = f32x4.add(a, f32x4.mul(v128.load32_splat(scores + (<usize>j << 2)), v128.load(vj)));
      vj += row;
    }
    v128.store(out + d, a);
  }
  if (rest) {
    let a = f32x4.mul(loadPart(out + d, rest), k);
    let vj = v + d;
    for (let j = 0; j < count; j++) {
      a = f32x4.add(a, f32x4.mul(v128.load32_splat(scores + (<usize>j << 2)), loadPart(vj, rest)));
      vj += row;
    }
    storePart(out + d, a, rest);
  }
}

/** The scores of a whole block for two queries; the largest of each go to HIGHEST. */
function scorePair(qa: usize, qb: usize, k: usize, headDim: i32, scale: f32): void {
  const row = <usize>headDim << 2;
  const s = f32x4.splat(scale);
  let largestA = f32x4.splat(LOWEST), largestB = largestA;
  for (let j: usize = 0; j < <usize>BLOCK * 4; j += 16) {
    const a = f32x4.mul(dot4Twice(qa, qb, k, row, headDim, SCORES_B + j), s);
    const b = f32x4.mul(v128.load(SCORES_B + j), s);
    v128.store(SCORES_A + j, a);
    v128.store(SCORES_B + j, b);
    largestA = f32x4.max(largestA, a);
    largestB = f32x4.max(largestB, b);
    k += row << 2;
  }
  store<f32>(HIGHEST, largestLane(largestA));
  store<f32>(HIGHEST, largestLane(largestB), 4);
}

/** Takes a block's scores into a query's state; returns by how much its values so far shrink. */
// @ts-ignore: decorator
@inline
function advance(state: usize, scores: usize, highestInBlock: f32): f32 {
  const largest = load<f32>(state);
  const highest = max(largest, highestInBlock);
  const keep = exp1(largest - highest);
  store<f32>(state, highest);
  store<f32>(state, load<f32>(state, 4) * keep + expBlock(scores, highest), 4);
  return keep;
}

/** out ← out · keep + Σ p[j] · v[j] over a whole block for two queries */
function addValuesPair(outA: usize, outB: usize, v: usize, headDim: i32, keepA: f32, keepB: f32): void {
  const row = <usize>headDim << 2;
  const ka = f32x4.splat(keepA), kb = f32x4.splat(keepB);
  const rest = headDim & 3;
  const whole = row - (<usize>rest << 2);
  let d: usize = 0;
  for (; d + 32 <= whole; d += 32) {
    let a0 = f32x4.mul(v128.load(outA + d), ka), a1 = f32x4.mul(v128.load(outA + d, 16), ka);
    let b0 = f32x4.mul(v128.load(outB + d), kb), b1 = f32x4.mul(v128.load(outB + d, 16), kb);
    let vj = v + d;
    for (let j: usize = 0; j < <usize>BLOCK * 4; j += 4) {
      const p = v128.load32_splat(SCORES_A + j), q = v128.load32_splat(SCORES_B + j);
      const v0 = v128.load(vj), v1 = v128.load(vj, 16);
      a0 = f32x4.add(a0, f32x4.mul(p, v0)); b0 = f32x4.add(b0, f32x4.mul(q, v0));
      a1 = f32x4.add(a1, f32x4.mul(p, v1)); b1 = f32x4.add(b1, f32x4.mul(q, v1));
      vj += row;
    }
    v128.store(outA + d, a0); v128.store(outA + d, a1, 16);
    v128.store(outB + d, b0); v128.store(outB + d, b1, 16);
  }
  for (; d < row; d += 16) {
    const count = min<i32>(4, <i32>(row - d) >> 2);
    let a = f32x4.mul(loadUpTo4(outA + d, count), ka), b = f32x4.mul(loadUpTo4(outB + d, count), kb);
    let vj = v + d;
    for (let j: usize = 0; j < <usize>BLOCK * 4; j += 4) {
      const value = loadUpTo4(vj, count);
      a = f32x4.add(a, f32x4.mul(v128.load32_splat(SCORES_A + j), value));
      b = f32x4.add(b, f32x4.mul(v128.load32_splat(SCORES_B + j), value));
      vj += row;
    }
    storeUpTo4(outA + d, a, count);
    storeUpTo4(outB + d, b, count);
  }
}

// @ts-ignore: decorator
@inline
function loadUpTo4(p: usize, count: i32): v128 {
  return count == 4 ? v128.load(p) : loadPart(p, count);
}

// @ts-ignore: decorator
@inline
function storeUpTo4(p: usize, v: v128, count: i32): void {
  if (count == 4) v128.store(p, v);
  else storePart(p, v, count);
}

// @ts-ignore: decorator
@inline
function begin(state: usize, out: usize, headDim: i32): void {
  store<f32>(state, LOWEST);
  store<f32>(state, 0, 4);
  memory.fill(out, 0, <usize>headDim << 2);
}

/** The blocks from position `from` on for one query, and the division by the sum. */
function finish(
  state: usize, scores: usize, out: usize, q: usize, k: usize, v: usize, from: i32, length: i32, headDim: i32, scale: f32,
): void {
  const row = <usize>headDim << 2;
  for (let j = from; j < length; j += BLOCK) {
    const count = min(BLOCK, length - j);
    const block = <usize>j * row;
    const keep = advance(state, scores, scoreBlock(scores, q, k + block, count, headDim, scale));
    addValues(scores, out, v + block, count, headDim, keep);
  }
  const inverse = f32x4.splat(<f32>1 / load<f32>(state, 4));
  const rest = headDim & 3;
  const end = out + row - (<usize>rest << 2);
  for (; out < end; out += 16) v128.store(out, f32x4.mul(v128.load(out), inverse));
  if (rest) storePart(out, f32x4.mul(loadPart(out, rest), inverse), rest);
}

function pair(
  outA: usize, outB: usize, qa: usize, qb: usize, k: usize, v: usize, lengthA: i32, lengthB: i32, headDim: i32, scale: f32,
): void {
  begin(STATE_A, outA, headDim);
  begin(STATE_B, outB, headDim);
  const common = min(lengthA, lengthB) & -BLOCK;
  for (let j = 0; j < common; j += BLOCK) {
    const block = <usize>j * (<usize>headDim << 2);
    scorePair(qa, qb, k + block, headDim, scale);
    const keepA = advance(STATE_A, SCORES_A, load<f32>(HIGHEST));
    const keepB = advance(STATE_B, SCORES_B, load<f32>(HIGHEST, 4));
    addValuesPair(outA, outB, v + block, headDim, keepA, keepB);
  }
  finish(STATE_A, SCORES_A, outA, qa, k, v, common, lengthA, headDim, scale);
  finish(STATE_B, SCORES_B, outB, qb, k, v, common, lengthB, headDim, scale);
}

/**
 * q, out (n, heads, headDim); slots, positions (n); kCache, vCache (slots, kvHeads, capacity, headDim). Head h looks at
 * kv head ⌊(before + h) / group⌋.
 */
export function attention(
  out: usize, q: usize, kCache: usize, vCache: usize, slots: usize, positions: usize,
  n: i32, heads: i32, kvHeads: i32, group: i32, before: i32, headDim: i32, capacity: i32,
): void {
  assert((before + heads - 1) / group < kvHeads, 'attention: a head beyond the kv heads');
  const row = <usize>headDim << 2;
  const tokenBytes = <usize>heads * row;
  const scale: f32 = <f32>1 / sqrt<f32>(<f32>headDim);
  for (let t = 0; t < n; t++) {
    const slot = load<u32>(slots), length = load<i32>(positions) + 1;
    assert(length <= capacity, 'attention: position beyond the cache');
    const twoTokens = t + 1 < n && load<u32>(slots, 4) == slot;
    const nextLength = twoTokens ? load<i32>(positions, 4) + 1 : 0;
    assert(nextLength <= capacity, 'attention: position beyond the cache');
    for (let h = 0; h < heads; h++) {
      const kvHead = (before + h) / group;
      const first = (<usize>slot * kvHeads + kvHead) * <usize>capacity * row;
      const k = kCache + first, v = vCache + first;
      const qh = q + <usize>h * row, oh = out + <usize>h * row;
      if (twoTokens) {
        pair(oh, oh + tokenBytes, qh, qh + tokenBytes, k, v, length, nextLength, headDim, scale);
      } else if (h + 1 < heads && (before + h + 1) / group == kvHead) {
        pair(oh, oh + row, qh, qh + row, k, v, length, length, headDim, scale);
        h++;
      } else {
        begin(STATE_A, oh, headDim);
        finish(STATE_A, SCORES_A, oh, qh, k, v, 0, length, headDim, scale);
      }
    }
    const tokens: usize = twoTokens ? 2 : 1;
    if (twoTokens) t++;
    q += tokens * tokenBytes;
    out += tokens * tokenBytes;
    slots += tokens << 2;
    positions += tokens << 2;
  }
}
