// Rows of the kv cache: headDim numbers as f32, f16 or q8_0 (host/dtype.ts has the layouts). Numbers are rounded when they are
// appended: f16 to the nearest, ties to even; q8_0 as ggml does, d = max|x| / 127 and q = x · (1 / d) with ties away from
// zero. A number beyond the largest half becomes the largest half, one that is not finite NaN.

import { F16, F32 } from './dot';
import { Q8_0 } from './formats';
import { floatToHalf4, halfToFloat, halfToFloat4, NOT_FINITE } from './half';
import { largestLane, loadPart, storePart } from './math';

/** Bytes of a block of q8_0: a half float, 32 codes. */
const Q8_BLOCK: usize = 34;
/** Largest magnitudes below this get scales of 0 as half floats, and inverses that may overflow. */
const TINY: f32 = 1e-30;

/** Bytes of a row. */
// @ts-ignore: decorator
@inline
export function rowBytes<T>(headDim: i32): usize {
  if (idof<T>() == idof<F32>()) return <usize>headDim << 2;
  if (idof<T>() == idof<F16>()) return <usize>headDim << 1;
  return <usize>(headDim >> 5) * Q8_BLOCK;
}

/** Bytes of a row as f32, filled up with zeros to a whole number of vectors. */
// @ts-ignore: decorator
@inline
export function strideOf(headDim: i32): usize {
  return <usize>(headDim + 3 & ~3) << 2;
}

/** `count` rows as f32, `strideOf(headDim)` bytes apart: where they are if they are such, else copies in `work`. */
// @ts-ignore: decorator
@inline
export function rowsAt<T>(rows: usize, count: i32, headDim: i32, work: usize): usize {
  if (idof<T>() == idof<F32>()) if (!(headDim & 3)) return rows;
  const bytes = rowBytes<T>(headDim), stride = strideOf(headDim);
  let out = work;
  for (let j = 0; j < count; j++) {
    if (idof<T>() == idof<Q8_0>()) takeQ8(out, rows, headDim);
    else if (idof<T>() == idof<F16>()) takeHalves(out, rows, headDim);
    else takeFloats(out, rows, headDim);
    rows += bytes;
    out += stride;
  }
  return work;
}

function takeFloats(out: usize, row: usize, headDim: i32): void {
  const whole = <usize>(headDim & ~3) << 2;
  for (let i: usize = 0; i < whole; i += 16) v128.store(out + i, v128.load(row + i));
  v128.store(out + whole, loadPart(row + whole, headDim & 3));
}

function takeHalves(out: usize, row: usize, headDim: i32): void {
  const start = out;
  // without the sign, times 2
  let highest = i16x8.splat(0);
  let i = 0;
  for (; i + 8 <= headDim; i += 8) {
    const h = v128.load(row);
    highest = i16x8.max_u(highest, i16x8.shl(h, 1));
    v128.store(out, halfToFloat4(i32x4.extend_low_i16x8_u(h)));
    v128.store(out, halfToFloat4(i32x4.extend_high_i16x8_u(h)), 16);
    row += 16;
    out += 32;
  }
  for (; i < headDim; i += 4) {
    let h = i32x4.replace_lane(i32x4.splat(0), 0, load<u16>(row));
    const rest = headDim - i;
    if (rest > 1) h = i32x4.replace_lane(h, 1, load<u16>(row, 2));
    if (rest > 2) h = i32x4.replace_lane(h, 2, load<u16>(row, 4));
    if (rest > 3) h = i32x4.replace_lane(h, 3, load<u16>(row, 6));
    highest = i16x8.max_u(highest, i16x8.shl(h, 1));
    v128.store(out, halfToFloat4(h));
    row += 8;
    out += 16;
  }
  // a NaN anywhere makes the row NaN: what looks at it has no result either way
  if (v128.any_true(i16x8.ge_u(highest, i16x8.splat(<i16>(NOT_FINITE << 1))))) fillNaN(start, headDim);
}

function takeQ8(out: usize, row: usize, headDim: i32): void {
  for (let i = 0; i < headDim; i += 32) {
    const half = <u32>load<u16>(row);
    const d = f32x4.splat((half & 0x7fff) >= NOT_FINITE ? f32.NaN : halfToFloat(half));
    for (let k: usize = 0; k < 32; k += 8) {
      const q = v128.load_ext<i8>(row + k, 2);
      v128.store(out, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(q)), d));
      v128.store(out, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(q)), d), 16);
      out += 32;
    }
    row += Q8_BLOCK;
  }
}

function fillNaN(out: usize, headDim: i32): void {
  for (let i = 0; i < headDim; i++) store<f32>(out + (<usize>i << 2), f32.NaN);
}

// @ts-ignore: decorator
@inline
function putHalves(row: usize, x: usize, headDim: i32): void {
  let i = 0;
  for (; i + 4 <= headDim; i += 4) {
    const h = floatToHalf4(v128.load(x));
    v128.store64_lane(row, i16x8.narrow_i32x4_u(h, h), 0);
    row += 8;
    x += 16;
  }
  const rest = headDim - i;
  if (rest) {
    const h = floatToHalf4(loadPart(x, rest));
    store<u16>(row, <u16>i32x4.extract_lane(h, 0));
    if (rest > 1) store<u16>(row, <u16>i32x4.extract_lane(h, 1), 2);
    if (rest > 2) store<u16>(row, <u16>i32x4.extract_lane(h, 2), 4);
  }
}

// @ts-ignore: decorator
@inline
function putQ8(row: usize, x: usize, headDim: i32): void {
  for (let b = 0; b < headDim; b += 32) {
    let m = f32x4.abs(v128.load(x));
    for (let i: usize = 16; i < 128; i += 16) m = f32x4.max(m, f32x4.abs(v128.load(x + i)));
    const largest = largestLane(m);
    const d: f32 = largest / 127;
    store<u16>(row, <u16>i32x4.extract_lane(floatToHalf4(f32x4.splat(d)), 0));
    const inverse = f32x4.splat(largest > TINY ? <f32>1 / d : 0);
    for (let i: usize = 0; i < 32; i += 8) {
      const a = roundAway(f32x4.mul(v128.load(x), inverse)), c = roundAway(f32x4.mul(v128.load(x, 16), inverse));
      const q = i16x8.narrow_i32x4_s(a, c);
      v128.store64_lane(row + i, i8x16.narrow_i16x8_s(q, q), 0, 2);
      x += 32;
    }
    row += Q8_BLOCK;
  }
}

/** To the nearest integer, ties away from zero: the largest f32 below 0.5 is added, since 0.5 would lift it to 1. */
// @ts-ignore: decorator
@inline
function roundAway(x: v128): v128 {
  const half = v128.or(v128.and(x, i32x4.splat(0x80000000)), f32x4.splat(0.49999997));
  return i32x4.trunc_sat_f32x4_s(f32x4.add(x, half));
}

/** cache[slots[t]][h][positions[t]] = x[t][h];  x (n, kvHeads, headDim), cache (slots, kvHeads, capacity, headDim) */
// @ts-ignore: decorator
@inline
function append<T>(
  cache: usize, x: usize, slots: usize, positions: usize, n: i32, kvHeads: i32, headDim: i32, capacity: i32,
): void {
  const bytes = rowBytes<T>(headDim);
  for (let t = 0; t < n; t++) {
    const slot = load<u32>(slots), position = load<u32>(positions);
    assert(<i32>position < capacity, 'append: position beyond the cache');
    let row = cache + (<usize>slot * kvHeads * capacity + position) * bytes;
    for (let h = 0; h < kvHeads; h++) {
      if (idof<T>() == idof<Q8_0>()) putQ8(row, x, headDim);
      else if (idof<T>() == idof<F16>()) putHalves(row, x, headDim);
      else memory.copy(row, x, bytes);
      row += <usize>capacity * bytes;
      x += <usize>headDim << 2;
    }
    slots += 4;
    positions += 4;
  }
}

export function append_f32(
  cache: usize, x: usize, slots: usize, positions: usize, n: i32, kvHeads: i32, headDim: i32, capacity: i32,
): void {
  append<F32>(cache, x, slots, positions, n, kvHeads, headDim, capacity);
}

export function append_f16(
  cache: usize, x: usize, slots: usize, positions: usize, n: i32, kvHeads: i32, headDim: i32, capacity: i32,
): void {
  append<F16>(cache, x, slots, positions, n, kvHeads, headDim, capacity);
}

/** headDim is a multiple of 32. */
export function append_q8_0(
  cache: usize, x: usize, slots: usize, positions: usize, n: i32, kvHeads: i32, headDim: i32, capacity: i32,
): void {
  append<Q8_0>(cache, x, slots, positions, n, kvHeads, headDim, capacity);
}
