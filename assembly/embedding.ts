// out[t] = table[tokens[t]], stored values turned into f32.

import { BF16, F16, F32, load4, load4Part, valueBytes } from './dot';
import { halfToFloat } from './half';
import { storePart } from './math';

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

/** `cols` int8 values from `q` on, times their block's scale */
// @ts-ignore: decorator
@inline
function int8Block(out: usize, q: usize, d: f32): void {
  for (let i: usize = 0; i < 32; i++) store<f32>(out + (i << 2), <f32>load<i8>(q + i) * d);
}

export function embedding_q8_0(out: usize, tokens: usize, table: usize, n: i32, cols: i32): void {
  const blocks = cols >> 5;
  for (let t = 0; t < n; t++) {
    let block = table + <usize>load<u32>(tokens) * blocks * 34;
    for (let b = 0; b < blocks; b++) {
      int8Block(out, block + 2, halfToFloat(load<u16>(block)));
      block += 34;
      out += 128;
    }
    tokens += 4;
  }
}

export function embedding_q8_f32(out: usize, tokens: usize, table: usize, n: i32, cols: i32): void {
  const blocks = cols >> 5;
  for (let t = 0; t < n; t++) {
    let block = table + <usize>load<u32>(tokens) * blocks * 36;
    for (let b = 0; b < blocks; b++) {
      int8Block(out, block + 4, load<f32>(block));
      block += 36;
      out += 128;
    }
    tokens += 4;
  }
}

export function embedding_q4_0(out: usize, tokens: usize, table: usize, n: i32, cols: i32): void {
  const blocks = cols >> 5;
  for (let t = 0; t < n; t++) {
    let block = table + <usize>load<u32>(tokens) * blocks * 18;
    for (let b = 0; b < blocks; b++) {
      const d = halfToFloat(load<u16>(block));
      for (let i: usize = 0; i < 16; i++) {
        const pair = <i32>load<u8>(block + i, 2);
        store<f32>(out + (i << 2), <f32>((pair & 15) - 8) * d);
        store<f32>(out + (i << 2), <f32>((pair >> 4) - 8) * d, 64);
      }
      block += 18;
      out += 128;
    }
    tokens += 4;
  }
}
