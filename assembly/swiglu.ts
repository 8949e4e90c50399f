import { exp4, loadPart, storePart } from './math';

// @ts-ignore: decorator
@inline
function swiglu4(gate: v128, up: v128): v128 {
  const one = f32x4.splat(1);
  const silu = f32x4.div(gate, f32x4.add(one, exp4(f32x4.neg(gate))));
  return f32x4.mul(silu, up);
}

/** out = gate · σ(gate) · up;  all (count).  Shazeer 2020, "GLU Variants Improve Transformer" */
export function swiglu(out: usize, gate: usize, up: usize, count: i32): void {
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    v128.store(out, swiglu4(v128.load(gate), v128.load(up)));
    out += 16; gate += 16; up += 16;
  }
  const rest = count - i;
  if (rest) storePart(out, swiglu4(loadPart(gate, rest), loadPart(up, rest)), rest);
}
