// Causal attention over the kv cache, with grouped queries (Ainslie et al. 2023, "GQA") and the running softmax of
// Dao et al. 2022, "FlashAttention". The cache is walked in blocks of 32 positions that start at multiples of 32, and
// inside a block position by position: what a query computes depends on its own position and the cache alone, so any
// split of a prompt into chunks, and any company in the batch, gives the same bits.

import { F32, dot4 } from './dot';
import { exp1, exp4, loadPart, storePart, sumLanes } from './math';

const BLOCK = 32;
const LOWEST: f32 = -3.4e38;

/** Scores, then probabilities, of one block. One instance computes for one thread, so a static place is safe. */
const scores = memory.data(BLOCK * 4, 16);

/** scores[j] = scale · q·k[j] for j < count, LOWEST for the others; returns the largest. */
// @ts-ignore: decorator
@inline
function scoreBlock(q: usize, k: usize, count: i32, headDim: i32, scale: f32): f32 {
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
  largest = f32x4.max(largest, v128.shuffle<f32>(largest, largest, 2, 3, 0, 1));
  largest = f32x4.max(largest, v128.shuffle<f32>(largest, largest, 1, 0, 3, 2));
  return f32x4.extract_lane(largest, 0);
}

/** scores[j] ← exp(scores[j] − largest), exactly 0 where masked; returns their sum. */
// @ts-ignore: decorator
@inline
function expBlock(largest: f32): f32 {
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
function addValues(out: usize, v: usize, count: i32, headDim: i32, keep: f32): void {
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

/** q, out (n, heads, headDim); slots, positions (n); kCache, vCache (slots, kvHeads, capacity, headDim) */
export function attention(
  out: usize, q: usize, kCache: usize, vCache: usize, slots: usize, positions: usize,
  n: i32, heads: i32, kvHeads: i32, headDim: i32, capacity: i32,
): void {
  const row = <usize>headDim << 2;
  const scale: f32 = <f32>1 / sqrt<f32>(<f32>headDim);
  assert(heads % kvHeads == 0, 'attention: heads must be a multiple of kvHeads');
  const group = heads / kvHeads;
  for (let t = 0; t < n; t++) {
    const slot = load<u32>(slots + (<usize>t << 2));
    const length = load<i32>(positions + (<usize>t << 2)) + 1;
    assert(length <= capacity, 'attention: position beyond the cache');
    for (let h = 0; h < heads; h++) {
      const first = (<usize>slot * kvHeads + h / group) * <usize>capacity * row;
      memory.fill(out, 0, row);
      let largest = LOWEST;
      let sum: f32 = 0;
      for (let j = 0; j < length; j += BLOCK) {
        const count = min(BLOCK, length - j);
        const block = first + <usize>j * row;
        const highest = max(largest, scoreBlock(q, kCache + block, count, headDim, scale));
        const keep = exp1(largest - highest);
        sum = sum * keep + expBlock(highest);
        addValues(out, vCache + block, count, headDim, keep);
        largest = highest;
      }
      const inverse = f32x4.splat(<f32>1 / sum);
      const rest = headDim & 3;
      const end = out + row - (<usize>rest << 2);
      for (; out < end; out += 16) v128.store(out, f32x4.mul(v128.load(out), inverse));
      if (rest) {
        storePart(out, f32x4.mul(loadPart(out, rest), inverse), rest);
        out += <usize>rest << 2;
      }
      q += row;
    }
  }
}
