// Products of two f32 matrices for training, blocked and packed as in Goto and van de Geijn 2008, "Anatomy of
// High-Performance Matrix Multiplication". An element of the product is summed over k in ascending order in blocks that
// begin at multiples of DEPTH, each from zero, and the blocks are added in ascending order: one order, whatever the
// tile. Tiles at the edges are computed whole, with zeros, and stored in part.

import { loadPart, storePart } from './math';
import { packColumns, packRows } from './pack';

/** A tile of the product: 4 rows of 8 columns in eight registers. (Measured: taller and wider ones spill.) */
const ROWS = 4;
const COLS = 8;
/** Of k at once: a panel of 8 columns then has 8 KiB and stays in the first cache. */
const DEPTH = 256;
/** Rows packed at once, 64 KiB of them: they stay in the second cache. */
const MOST_ROWS = 64;
/** Columns packed at once, 512 KiB of them. */
const MOST_COLS = 512;

const EDGE = memory.data(ROWS * COLS * 4, 16);

/** Bytes of memory for packed blocks that a product of (m, k) and (k, n) needs. */
export function gemmBytes(m: i32, n: i32, k: i32): usize {
  return bytesOfColumns(n, k) + ((<usize>min(MOST_ROWS, (m + ROWS - 1) & -ROWS) * min(DEPTH, k)) << 2);
}

// @ts-ignore: decorator
@inline
function bytesOfColumns(n: i32, k: i32): usize {
  return (<usize>min(MOST_COLS, (n + COLS - 1) & -COLS) * min(DEPTH, k)) << 2;
}

/**
 * c = a · b, or c += a · b;  c (m, n), a (m, k), b (k, n), their rows `…Stride` bytes apart.
 * Where `aTurned`, a is given as (k, m); where `bTurned`, b is given as (n, k).
 */
export function gemm(
  c: usize, a: usize, b: usize, work: usize, m: i32, n: i32, k: i32,
  cStride: usize, aStride: usize, bStride: usize, aTurned: bool, bTurned: bool, accumulate: bool,
): void {
  const packedA = work + bytesOfColumns(n, k);
  for (let j = 0; j < n; j += MOST_COLS) {
    const cols = min(MOST_COLS, n - j);
    // once even for k = 0, where the product is zero
    for (let p = 0; p < max(k, 1); p += DEPTH) {
      const depth = min(DEPTH, k - p);
      if (bTurned) packRows(work, b + <usize>j * bStride + (<usize>p << 2), cols, depth, bStride, COLS);
      else packColumns(work, b + <usize>p * bStride + (<usize>j << 2), cols, depth, bStride, COLS);
      for (let i = 0; i < m; i += MOST_ROWS) {
        const rows = min(MOST_ROWS, m - i);
        if (aTurned) packColumns(packedA, a + <usize>p * aStride + (<usize>i << 2), rows, depth, aStride, ROWS);
        else packRows(packedA, a + <usize>i * aStride + (<usize>p << 2), rows, depth, aStride, ROWS);
        block(c + <usize>i * cStride + (<usize>j << 2), cStride, packedA, work, rows, cols, depth, accumulate || p > 0);
      }
    }
  }
}

/** All tiles of a packed block. */
function block(
  c: usize, cStride: usize, packedA: usize, packedB: usize, rows: i32, cols: i32, depth: i32, add: bool,
): void {
  const aStep = <usize>depth * ROWS << 2, bStep = <usize>depth * COLS << 2;
  for (let j = 0; j < cols; j += COLS) {
    let a = packedA, to = c + (<usize>j << 2);
    for (let i = 0; i < rows; i += ROWS) {
      if (i + ROWS <= rows && j + COLS <= cols) {
        tile(to, cStride, a, packedB, depth, add);
      } else {
        tile(EDGE, COLS << 2, a, packedB, depth, false);
        storeEdge(to, cStride, min(ROWS, rows - i), min(COLS, cols - j), add);
      }
      a += aStep;
      to += cStride * ROWS;
    }
    packedB += bStep;
  }
}

function storeEdge(c: usize, cStride: usize, rows: i32, cols: i32, add: bool): void {
  for (let r = 0; r < rows; r++) {
    for (let j = 0; j < cols; j += 4) {
      const to = c + (<usize>j << 2), count = cols - j;
      let v = v128.load(EDGE + (<usize>(r * COLS + j) << 2));
      if (count >= 4) {
        if (add) v = f32x4.add(v128.load(to), v);
        v128.store(to, v);
      } else {
        if (add) v = f32x4.add(loadPart(to, count), v);
        storePart(to, v, count);
      }
    }
    c += cStride;
  }
}

// @ts-ignore: decorator
@inline
function put(c: usize, low: v128, high: v128, add: bool): void {
  v128.store(c, add ? f32x4.add(v128.load(c), low) : low);
  v128.store(c, add ? f32x4.add(v128.load(c, 16), high) : high, 16);
}

/**
 * c (4, 8) = or += a · b;  a (depth, 4), b (depth, 8), packed. Not unrolled: V8 then loads two steps ahead and spills
 * (measured on Node 20: 25 instead of 32 GFLOP/s).
 */
function tile(c: usize, cStride: usize, a: usize, b: usize, depth: i32, add: bool): void {
  let l0 = f32x4.splat(0), h0 = l0, l1 = l0, h1 = l0, l2 = l0, h2 = l0, l3 = l0, h3 = l0;
  for (const end = a + (<usize>depth << 4); a < end; a += 16) {
    const low = v128.load(b), high = v128.load(b, 16);
    let x = v128.load32_splat(a);
    l0 = f32x4.add(l0, f32x4.mul(x, low)); h0 = f32x4.add(h0, f32x4.mul(x, high));
    x = v128.load32_splat(a, 4);
    l1 = f32x4.add(l1, f32x4.mul(x, low)); h1 = f32x4.add(h1, f32x4.mul(x, high));
    x = v128.load32_splat(a, 8);
    l2 = f32x4.add(l2, f32x4.mul(x, low)); h2 = f32x4.add(h2, f32x4.mul(x, high));
    x = v128.load32_splat(a, 12);
    l3 = f32x4.add(l3, f32x4.mul(x, low)); h3 = f32x4.add(h3, f32x4.mul(x, high));
    b += 32;
  }
  put(c, l0, h0, add);
  put(c + cStride, l1, h1, add);
  put(c + 2 * cStride, l2, h2, add);
  put(c + 3 * cStride, l3, h3, add);
}
