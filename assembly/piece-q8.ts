// Products of int8 weights in groups of four rows (relayout.ts) with 7-bit activations (activations.ts). Inside a block
// of 32 the product is an exact integer; blocks are summed in ascending order:
//
//     sum ← sum + f32(Σ q·qx − z·Σq) · (d · dx)
//
// The relaxed product is one instruction where the processor has one for it (VNNI, Arm's dot product), and five where the
// engine must make it of three and two constants. There `Pairs` makes it of these three itself. Both are exact.
import { X_BLOCK, X_OFFSET, X_SCALE } from './activations';
import { halfToFloat4 } from './half';

/** How the relaxed build multiplies: with the product of fours, or with that of pairs. The baseline build is `Pairs`. */
export class Fours {}
export class Pairs {}

/** 1 in every i16: a constant in the code would be built anew at every use. */
const ONES = memory.data<i16>([1], 2);

/** Bytes of the scales at the beginning of a piece, and of what follows them. */
export const HEAD_Q8_0: usize = 8;
export const HEAD_Q8_F32: usize = 16;
export const BODY: usize = 136;

// @ts-ignore: decorator
@inline
function scales(w: usize, head: usize): v128 {
  return head == HEAD_Q8_0 ? halfToFloat4(v128.load_ext<u16>(w)) : v128.load(w);
}

/** sum + f32(exact) · (d · dx) */
// @ts-ignore: decorator
@inline
function addPiece(sum: v128, exact: v128, d: v128, x: usize): v128 {
  return f32x4.add(sum, f32x4.mul(f32x4.convert_i32x4_s(exact), f32x4.mul(d, v128.load32_splat(x, X_SCALE))));
}

/** −z·Σq of the four rows, from which their products are counted on; sums: −Σq as i32, which an i16 holds. */
// @ts-ignore: decorator
@inline
function begin(sums: v128, x: usize): v128 {
  return i32x4.dot_i16x8_s(sums, v128.load32_splat(x, X_OFFSET));
}

/** acc + w · x, for four columns: w as stored, in the baseline build also with its signs extended. */
// @ts-ignore: decorator
@inline
function dot<D>(acc: v128, w: v128, x: v128, ones: v128): v128 {
  if (idof<D>() == idof<Fours>()) return i32x4.relaxed_dot_i8x16_i7x16_add_s(w, x, acc);
  return i32x4.add(acc, i32x4.dot_i16x8_s(i16x8.relaxed_dot_i8x16_i7x16_s(w, x), ones));
}
// @ts-ignore: decorator
@inline
function dotPairs(acc: v128, low: v128, high: v128, x0: v128, x1: v128): v128 {
  return i32x4.add(acc, i32x4.add(i32x4.dot_i16x8_s(low, x0), i32x4.dot_i16x8_s(high, x1)));
}
// @ts-ignore: decorator
@inline
function dotWide(acc: v128, w: v128, x0: v128, x1: v128): v128 {
  return dotPairs(acc, i16x8.extend_low_i8x16_s(w), i16x8.extend_high_i8x16_s(w), x0, x1);
}

/** The rows of four groups that lie `far` bytes apart with one token: out (4) four times, `outFar` bytes apart. */
export function fourGroups8<D>(
  out: usize, outFar: usize, w: usize, far: usize, x: usize, blocks: i32, head: usize,
): void {
  const ones = v128.load16_splat(ONES);
  let w1 = w + far, w2 = w1 + far, w3 = w2 + far;
  let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
  for (; blocks > 0; blocks--) {
    let a0 = begin(v128.load_ext<i16>(w + head), x), a1 = begin(v128.load_ext<i16>(w1 + head), x);
    let a2 = begin(v128.load_ext<i16>(w2 + head), x), a3 = begin(v128.load_ext<i16>(w3 + head), x);
    const p0 = w + head + 8, p1 = w1 + head + 8, p2 = w2 + head + 8, p3 = w3 + head + 8;
    if (ASC_FEATURE_RELAXED_SIMD) {
      let y = v128.load32_splat(x);
      a0 = dot<D>(a0, v128.load(p0), y, ones); a1 = dot<D>(a1, v128.load(p1), y, ones);
      a2 = dot<D>(a2, v128.load(p2), y, ones); a3 = dot<D>(a3, v128.load(p3), y, ones);
      y = v128.load32_splat(x, 4);
      a0 = dot<D>(a0, v128.load(p0, 16), y, ones); a1 = dot<D>(a1, v128.load(p1, 16), y, ones);
      a2 = dot<D>(a2, v128.load(p2, 16), y, ones); a3 = dot<D>(a3, v128.load(p3, 16), y, ones);
      y = v128.load32_splat(x, 8);
      a0 = dot<D>(a0, v128.load(p0, 32), y, ones); a1 = dot<D>(a1, v128.load(p1, 32), y, ones);
      a2 = dot<D>(a2, v128.load(p2, 32), y, ones); a3 = dot<D>(a3, v128.load(p3, 32), y, ones);
      y = v128.load32_splat(x, 12);
      a0 = dot<D>(a0, v128.load(p0, 48), y, ones); a1 = dot<D>(a1, v128.load(p1, 48), y, ones);
      a2 = dot<D>(a2, v128.load(p2, 48), y, ones); a3 = dot<D>(a3, v128.load(p3, 48), y, ones);
      y = v128.load32_splat(x, 16);
      a0 = dot<D>(a0, v128.load(p0, 64), y, ones); a1 = dot<D>(a1, v128.load(p1, 64), y, ones);
      a2 = dot<D>(a2, v128.load(p2, 64), y, ones); a3 = dot<D>(a3, v128.load(p3, 64), y, ones);
      y = v128.load32_splat(x, 20);
      a0 = dot<D>(a0, v128.load(p0, 80), y, ones); a1 = dot<D>(a1, v128.load(p1, 80), y, ones);
      a2 = dot<D>(a2, v128.load(p2, 80), y, ones); a3 = dot<D>(a3, v128.load(p3, 80), y, ones);
      y = v128.load32_splat(x, 24);
      a0 = dot<D>(a0, v128.load(p0, 96), y, ones); a1 = dot<D>(a1, v128.load(p1, 96), y, ones);
      a2 = dot<D>(a2, v128.load(p2, 96), y, ones); a3 = dot<D>(a3, v128.load(p3, 96), y, ones);
      y = v128.load32_splat(x, 28);
      a0 = dot<D>(a0, v128.load(p0, 112), y, ones); a1 = dot<D>(a1, v128.load(p1, 112), y, ones);
      a2 = dot<D>(a2, v128.load(p2, 112), y, ones); a3 = dot<D>(a3, v128.load(p3, 112), y, ones);
    } else {
      for (let k: usize = 0; k < 128; k += 16) {
        const xk = x + (k >> 1);
        const y = v128.load32_splat(xk), z = v128.load32_splat(xk, 4);
        a0 = dotWide(a0, v128.load(p0 + k), y, z); a1 = dotWide(a1, v128.load(p1 + k), y, z);
        a2 = dotWide(a2, v128.load(p2 + k), y, z); a3 = dotWide(a3, v128.load(p3 + k), y, z);
      }
    }
    s0 = addPiece(s0, a0, scales(w, head), x);
    s1 = addPiece(s1, a1, scales(w1, head), x);
    s2 = addPiece(s2, a2, scales(w2, head), x);
    s3 = addPiece(s3, a3, scales(w3, head), x);
    w += head + BODY; w1 += head + BODY; w2 += head + BODY; w3 += head + BODY;
    x += X_BLOCK;
  }
  v128.store(out, s0); out += outFar;
  v128.store(out, s1); out += outFar;
  v128.store(out, s2); out += outFar;
  v128.store(out, s3);
}

/** out (4, 8) at a stride += the eight rows of the groups at w and v times four tokens; `head` bytes of scales a piece. */
export function tile8<D>(
  out: usize, outStride: usize, w: usize, v: usize, x0: usize, xStride: usize, blocks: i32, head: usize,
): void {
  const ones = v128.load16_splat(ONES);
  let x1 = x0 + xStride, x2 = x1 + xStride, x3 = x2 + xStride;
  const o1 = out + outStride, o2 = o1 + outStride, o3 = o2 + outStride;
  let w0 = v128.load(out), w1 = v128.load(o1), w2 = v128.load(o2), w3 = v128.load(o3);
  let v0 = v128.load(out, 16), v1 = v128.load(o1, 16), v2 = v128.load(o2, 16), v3 = v128.load(o3, 16);
  for (let b = 0; b < blocks; b++) {
    const sumsW = v128.load_ext<i16>(w + head), sumsV = v128.load_ext<i16>(v + head);
    let a0 = begin(sumsW, x0), a1 = begin(sumsW, x1), a2 = begin(sumsW, x2), a3 = begin(sumsW, x3);
    let c0 = begin(sumsV, x0), c1 = begin(sumsV, x1), c2 = begin(sumsV, x2), c3 = begin(sumsV, x3);
    let p = w + head + 8, q = v + head + 8;
    for (const end = x0 + X_SCALE; x0 < end; ) {
      const a = v128.load(p), c = v128.load(q);
      if (ASC_FEATURE_RELAXED_SIMD) {
        let x = v128.load32_splat(x0);
        a0 = dot<D>(a0, a, x, ones); c0 = dot<D>(c0, c, x, ones);
        x = v128.load32_splat(x1);
        a1 = dot<D>(a1, a, x, ones); c1 = dot<D>(c1, c, x, ones);
        x = v128.load32_splat(x2);
        a2 = dot<D>(a2, a, x, ones); c2 = dot<D>(c2, c, x, ones);
        x = v128.load32_splat(x3);
        a3 = dot<D>(a3, a, x, ones); c3 = dot<D>(c3, c, x, ones);
        x0 += 4; x1 += 4; x2 += 4; x3 += 4;
      } else {
        const al = i16x8.extend_low_i8x16_s(a), ah = i16x8.extend_high_i8x16_s(a);
        const cl = i16x8.extend_low_i8x16_s(c), ch = i16x8.extend_high_i8x16_s(c);
        let x = v128.load32_splat(x0), y = v128.load32_splat(x0, 4);
        a0 = dotPairs(a0, al, ah, x, y); c0 = dotPairs(c0, cl, ch, x, y);
        x = v128.load32_splat(x1), y = v128.load32_splat(x1, 4);
        a1 = dotPairs(a1, al, ah, x, y); c1 = dotPairs(c1, cl, ch, x, y);
        x = v128.load32_splat(x2), y = v128.load32_splat(x2, 4);
        a2 = dotPairs(a2, al, ah, x, y); c2 = dotPairs(c2, cl, ch, x, y);
        x = v128.load32_splat(x3), y = v128.load32_splat(x3, 4);
        a3 = dotPairs(a3, al, ah, x, y); c3 = dotPairs(c3, cl, ch, x, y);
        x0 += 8; x1 += 8; x2 += 8; x3 += 8;
      }
      p += 16; q += 16;
    }
    // the x pointers stand at the ends of the values now
    let d = scales(w, head);
    w0 = addPiece(w0, a0, d, x0 - X_SCALE); w1 = addPiece(w1, a1, d, x1 - X_SCALE);
    w2 = addPiece(w2, a2, d, x2 - X_SCALE); w3 = addPiece(w3, a3, d, x3 - X_SCALE);
    d = scales(v, head);
    v0 = addPiece(v0, c0, d, x0 - X_SCALE); v1 = addPiece(v1, c1, d, x1 - X_SCALE);
    v2 = addPiece(v2, c2, d, x2 - X_SCALE); v3 = addPiece(v3, c3, d, x3 - X_SCALE);
    w += head + BODY; v += head + BODY;
    x0 += 8; x1 += 8; x2 += 8; x3 += 8;
  }
  v128.store(out, w0); v128.store(out, v0, 16);
  v128.store(o1, w1); v128.store(o1, v1, 16);
  v128.store(o2, w2); v128.store(o2, v2, 16);
  v128.store(o3, w3); v128.store(o3, v3, 16);
}

/** out (n, 8) at a stride ← 0, for tiles to add to */
export function clearTiles(out: usize, outStride: usize, n: i32): void {
  for (; n > 0; n--) {
    v128.store(out, i32x4.splat(0));
    v128.store(out, i32x4.splat(0), 16);
    out += outStride;
  }
}
