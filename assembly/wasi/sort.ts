// Heap sort: n log n whatever the order, without memory of its own.

/** Sorts `count` u32 numbers by `before`, which orders them strictly. */
export function sort(numbers: usize, count: u32, before: (a: u32, b: u32) => bool): void {
  for (let i = <i32>(count >> 1) - 1; i >= 0; i--) sink(numbers, i, count, before);
  for (let left = count; left > 1; ) {
    left--;
    const last = load<u32>(numbers);
    store<u32>(numbers, load<u32>(numbers + (<usize>left << 2)));
    store<u32>(numbers + (<usize>left << 2), last);
    sink(numbers, 0, left, before);
  }
}

/** Moves number i down a heap whose root is the last in order. */
function sink(numbers: usize, i: u32, count: u32, before: (a: u32, b: u32) => bool): void {
  const value = load<u32>(numbers + (<usize>i << 2));
  for (;;) {
    let child: u32 = 2 * i + 1;
    if (child >= count) break;
    let later = load<u32>(numbers + (<usize>child << 2));
    if (child + 1 < count) {
      const next = load<u32>(numbers + (<usize>child << 2), 4);
      if (before(later, next)) {
        later = next;
        child++;
      }
    }
    if (!before(value, later)) break;
    store<u32>(numbers + (<usize>i << 2), later);
    i = child;
  }
  store<u32>(numbers + (<usize>i << 2), value);
}
