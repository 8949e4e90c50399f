// Orders token ids by falling logit, the lower id first among equals, as far as a caller asks and no further.

// @ts-ignore: decorator
@inline
function logit(logits: usize, id: u32): f32 {
  return load<f32>(logits + (<usize>id << 2));
}

/** Whether candidate a stands before b. */
// @ts-ignore: decorator
@inline
function before(logits: usize, a: u32, b: u32): bool {
  const la = logit(logits, a), lb = logit(logits, b);
  return la > lb || (la == lb && a < b);
}

// @ts-ignore: decorator
@inline
function at(ids: usize, i: i32): u32 {
  return load<u32>(ids + (<usize>i << 2));
}

// @ts-ignore: decorator
@inline
function put(ids: usize, i: i32, id: u32): void {
  store<u32>(ids + (<usize>i << 2), id);
}

/** Moves ids[i] down a heap of `count` whose root stands before all others (first) or after all others (last). */
// @ts-ignore: decorator
@inline
function sift(ids: usize, i: i32, count: i32, logits: usize, first: bool): void {
  const id = at(ids, i);
  for (;;) {
    let child = 2 * i + 1;
    if (child >= count) break;
    if (child + 1 < count && before(logits, at(ids, child + 1), at(ids, child)) == first) child++;
    if (before(logits, at(ids, child), id) != first) break;
    put(ids, i, at(ids, child));
    i = child;
  }
  put(ids, i, id);
}

/** ids ← the k ≤ vocab first candidates in order;  ids (k) */
export function selectTop(ids: usize, logits: usize, vocab: i32, k: i32): void {
  if (k == 0) return; // below, the last of those kept is looked at
  for (let i = 0; i < k; i++) put(ids, i, i);
  for (let i = (k >> 1) - 1; i >= 0; i--) sift(ids, i, k, logits, false);
  // ids rise, so only a strictly larger logit displaces the last of those kept
  let bar = logit(logits, at(ids, 0));
  let i = k;
  for (; i < vocab; i++) {
    while (i + 4 <= vocab && !v128.any_true(f32x4.gt(v128.load(logits + (<usize>i << 2)), f32x4.splat(bar)))) i += 4;
    if (i >= vocab) break;
    if (logit(logits, i) > bar) {
      put(ids, 0, i);
      sift(ids, 0, k, logits, false);
      bar = logit(logits, at(ids, 0));
    }
  }
  for (let left = k - 1; left > 0; left--) {
    const last = at(ids, 0);
    put(ids, 0, at(ids, left));
    put(ids, left, last);
    sift(ids, 0, left, logits, false);
  }
}

/** Makes a heap of all ids for `popCandidate`;  ids (vocab) */
export function heapAll(ids: usize, logits: usize, vocab: i32): void {
  for (let i = 0; i < vocab; i++) put(ids, i, i);
  for (let i = (vocab >> 1) - 1; i >= 0; i--) sift(ids, i, vocab, logits, true);
}

/** Takes the first candidate off a heap of `left` and puts it at ids[left − 1]. */
export function popCandidate(ids: usize, logits: usize, left: i32): void {
  const id = at(ids, 0);
  put(ids, 0, at(ids, left - 1));
  put(ids, left - 1, id);
  sift(ids, 0, left - 1, logits, true);
}
