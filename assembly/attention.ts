// Causal attention over the kv cache, with grouped queries (Ainslie et al. 2023, "GQA") and the running softmax of
// Dao et al. 2022, "FlashAttention". The cache is walked in blocks of 32 positions that start at multiples of 32: what
// a query computes depends on its own position and the cache alone, so any split of a prompt into chunks, any company in
// the batch and any share of the heads gives the same bits. A block's keys and values are made f32 once and stay in the
// nearest cache for all queries that look at them: of all tokens of a sequence in the batch, and all heads of a group.

import { BLOCK, STATE, begin, divide, one, two } from './attention-block';
import { rowBytes, rowsAt, strideOf } from './cache';
import { F16, F32 } from './dot';
import { Q8_0 } from './formats';

/**
 * The queries of `tokens` tokens of a sequence and of `heads` heads that share a kv head: q and out (tokens, heads, headDim),
 * a token `tokenBytes` behind the other; k, v (positions, headDim) of the kv head.
 */
function together<T>(
  out: usize, q: usize, k: usize, v: usize, work: usize, positions: usize,
  tokens: i32, heads: i32, tokenBytes: usize, headDim: i32,
): void {
  const row = <usize>headDim << 2;
  const scale: f32 = <f32>1 / sqrt<f32>(<f32>headDim);
  const bytes = rowBytes<T>(headDim), stride = strideOf(headDim);
  const blockV = work + <usize>BLOCK * stride, states = blockV + <usize>BLOCK * stride;
  const queries = tokens * heads;
  let longest = 0;
  for (let i = 0; i < queries; i++) {
    const t = i / heads;
    longest = max(longest, load<i32>(positions + (<usize>t << 2)) + 1);
    begin(states + <usize>i * STATE, out + <usize>t * tokenBytes + <usize>(i - t * heads) * row, headDim);
  }
  for (let j = 0; j < longest; j += BLOCK) {
    const count = min(BLOCK, longest - j);
    const keys = rowsAt<T>(k + <usize>j * bytes, count, headDim, work);
    const values = rowsAt<T>(v + <usize>j * bytes, count, headDim, blockV);
    for (let i = 0; i < queries; i += 2) {
      const t = i / heads, u = (i + 1) / heads;
      const a = <usize>t * tokenBytes + <usize>(i - t * heads) * row;
      const b = <usize>u * tokenBytes + <usize>(i + 1 - u * heads) * row;
      const countA = min(BLOCK, load<i32>(positions + (<usize>t << 2)) + 1 - j);
      const countB = i + 1 < queries ? min(BLOCK, load<i32>(positions + (<usize>u << 2)) + 1 - j) : 0;
      const state = states + <usize>i * STATE;
      if (countA > 0 && countB > 0) {
        two(
          state, state + STATE, out + a, out + b, q + a, q + b, keys, values, stride, countA, countB, headDim, scale,
        );
      } else if (countA > 0) one(state, out + a, q + a, keys, values, stride, countA, headDim, scale);
      else if (countB > 0) one(state + STATE, out + b, q + b, keys, values, stride, countB, headDim, scale);
    }
  }
  for (let i = 0; i < queries; i++) {
    const t = i / heads;
    divide(states + <usize>i * STATE, out + <usize>t * tokenBytes + <usize>(i - t * heads) * row, headDim);
  }
}

/**
 * q, out (n, heads, headDim); slots, positions (n); kCache, vCache (slots, kvHeads, capacity, headDim). Head h looks at
 * kv head ⌊(before + h) / group⌋. work has room for 64 rows of headDim f32, filled up to whole vectors, and for 8 bytes
 * for each of n · heads queries.
 */
// @ts-ignore: decorator
@inline
function attention<T>(
  out: usize, q: usize, kCache: usize, vCache: usize, work: usize, slots: usize, positions: usize,
  n: i32, heads: i32, kvHeads: i32, group: i32, before: i32, headDim: i32, capacity: i32,
): void {
  assert((before + heads - 1) / group < kvHeads, 'attention: a head beyond the kv heads');
  const row = <usize>headDim << 2;
  const tokenBytes = <usize>heads * row;
  for (let t = 0; t < n; ) {
    const slot = load<u32>(slots);
    let tokens = 0;
    for (; t + tokens < n && load<u32>(slots + (<usize>tokens << 2)) == slot; tokens++) {
      assert(load<i32>(positions + (<usize>tokens << 2)) < capacity, 'attention: position beyond the cache');
    }
    for (let h = 0; h < heads; ) {
      const kvHead = (before + h) / group;
      const next = min(heads, (kvHead + 1) * group - before);
      const first = (<usize>slot * kvHeads + kvHead) * <usize>capacity * rowBytes<T>(headDim);
      const at = <usize>h * row;
      together<T>(
        out + at, q + at, kCache + first, vCache + first, work, positions, tokens, next - h, tokenBytes, headDim,
      );
      h = next;
    }
    t += tokens;
    out += <usize>tokens * tokenBytes;
    q += <usize>tokens * tokenBytes;
    slots += <usize>tokens << 2;
    positions += <usize>tokens << 2;
  }
}

export function attention_f32(
  out: usize, q: usize, kCache: usize, vCache: usize, work: usize, slots: usize, positions: usize,
  n: i32, heads: i32, kvHeads: i32, group: i32, before: i32, headDim: i32, capacity: i32,
): void {
  attention<F32>(out, q, kCache, vCache, work, slots, positions, n, heads, kvHeads, group, before, headDim, capacity);
}

export function attention_f16(
  out: usize, q: usize, kCache: usize, vCache: usize, work: usize, slots: usize, positions: usize,
  n: i32, heads: i32, kvHeads: i32, group: i32, before: i32, headDim: i32, capacity: i32,
): void {
  attention<F16>(out, q, kCache, vCache, work, slots, positions, n, heads, kvHeads, group, before, headDim, capacity);
}

/** headDim is a multiple of 32. */
export function attention_q8_0(
  out: usize, q: usize, kCache: usize, vCache: usize, work: usize, slots: usize, positions: usize,
  n: i32, heads: i32, kvHeads: i32, group: i32, before: i32, headDim: i32, capacity: i32,
): void {
  attention<Q8_0>(out, q, kCache, vCache, work, slots, positions, n, heads, kvHeads, group, before, headDim, capacity);
}
