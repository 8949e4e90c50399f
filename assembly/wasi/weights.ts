// The weights on their way from the file into the order in which the kernels read them, as host/weights.ts and `fill` of
// host/wasm.ts take them.

import { fail } from './errors';
import { finite_bf16, finite_f16, finite_f32, finite_halves, finite_q8_0 } from '../finite';
import { relayout_q8_0 } from '../relayout';
import {
  relayout_iq4_nl, relayout_iq4_xs, relayout_q2_k, relayout_q3_k, relayout_q4_0, relayout_q4_1,
  relayout_q4_k, relayout_q5_0, relayout_q5_1, relayout_q5_k, relayout_q6_k,
} from '../relayout-blocks';
import { readAt } from './file';
import { aboutTensor } from './gguf';
import { Tensor, modelTensor, modelTensors } from './llama-file';
import { alloc } from './memory';
import {
  BF16, F16, F32, IQ4_NL, IQ4_XS, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0,
  blockBytes, blockValues, groupBytes, halfOf, halvesOf, isGrouped, memoryBytes, rowBytes,
} from './types';

/** Bytes read at once. */
const PIECE: u64 = 1 << 20;

/** Rows read at once: a multiple of four. */
function rowsAtOnce(tensor: Tensor): i32 {
  return 4 * max(1, <i32>(PIECE / (rowBytes(tensor.type, tensor.cols) * 4)));
}

/** Plans a place for each tensor; returns how many stored bytes must be held while they are laid out. */
export function planWeights(): u64 {
  let held: u64 = 0;
  for (let i: u32 = 0; i < modelTensors(); i++) {
    const tensor = modelTensor(i);
    tensor.buf = alloc(memoryBytes(tensor.type, tensor.rows, tensor.cols));
    if (!isGrouped(tensor.type)) continue;
    const rows = min(rowsAtOnce(tensor), tensor.rows);
    held = max(held, rows * rowBytes(tensor.type, tensor.cols));
  }
  return held;
}

/** @param scratch as many bytes as `planWeights` asked for */
export function loadWeights(scratch: usize): void {
  for (let i: u32 = 0; i < modelTensors(); i++) loadTensor(modelTensor(i), scratch);
}

function loadTensor(tensor: Tensor, scratch: usize): void {
  const type = tensor.type, cols = tensor.cols;
  const stored = rowBytes(type, cols);
  const atOnce = rowsAtOnce(tensor);
  const grouped = isGrouped(type);
  for (let row = 0; row < tensor.rows; row += atOnce) {
    const rows = min(atOnce, tensor.rows - row);
    const target = tensor.buf + (grouped ? <usize>(row >> 2) * <usize>groupBytes(type, cols) : <usize>row * <usize>stored);
    const place = grouped ? scratch : target;
    readAt(place, <usize>(rows * stored), tensor.offset + row * stored);
    if (!isFiniteAt(place, type, <u64>rows * cols)) {
      aboutTensor(tensor.index);
      const hint = 'The file is damaged or its training diverged; take another checkpoint.';
      fail('non-finite-weights', 'finite numbers', 'NaN or an infinity from row # on', hint, row);
    }
    if (grouped) relayout(target, place, type, rows, cols);
  }
}

function isFiniteAt(place: usize, type: u32, count: u64): bool {
  switch (type) {
    case F32: return finite_f32(place, <i32>count);
    case F16: return finite_f16(place, <i32>count);
    case BF16: return finite_bf16(place, <i32>count);
    case Q8_0: return finite_q8_0(place, <i32>count);
  }
  const blocks = <i32>(count / blockValues(type));
  const half = place + halfOf(type), stride = blockBytes(type);
  return finite_halves(half, blocks, stride) && (halvesOf(type) < 2 || finite_halves(half + 2, blocks, stride));
}

function relayout(out: usize, rows: usize, type: u32, count: i32, cols: i32): void {
  switch (type) {
    case Q8_0: relayout_q8_0(out, rows, count, cols); break;
    case Q4_0: relayout_q4_0(out, rows, count, cols); break;
    case Q4_1: relayout_q4_1(out, rows, count, cols); break;
    case Q5_0: relayout_q5_0(out, rows, count, cols); break;
    case Q5_1: relayout_q5_1(out, rows, count, cols); break;
    case Q2_K: relayout_q2_k(out, rows, count, cols); break;
    case Q3_K: relayout_q3_k(out, rows, count, cols); break;
    case Q4_K: relayout_q4_k(out, rows, count, cols); break;
    case Q5_K: relayout_q5_k(out, rows, count, cols); break;
    case Q6_K: relayout_q6_k(out, rows, count, cols); break;
    case IQ4_NL: relayout_iq4_nl(out, rows, count, cols); break;
    case IQ4_XS: relayout_iq4_xs(out, rows, count, cols); break;
  }
}
