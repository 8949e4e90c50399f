import { heapAll, popCandidate, selectTop } from './candidates';
import { logSumExp } from './loss';
import { expCall1, expCall4 } from './math';

/** ids, logprobs ← the k most probable tokens, descending, and their log-probabilities;  ids, logprobs (k) */
export function topLogprobs(ids: usize, logprobs: usize, logits: usize, vocab: i32, k: i32): void {
  assert(k <= vocab, 'topLogprobs: k exceeds the vocabulary');
  const total = logSumExp(logits, vocab);
  selectTop(ids, logits, vocab, k);
  for (let i = 0; i < k; i++) {
    const id = load<u32>(ids + (<usize>i << 2));
    store<f32>(logprobs + (<usize>i << 2), <f32>(<f64>load<f32>(logits + (<usize>id << 2)) - total));
  }
}

/** logits[ids[i]] += values[i];  ids, values (n) */
export function addBias(logits: usize, ids: usize, values: usize, n: i32): void {
  for (let i: usize = 0; i < <usize>n << 2; i += 4) {
    const p = logits + (<usize>load<u32>(ids + i) << 2);
    store<f32>(p, load<f32>(p) + load<f32>(values + i));
  }
}

/** The repetition penalty of Keskar et al. 2019, "CTRL", and OpenAI's frequency and presence penalties;  ids, counts (n) */
export function penalize(
  logits: usize, ids: usize, counts: usize, n: i32, repeat: f32, frequency: f32, presence: f32,
): void {
  for (let i: usize = 0; i < <usize>n << 2; i += 4) {
    const p = logits + (<usize>load<u32>(ids + i) << 2);
    const l = load<f32>(p);
    const repeated = l > 0 ? l / repeat : l * repeat;
    store<f32>(p, repeated - frequency * <f32>load<i32>(counts + i) - presence);
  }
}

/** exp((logit − first) / temperature): the weight of a candidate beside the first one's, which is 1. */
function weight(logits: usize, id: u32, first: f32, temperature: f32): f32 {
  return expCall1((load<f32>(logits + (<usize>id << 2)) - first) / temperature);
}

/** The sum over all ids of the weights that are at least minP. */
function massOfAll(logits: usize, vocab: i32, first: f32, temperature: f32, minP: f32): f64 {
  const first4 = f32x4.splat(first), t4 = f32x4.splat(temperature), floor = f32x4.splat(minP);
  let low = f64x2.splat(0), high = low;
  let i = 0;
  for (; i + 4 <= vocab; i += 4) {
    let e = expCall4(f32x4.div(f32x4.sub(v128.load(logits + (<usize>i << 2)), first4), t4));
    e = v128.and(e, f32x4.ge(e, floor));
    low = f64x2.add(low, f64x2.promote_low_f32x4(e));
    high = f64x2.add(high, f64x2.promote_low_f32x4(v128.shuffle<f32>(e, e, 2, 3, 2, 3)));
  }
  low = f64x2.add(low, high);
  let sum = f64x2.extract_lane(low, 0) + f64x2.extract_lane(low, 1);
  for (; i < vocab; i++) {
    const e = weight(logits, i, first, temperature);
    if (e >= minP) sum += <f64>e;
  }
  return sum;
}

/**
 * id[0] = a draw as host/backend.ts defines it;  logits (vocab), work (vocab) ids.
 * With topK the candidates are sorted; without, a heap gives them one by one, since a draw seldom needs many.
 */
export function sample(
  id: usize, logits: usize, work: usize, vocab: i32, temperature: f32, topK: i32, topP: f32, minP: f32, u: f32,
): void {
  assert(vocab > 0 && temperature >= 0 && u >= 0 && u < 1, 'sample: argument out of range');
  selectTop(id, logits, vocab, 1);
  const largest = load<f32>(logits + (<usize>load<u32>(id) << 2));
  if (!isFinite<f32>(largest)) store<i32>(id, -1);
  if (temperature == 0 || !isFinite<f32>(largest)) return;
  const sorted = topK > 0 && topK < vocab;
  let limit = sorted ? topK : vocab;
  if (sorted) selectTop(work, logits, vocab, limit);
  else heapAll(work, logits, vocab);
  const first = load<f32>(logits + (<usize>load<u32>(work) << 2));

  let mass: f64 = 0;
  if (sorted) {
    let kept = 0;
    for (; kept < limit; kept++) {
      const e = weight(logits, load<u32>(work + (<usize>kept << 2)), first, temperature);
      if (kept > 0 && e < minP) break;
      mass += <f64>e;
    }
    limit = kept;
  } else {
    mass = massOfAll(logits, vocab, first, temperature, minP);
  }

  let ready = sorted ? limit : 0; // candidates that stand in their places: i from the front, or from the back of the heap
  if (topP < 1) {
    const enough = <f64>topP * mass;
    mass = 0;
    let kept = 0;
    for (; kept < limit && (kept == 0 || mass < enough); kept++) {
      if (kept >= ready) popCandidate(work, logits, vocab - ready++);
      mass += <f64>weight(logits, candidate(work, vocab, kept, sorted), first, temperature);
    }
    limit = kept;
  }

  const target = <f64>u * mass;
  let sum: f64 = 0;
  let chosen: u32 = 0;
  for (let i = 0; i < limit; i++) {
    if (i >= ready) popCandidate(work, logits, vocab - ready++);
    const next = candidate(work, vocab, i, sorted);
    const e = weight(logits, next, first, temperature);
    if (i > 0 && e < minP) break;
    chosen = next;
    sum += <f64>e;
    if (sum > target) break;
  }
  store<u32>(id, chosen);
}

/** Candidate i of those that stand in their places. */
// @ts-ignore: decorator
@inline
function candidate(work: usize, vocab: i32, i: i32, sorted: bool): u32 {
  return load<u32>(work + (<usize>(sorted ? i : vocab - 1 - i) << 2));
}
