// out[t] = table[tokens[t]], stored values turned into f32.

import { add } from './add';
import { BF16, F16, F32, load4, load4Part, valueBytes } from './dot';
import { halfToFloat } from './half';
import { storePart } from './math';
import { BODY, HEAD_Q8_0, HEAD_Q8_F32 } from './piece-q8';

// @ts-ignore: decorator
@inline
function embedding<T>(out: usize, tokens: usize, table: usize, n: i32, cols: i32): void {
  const rest = cols & 3;
  for (let t = 0; t < n; t++) {
    let row = table + <usize>load<u32>(tokens) * <usize>cols * valueBytes<T>();
    const end = out + (<usize>(cols - rest) << 2);
    for (; out < end; out += 16) {
      v128.store(out, load4<T>(row));
      row += valueBytes<T>() * 4;
    }
    if (rest) {
      storePart(out, load4Part<T>(row, rest), rest);
      out += <usize>rest << 2;
    }
    tokens += 4;
  }
}

/** tokens (n), table (any, cols), out (n, cols) */
export function embedding_f32(out: usize, tokens: usize, table: usize, n: i32, cols: i32): void {
  embedding<F32>(out, tokens, table, n, cols);
}
export function embedding_f16(out: usize, tokens: usize, table: usize, n: i32, cols: i32): void {
  embedding<F16>(out, tokens, table, n, cols);
}
export function embedding_bf16(out: usize, tokens: usize, table: usize, n: i32, cols: i32): void {
  embedding<BF16>(out, tokens, table, n, cols);
}

/** dTable[tokens[t]] += dOut[t], in the order of the tokens;  dOut (n, cols), tokens (n), dTable (any, cols) */
export function embeddingBackward(dTable: usize, dOut: usize, tokens: usize, n: i32, cols: i32): void {
  const bytes = <usize>cols << 2;
  for (let t = 0; t < n; t++) {
    const row = dTable + <usize>load<u32>(tokens) * bytes;
    add(row, row, dOut, cols);
    dOut += bytes;
    tokens += 4;
  }
}

/** Place of column k (0 … 3) of row r in a vector of bytes. */
// @ts-ignore: decorator
@inline
function byteOf(r: usize, k: usize): usize {
  if (ASC_FEATURE_RELAXED_SIMD) return 4 * r + k;
  return ((k >> 1) << 3) + 2 * r + (k & 1);
}

/** out (32) ← row r of an int8 piece: columns 4j … 4j + 3 stand in vector j (relayout.ts has their places). */
export function rowOfPiece8(out: usize, piece: usize, r: usize, head: usize): void {
  const d = head == HEAD_Q8_0 ? halfToFloat(load<u16>(piece + 2 * r)) : load<f32>(piece + 4 * r);
  for (let k: usize = 0; k < 32; k++) {
    const place = ((k >> 2) << 4) + byteOf(r, k & 3);
    store<f32>(out + (k << 2), <f32>load<i8>(piece + head + 8 + place) * d);
  }
}

function embedding8(out: usize, tokens: usize, table: usize, n: i32, cols: i32, head: usize): void {
  const blocks = cols >> 5;
  for (let t = 0; t < n; t++) {
    const token = load<u32>(tokens);
    let piece = table + <usize>(token >> 2) * blocks * (head + BODY);
    for (let b = 0; b < blocks; b++) {
      rowOfPiece8(out, piece, token & 3, head);
      piece += head + BODY;
      out += 128;
    }
    tokens += 4;
  }
}

export function embedding_q8_0(out: usize, tokens: usize, table: usize, n: i32, cols: i32): void {
  embedding8(out, tokens, table, n, cols, HEAD_Q8_0);
}
export function embedding_q8_f32(out: usize, tokens: usize, table: usize, n: i32, cols: i32): void {
  embedding8(out, tokens, table, n, cols, HEAD_Q8_F32);
}
