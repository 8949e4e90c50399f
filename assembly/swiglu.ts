import { expCall4, loadPart, storePart } from './math';

// @ts-ignore: decorator
@inline
function swiglu4(gate: v128, up: v128): v128 {
  const one = f32x4.splat(1);
  const silu = f32x4.div(gate, f32x4.add(one, expCall4(f32x4.neg(gate))));
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

/** out += v, of four numbers or of the first `count` */
// @ts-ignore: decorator
@inline
function accumulate(out: usize, v: v128, count: i32): void {
  if (count >= 4) v128.store(out, f32x4.add(v128.load(out), v));
  else storePart(out, f32x4.add(loadPart(out, count), v), count);
}

/**
 * dUp += dOut · gate · s;  dGate += dOut · up · s · (1 + gate · (1 − s)) with s = σ(gate);  all (count)
 */
export function swigluBackward(dGate: usize, dUp: usize, dOut: usize, gate: usize, up: usize, count: i32): void {
  const one = f32x4.splat(1);
  for (let left = count; left > 0; left -= 4) {
    const whole = left >= 4;
    const g = whole ? v128.load(gate) : loadPart(gate, left);
    const d = whole ? v128.load(dOut) : loadPart(dOut, left);
    const s = f32x4.div(one, f32x4.add(one, expCall4(f32x4.neg(g))));
    const ds = f32x4.mul(d, s);
    accumulate(dUp, f32x4.mul(ds, g), left);
    const slope = f32x4.add(one, f32x4.mul(g, f32x4.sub(one, s)));
    accumulate(dGate, f32x4.mul(f32x4.mul(ds, whole ? v128.load(up) : loadPart(up, left)), slope), left);
    dGate += 16; dUp += 16; dOut += 16; gate += 16; up += 16;
  }
}
