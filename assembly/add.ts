import { loadPart, storePart } from './math';

/** out = a + b;  all (count) */
export function add(out: usize, a: usize, b: usize, count: i32): void {
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    v128.store(out, f32x4.add(v128.load(a), v128.load(b)));
    out += 16; a += 16; b += 16;
  }
  const rest = count - i;
  if (rest) storePart(out, f32x4.add(loadPart(a, rest), loadPart(b, rest)), rest);
}
