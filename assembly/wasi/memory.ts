// One bump allocator. `alloc` only plans, so that all of a model can be added up before any of it is taken; `commit` grows
// the memory to what is planned. Nothing is freed and no place is used twice: what has not been written is zero.

import { at, fail } from './errors';

/** Places begin at multiples of this, a cache line. */
const ALIGN: u64 = 64;
/** The end of the last place: addresses have 32 bits. */
const MOST: u64 = (1 << 32) - ALIGN;

/** Beyond `MOST` it goes on counting: `commit` then says how much was wanted. */
let end: u64 = 0;

/** A place of `bytes`, valid after the next `commit`. */
export function alloc(bytes: u64): usize {
  if (end == 0) end = __heap_base;
  const start = (end + ALIGN - 1) & ~(ALIGN - 1);
  end = start + bytes;
  return <usize>start;
}

/** Makes the last place longer. */
export function extend(bytes: u64): void {
  end += bytes;
}

/** A place that may be used at once. */
export function take(bytes: u64): usize {
  const start = alloc(bytes);
  commit();
  return start;
}

/** Makes all places usable. */
export function commit(): void {
  const missing = <i64>((end + 0xffff) >> 16) - <i64>memory.size();
  if (end <= MOST && (missing <= 0 || memory.grow(<i32>missing) >= 0)) return;
  at('memory');
  const hint = 'Ask for a smaller --context, or take a smaller or more quantised model.';
  fail('out-of-memory', 'what this runtime allows, at most 4 GiB', 'a need of # bytes', hint, <i64>end);
}
