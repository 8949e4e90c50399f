// out = x · wᵀ for int8 weights in groups of four rows. Four tokens: two groups at a time, so that a loaded activation
// serves eight rows and a loaded weight four tokens. One token: four groups at a time from four far places of the matrix,
// since a processor fetches four streams from memory faster than one. All sum in the same order, so a token's result does
// not depend on its company.

import { X_BLOCK } from './activations';
import { Q8_0, Q8_F32 } from './formats';
import { multipliesFours } from './fours';
import { storePart } from './math';
import { BODY, clearTiles, Fours, fourGroups8, headBytes8, Pairs, tile8 } from './piece-q8';

/** Rows of a group on their way to a place that is shorter. */
const LAST = memory.data(16, 16);

/** Rows 4 · first … 4 · last − 1 of the matrix for one token. */
// @ts-ignore: decorator
@inline
function oneToken<T, D>(out: usize, x: usize, w: usize, first: i32, last: i32, groupBytes: usize, blocks: i32): void {
  const far = (last - first) >> 2;
  let at = w + <usize>first * groupBytes, o = out + (<usize>first << 4);
  for (let g = 0; g < far; g++) {
    fourGroups8<T, D>(o, <usize>far << 4, at, <usize>far * groupBytes, x, blocks);
    at += groupBytes;
    o += 16;
  }
  for (let g = first + 4 * far; g < last; g++) {
    fourGroups8<T, D>(out + (<usize>g << 4), 0, w + <usize>g * groupBytes, 0, x, blocks);
  }
}

// @ts-ignore: decorator
@inline
function matmul<T, D>(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  assert(cols % 32 == 0, 'matmul: cols must be a multiple of the block');
  const blocks = cols >> 5, groups = rows >> 2, rest = rows & 3;
  const groupBytes = <usize>blocks * (headBytes8<T>() + BODY), xStride = <usize>blocks * X_BLOCK;
  const outStride = <usize>rows << 2;
  const inTiles = n & ~3;
  // sixteen rows stay in the nearest caches while all tokens pass
  const step = n == 1 ? max(groups, 1) : 4;
  for (let g = 0; g < groups; g += step) {
    const last = min(groups, g + step);
    let paired = g;
    if (inTiles) {
      for (; paired + 2 <= last; paired += 2) {
        const at = w + <usize>paired * groupBytes;
        clearTiles(out + (<usize>paired << 4), outStride, inTiles);
        for (let t = 0; t < inTiles; t += 4) {
          const o = out + <usize>t * outStride + (<usize>paired << 4);
          tile8<D>(o, outStride, at, at + groupBytes, x + <usize>t * xStride, xStride, blocks, headBytes8<T>());
        }
      }
    }
    for (let t = 0; t < n; t++) {
      const from = t < inTiles ? paired : g;
      oneToken<T, D>(out + <usize>t * outStride, x + <usize>t * xStride, w, from, last, groupBytes, blocks);
    }
  }
  if (rest) {
    for (let t = 0; t < n; t++) {
      fourGroups8<T, D>(LAST, 0, w + <usize>groups * groupBytes, 0, x + <usize>t * xStride, blocks);
      storePart(out + <usize>t * outStride + (<usize>groups << 4), v128.load(LAST), rest);
    }
  }
}

/** In the way that is the faster one on this engine. */
// @ts-ignore: decorator
@inline
function matmul8<T>(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  if (ASC_FEATURE_RELAXED_SIMD && multipliesFours()) matmul<T, Fours>(out, x, w, n, rows, cols);
  else matmul<T, Pairs>(out, x, w, n, rows, cols);
}

/** x (n, cols/32) blocks of 7-bit activations, w ⌈rows/4⌉ groups, out (n, rows) */
export function matmul_q8_0(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  matmul8<Q8_0>(out, x, w, n, rows, cols);
}
export function matmul_q8_f32(out: usize, x: usize, w: usize, n: i32, rows: i32, cols: i32): void {
  matmul8<Q8_F32>(out, x, w, n, rows, cols);
}
