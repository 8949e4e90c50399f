/** out[i] = x[rows[i]];  x (any, dim), out (n, dim), rows (n) */
export function takeRows(out: usize, x: usize, rows: usize, n: i32, dim: i32): void {
  const bytes = <usize>dim << 2;
  for (let i = 0; i < n; i++) {
    memory.copy(out, x + <usize>load<u32>(rows) * bytes, bytes);
    out += bytes;
    rows += 4;
  }
}
