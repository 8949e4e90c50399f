/** out[i] = x[rows[i]];  x (any, dim), out (n, dim), rows (n) */
export function takeRows(out: usize, x: usize, rows: usize, n: i32, dim: i32): void {
  const bytes = <usize>dim << 2;
  for (let i = 0; i < n; i++) {
    memory.copy(out, x + <usize>load<u32>(rows) * bytes, bytes);
    out += bytes;
    rows += 4;
  }
}

/** cache[slots[t]][h][positions[t]] = x[t][h];  x (n, kvHeads, headDim), cache (slots, kvHeads, capacity, headDim) */
export function append(
  cache: usize, x: usize, slots: usize, positions: usize, n: i32, kvHeads: i32, headDim: i32, capacity: i32,
): void {
  const bytes = <usize>headDim << 2;
  for (let t = 0; t < n; t++) {
    const slot = load<u32>(slots), position = load<u32>(positions);
    assert(<i32>position < capacity, 'append: position beyond the cache');
    let row = cache + (<usize>slot * kvHeads * capacity + position) * bytes;
    for (let h = 0; h < kvHeads; h++) {
      memory.copy(row, x, bytes);
      row += <usize>capacity * bytes;
      x += bytes;
    }
    slots += 4;
    positions += 4;
  }
}
