// What attention does with a block of 32 positions, whose keys and values are f32 rows. A query's scores, sums and values
// are computed by the same steps in the same order alone and beside another query: two queries go together only so
// that every key and value is loaded once for both.

import { addValues, addValuesTwo } from './attention-values';
import { exp1, exp4, largestLane, loadPart, storePart, sumLanes, sumLanes4 } from './math';

export const BLOCK = 32;
const LOWEST: f32 = -3.4e38;

// One instance computes for one thread, so static places are safe.
/** Scores, then probabilities, of a block; for each query of a pair. */
const SCORES_A = memory.data(BLOCK * 4, 16);
const SCORES_B = memory.data(BLOCK * 4, 16);
/** The largest score of a block for each query of a pair. */
const HIGHEST = memory.data(8, 8);
/** A second vector of dot products. */
const SECOND = memory.data(16, 16);

/** Bytes of what is kept of a query between blocks: the largest score so far and the sum of exp(score − largest), f32. */
export const STATE: usize = 8;

export function begin(state: usize, out: usize, headDim: i32): void {
  store<f32>(state, LOWEST);
  store<f32>(state, 0, 4);
  memory.fill(out, 0, <usize>headDim << 2);
}

/** Takes the first `count` positions of a block into one query. Rows of k and v begin `stride` bytes apart. */
export function one(
  state: usize, out: usize, q: usize, k: usize, v: usize, stride: usize, count: i32, headDim: i32, scale: f32,
): void {
  const keep = advance(state, SCORES_A, scoreOne(q, k, stride, count, headDim, scale));
  addValues(SCORES_A, out, v, stride, 0, count, headDim, keep);
}

/** The same for two queries, each with a `count` of its own. */
export function two(
  stateA: usize, stateB: usize, outA: usize, outB: usize, qa: usize, qb: usize, k: usize, v: usize, stride: usize,
  countA: i32, countB: i32, headDim: i32, scale: f32,
): void {
  scoreTwo(qa, qb, k, stride, countA, countB, headDim, scale);
  const keepA = advance(stateA, SCORES_A, load<f32>(HIGHEST));
  const keepB = advance(stateB, SCORES_B, load<f32>(HIGHEST, 4));
  const common = min(countA, countB);
  addValuesTwo(SCORES_A, SCORES_B - SCORES_A, outA, outB, v, stride, common, headDim, keepA, keepB);
  if (countA > common) addValues(SCORES_A, outA, v, stride, common, countA, headDim, 1);
  if (countB > common) addValues(SCORES_B, outB, v, stride, common, countB, headDim, 1);
}

/** out ← out / Σ exp(score − largest) */
export function divide(state: usize, out: usize, headDim: i32): void {
  const inverse = f32x4.splat(<f32>1 / load<f32>(state, 4));
  const rest = headDim & 3;
  const end = out + (<usize>(headDim - rest) << 2);
  for (; out < end; out += 16) v128.store(out, f32x4.mul(v128.load(out), inverse));
  if (rest) storePart(out, f32x4.mul(loadPart(out, rest), inverse), rest);
}

/** Takes a block's scores into a query's state and makes them exp(score − largest); returns what its values shrink by. */
function advance(state: usize, scores: usize, highestInBlock: f32): f32 {
  const largest = load<f32>(state);
  const highest = max(largest, highestInBlock);
  const keep = exp1(largest - highest);
  let sum = f32x4.splat(0);
  // exactly 0 where masked
  for (let j: usize = 0; j < <usize>BLOCK * 4; j += 16) {
    const p = exp4(f32x4.sub(v128.load(scores + j), f32x4.splat(highest)));
    v128.store(scores + j, p);
    sum = f32x4.add(sum, p);
  }
  store<f32>(state, highest);
  store<f32>(state, load<f32>(state, 4) * keep + sumLanes(sum), 4);
  return keep;
}

/** Lanes from `valid` on are LOWEST. */
// @ts-ignore: decorator
@inline
function mask(scores: v128, valid: i32): v128 {
  if (valid >= 4) return scores;
  return v128.bitselect(scores, f32x4.splat(LOWEST), i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(valid)));
}

/** SCORES_A[j] = scale · q·k[j] for j < count, LOWEST for the others; returns the largest. */
function scoreOne(q: usize, k: usize, stride: usize, count: i32, headDim: i32, scale: f32): f32 {
  const s = f32x4.splat(scale);
  // rows beyond the last are not read
  const last = k + <usize>(count - 1) * stride;
  let largest = f32x4.splat(LOWEST);
  for (let j = 0; j < BLOCK; j += 8) {
    let a = f32x4.splat(LOWEST), b = a;
    if (j < count) {
      a = mask(f32x4.mul(dotOne(q, k, stride, last, headDim), s), count - j);
      b = mask(f32x4.mul(v128.load(SECOND), s), count - j - 4);
      k += stride << 3;
    }
    v128.store(SCORES_A + (<usize>j << 2), a);
    v128.store(SCORES_A + (<usize>j << 2), b, 16);
    largest = f32x4.pmax(f32x4.pmax(largest, a), b);
  }
  return largestLane(largest);
}

/** The same for two queries; the largest scores go to HIGHEST. */
function scoreTwo(
  qa: usize, qb: usize, k: usize, stride: usize, countA: i32, countB: i32, headDim: i32, scale: f32,
): void {
  const s = f32x4.splat(scale);
  const count = max(countA, countB);
  const last = k + <usize>(count - 1) * stride;
  let largestA = f32x4.splat(LOWEST), largestB = largestA;
  for (let j = 0; j < BLOCK; j += 4) {
    let a = f32x4.splat(LOWEST), b = a;
    if (j < count) {
      a = mask(f32x4.mul(dotTwo(qa, qb, k, stride, last, headDim), s), countA - j);
      b = mask(f32x4.mul(v128.load(SECOND), s), countB - j);
      k += stride << 2;
    }
    v128.store(SCORES_A + (<usize>j << 2), a);
    v128.store(SCORES_B + (<usize>j << 2), b);
    largestA = f32x4.pmax(largestA, a);
    largestB = f32x4.pmax(largestB, b);
  }
  store<f32>(HIGHEST, largestLane(largestA));
  store<f32>(HIGHEST, largestLane(largestB), 4);
}

// Lane l of a sum takes the products of indexes ≡ l mod 4 in ascending order; `sumLanes4` adds the lanes.

/** q·k of eight rows, the last one again where there are fewer; the second four go to SECOND. */
// @ts-ignore: decorator
@inline
function dotOne(q: usize, k: usize, stride: usize, last: usize, headDim: i32): v128 {
  let k1 = min(k + stride, last), k2 = min(k1 + stride, last), k3 = min(k2 + stride, last);
  let k4 = min(k3 + stride, last), k5 = min(k4 + stride, last), k6 = min(k5 + stride, last);
  let k7 = min(k6 + stride, last);
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0;
  const rest = headDim & 3;
  const end = q + (<usize>(headDim - rest) << 2);
  for (; q < end; q += 16) {
    const x = v128.load(q);
    a0 = f32x4.add(a0, f32x4.mul(x, v128.load(k)));
    a1 = f32x4.add(a1, f32x4.mul(x, v128.load(k1)));
    a2 = f32x4.add(a2, f32x4.mul(x, v128.load(k2)));
    a3 = f32x4.add(a3, f32x4.mul(x, v128.load(k3)));
    a4 = f32x4.add(a4, f32x4.mul(x, v128.load(k4)));
    a5 = f32x4.add(a5, f32x4.mul(x, v128.load(k5)));
    a6 = f32x4.add(a6, f32x4.mul(x, v128.load(k6)));
    a7 = f32x4.add(a7, f32x4.mul(x, v128.load(k7)));
    k += 16; k1 += 16; k2 += 16; k3 += 16; k4 += 16; k5 += 16; k6 += 16; k7 += 16;
  }
  if (rest) {
    const x = loadPart(q, rest);
    a0 = f32x4.add(a0, f32x4.mul(x, v128.load(k)));
    a1 = f32x4.add(a1, f32x4.mul(x, v128.load(k1)));
    a2 = f32x4.add(a2, f32x4.mul(x, v128.load(k2)));
    a3 = f32x4.add(a3, f32x4.mul(x, v128.load(k3)));
    a4 = f32x4.add(a4, f32x4.mul(x, v128.load(k4)));
    a5 = f32x4.add(a5, f32x4.mul(x, v128.load(k5)));
    a6 = f32x4.add(a6, f32x4.mul(x, v128.load(k6)));
    a7 = f32x4.add(a7, f32x4.mul(x, v128.load(k7)));
  }
  v128.store(SECOND, sumLanes4(a4, a5, a6, a7));
  return sumLanes4(a0, a1, a2, a3);
}

/** qa·k and, to SECOND, qb·k of four rows, the last one again where there are fewer. */
// @ts-ignore: decorator
@inline
function dotTwo(qa: usize, qb: usize, k: usize, stride: usize, last: usize, headDim: i32): v128 {
  let k1 = min(k + stride, last), k2 = min(k1 + stride, last), k3 = min(k2 + stride, last);
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  const rest = headDim & 3;
  const end = qa + (<usize>(headDim - rest) << 2);
  for (; qa < end; qa += 16) {
    const x = v128.load(qa), y = v128.load(qb);
    let r = v128.load(k);
    a0 = f32x4.add(a0, f32x4.mul(x, r)); b0 = f32x4.add(b0, f32x4.mul(y, r));
    r = v128.load(k1);
    a1 = f32x4.add(a1, f32x4.mul(x, r)); b1 = f32x4.add(b1, f32x4.mul(y, r));
    r = v128.load(k2);
    a2 = f32x4.add(a2, f32x4.mul(x, r)); b2 = f32x4.add(b2, f32x4.mul(y, r));
    r = v128.load(k3);
    a3 = f32x4.add(a3, f32x4.mul(x, r)); b3 = f32x4.add(b3, f32x4.mul(y, r));
    qb += 16; k += 16; k1 += 16; k2 += 16; k3 += 16;
  }
  if (rest) {
    const x = loadPart(qa, rest), y = loadPart(qb, rest);
    let r = v128.load(k);
    a0 = f32x4.add(a0, f32x4.mul(x, r)); b0 = f32x4.add(b0, f32x4.mul(y, r));
    r = v128.load(k1);
    a1 = f32x4.add(a1, f32x4.mul(x, r)); b1 = f32x4.add(b1, f32x4.mul(y, r));
    r = v128.load(k2);
    a2 = f32x4.add(a2, f32x4.mul(x, r)); b2 = f32x4.add(b2, f32x4.mul(y, r));
    r = v128.load(k3);
    a3 = f32x4.add(a3, f32x4.mul(x, r)); b3 = f32x4.add(b3, f32x4.mul(y, r));
  }
  v128.store(SECOND, sumLanes4(b0, b1, b2, b3));
  return sumLanes4(a0, a1, a2, a3);
}
