// Bugs in kernels of training.

import type { Bug } from './cuda-bugs.ts';
import { learning, losses, ROUNDED, sumSquares } from './cuda-runs.ts';
import { attention as attentionInside, embedding, matmul, rmsnorm as rmsnormOf } from './train-ops.ts';

export const TRAIN_BUGS: Record<string, Bug> = {
  'turned pieces in their own order': {
    plant: { file: 'gemm_sides.cuh', replace: 'TURNED ? row & 7', by: 'TURNED ? 0' },
    run: learning(matmul(9, 20, 40)),
    precision: 'bf16',
  },
  'a gradient on tensor cores that replaces what was there': {
    plant: { file: 'gemm.cuh', replace: 'add ? *both :', by: 'false ? *both :' },
    run: learning(matmul(9, 20, 40)),
    precision: 'bf16',
  },
  'rows of another matrix in the last tile of a gradient': {
    plant: { file: 'matmul_backward.cu', replace: 'firstRow + r < m && ', by: '' },
    run: learning(matmul(7, 70, 40)),
  },
  'a gradient that replaces what was there': {
    plant: { file: 'matmul_backward.cu', replace: 'n + c] += sums', by: 'n + c] = sums' },
    run: learning(matmul(7, 70, 40)),
  },
  'an id that stands at two places, added twice': {
    plant: { file: 'embedding.cu', replace: 'blockSum(before) > 0 || ', by: '' },
    run: learning(embedding(9, 5, 8)),
  },
  'a weight of a norm from one warp alone': {
    plant: { file: 'rmsnorm.cu', replace: 'i = 1; i < warps', by: 'i = 1; i < 1' },
    run: learning(rmsnormOf(20, 40)),
  },
  'the last token out of reach of its own key': {
    plant: { file: 'attention_train.cu', replace: '(T - j) * group', by: '(T - j - 1) * group' },
    run: learning(attentionInside(2, 9, 4, 2, 40)),
  },
  'no barrier before the parts of another gradient': {
    plant: {
      file: 'attention_train.cu',
      replace: '  __syncthreads();  // what was added before has been read\n',
      by: '',
    },
    run: learning(attentionInside(2, 9, 4, 2, 40)),
  },
  'no barrier before the keys of a gradient are overwritten': {
    plant: {
      file: 'flash_backward.cu',
      replace: '    __syncthreads();  // the keys and values before have been read\n',
      by: '',
    },
    run: learning(attentionInside(1, 70, 2, 1, 32)),
    precision: 'bf16',
    bound: ROUNDED,
  },
  'no barrier before the queries of a gradient are overwritten': {
    plant: {
      file: 'flash_backward.cu',
      replace: '    __syncthreads();  // the queries before have been read\n',
      by: '',
    },
    run: learning(attentionInside(1, 70, 2, 1, 32)),
    precision: 'bf16',
    bound: ROUNDED,
  },
  'one head of a group': {
    plant: { file: 'flash_train.cuh', replace: 'T * group, kvHeads', by: 'T, kvHeads' },
    run: learning(attentionInside(1, 70, 2, 1, 32)),
    precision: 'bf16',
    bound: ROUNDED,
  },
  'a key out of reach of its own token': {
    plant: { file: 'flash_backward.cu', replace: '<= from + r', by: '< from + r' },
    run: learning(attentionInside(1, 70, 2, 1, 32)),
    precision: 'bf16',
    bound: ROUNDED,
  },
  'a query out of reach of its own key': {
    plant: { file: 'flash_backward.cu', replace: '<= down + i / 2 * 8', by: '< down + i / 2 * 8' },
    run: learning(attentionInside(1, 70, 2, 1, 32)),
    precision: 'bf16',
    bound: ROUNDED,
  },
  'rows beyond the last in the sums of a key': {
    plant: { file: 'flash_backward.cu', replace: 'if (r >= part.count) ', by: 'if (r > part.count) ' },
    run: learning(attentionInside(1, 70, 2, 1, 32)),
    precision: 'bf16',
    bound: ROUNDED,
  },
  "a tile's gradient that replaces what was there": {
    plant: { file: 'flash_train.cuh', replace: '{two->x + scale', by: '{scale' },
    run: learning(attentionInside(1, 70, 2, 1, 32)),
    precision: 'bf16',
    bound: ROUNDED,
  },
  'the first part of a sum for each of them': {
    plant: {
      file: 'adamw.cu',
      replace: 'sum += parts[i]',
      by: 'sum += parts[0]',
    },
    run: sumSquares,
  },
  "no barrier behind the target's logit": {
    plant: { file: 'loss.cu', replace: "  __syncthreads();  // the target's logit has been read\n", by: '' },
    run: losses,
  },
};
