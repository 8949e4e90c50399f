// Values weighted by probabilities. Every number of an output is out · keep + p[0] · v[0] + p[1] · v[1] + …, added in
// this order, however many numbers, positions and queries go together.

import { loadPart, storePart } from './math';

/** out ← out · keep + Σ p[j] · v[j] over from ≤ j < to. Rows of v begin `stride` bytes apart. */
export function addValues(
  p: usize, out: usize, v: usize, stride: usize, from: i32, to: i32, headDim: i32, keep: f32,
): void {
  const k = f32x4.splat(keep);
  const rest = headDim & 3;
  const whole = <usize>(headDim - rest) << 2;
  const end = p + (<usize>to << 2);
  p += <usize>from << 2;
  v += <usize>from * stride;
  let d: usize = 0;
  for (; d + 128 <= whole; d += 128) {
    const o = out + d;
    let a0 = f32x4.mul(v128.load(o), k), a1 = f32x4.mul(v128.load(o, 16), k);
    let a2 = f32x4.mul(v128.load(o, 32), k), a3 = f32x4.mul(v128.load(o, 48), k);
    let a4 = f32x4.mul(v128.load(o, 64), k), a5 = f32x4.mul(v128.load(o, 80), k);
    let a6 = f32x4.mul(v128.load(o, 96), k), a7 = f32x4.mul(v128.load(o, 112), k);
    for (let at = p, vj = v + d; at < end; at += 4, vj += stride) {
      const w = v128.load32_splat(at);
      a0 = f32x4.add(a0, f32x4.mul(w, v128.load(vj)));
      a1 = f32x4.add(a1, f32x4.mul(w, v128.load(vj, 16)));
      a2 = f32x4.add(a2, f32x4.mul(w, v128.load(vj, 32)));
      a3 = f32x4.add(a3, f32x4.mul(w, v128.load(vj, 48)));
      a4 = f32x4.add(a4, f32x4.mul(w, v128.load(vj, 64)));
      a5 = f32x4.add(a5, f32x4.mul(w, v128.load(vj, 80)));
      a6 = f32x4.add(a6, f32x4.mul(w, v128.load(vj, 96)));
      a7 = f32x4.add(a7, f32x4.mul(w, v128.load(vj, 112)));
    }
    v128.store(o, a0); v128.store(o, a1, 16); v128.store(o, a2, 32); v128.store(o, a3, 48);
    v128.store(o, a4, 64); v128.store(o, a5, 80); v128.store(o, a6, 96); v128.store(o, a7, 112);
  }
  for (; d < whole; d += 16) {
    let a = f32x4.mul(v128.load(out + d), k);
    for (let at = p, vj = v + d; at < end; at += 4, vj += stride) {
      a = f32x4.add(a, f32x4.mul(v128.load32_splat(at), v128.load(vj)));
    }
    v128.store(out + d, a);
  }
  if (rest) {
    let a = f32x4.mul(loadPart(out + d, rest), k);
    for (let at = p, vj = v + d; at < end; at += 4, vj += stride) {
      a = f32x4.add(a, f32x4.mul(v128.load32_splat(at), v128.load(vj)));
    }
    storePart(out + d, a, rest);
  }
}

/** The same for the positions j < to and two queries, the second of which has its probabilities `apart` bytes behind p. */
export function addValuesTwo(
  p: usize, apart: usize, outA: usize, outB: usize, v: usize, stride: usize, to: i32, headDim: i32, keepA: f32, keepB: f32,
): void {
  const ka = f32x4.splat(keepA), kb = f32x4.splat(keepB);
  const rest = headDim & 3;
  const whole = <usize>(headDim - rest) << 2;
  const end = p + (<usize>to << 2);
  let d: usize = 0;
  for (; d + 64 <= whole; d += 64) {
    const oa = outA + d, ob = outB + d;
    let a0 = f32x4.mul(v128.load(oa), ka), a1 = f32x4.mul(v128.load(oa, 16), ka);
    let a2 = f32x4.mul(v128.load(oa, 32), ka), a3 = f32x4.mul(v128.load(oa, 48), ka);
    let b0 = f32x4.mul(v128.load(ob), kb), b1 = f32x4.mul(v128.load(ob, 16), kb);
    let b2 = f32x4.mul(v128.load(ob, 32), kb), b3 = f32x4.mul(v128.load(ob, 48), kb);
    for (let at = p, vj = v + d; at < end; at += 4, vj += stride) {
      const wa = v128.load32_splat(at), wb = v128.load32_splat(at + apart);
      let r = v128.load(vj);
      a0 = f32x4.add(a0, f32x4.mul(wa, r)); b0 = f32x4.add(b0, f32x4.mul(wb, r));
      r = v128.load(vj, 16);
      a1 = f32x4.add(a1, f32x4.mul(wa, r)); b1 = f32x4.add(b1, f32x4.mul(wb, r));
      r = v128.load(vj, 32);
      a2 = f32x4.add(a2, f32x4.mul(wa, r)); b2 = f32x4.add(b2, f32x4.mul(wb, r));
      r = v128.load(vj, 48);
      a3 = f32x4.add(a3, f32x4.mul(wa, r)); b3 = f32x4.add(b3, f32x4.mul(wb, r));
    }
    v128.store(oa, a0); v128.store(oa, a1, 16); v128.store(oa, a2, 32); v128.store(oa, a3, 48);
    v128.store(ob, b0); v128.store(ob, b1, 16); v128.store(ob, b2, 32); v128.store(ob, b3, 48);
  }
  for (; d < whole; d += 16) {
    let a = f32x4.mul(v128.load(outA + d), ka), b = f32x4.mul(v128.load(outB + d), kb);
    for (let at = p, vj = v + d; at < end; at += 4, vj += stride) {
      const r = v128.load(vj);
      a = f32x4.add(a, f32x4.mul(v128.load32_splat(at), r));
      b = f32x4.add(b, f32x4.mul(v128.load32_splat(at + apart), r));
    }
    v128.store(outA + d, a);
    v128.store(outB + d, b);
  }
  if (rest) {
    let a = f32x4.mul(loadPart(outA + d, rest), ka), b = f32x4.mul(loadPart(outB + d, rest), kb);
    for (let at = p, vj = v + d; at < end; at += 4, vj += stride) {
      const r = v128.load(vj);
      a = f32x4.add(a, f32x4.mul(v128.load32_splat(at), r));
      b = f32x4.add(b, f32x4.mul(v128.load32_splat(at + apart), r));
    }
    storePart(outA + d, a, rest);
    storePart(outB + d, b, rest);
  }
}
