// Bugs in kernels of inference.

import type { MockOptions } from '../../gpu-plugin/build.ts';
import type { Precision } from '../../host/train/config.ts';
import {
  add,
  attention,
  longAttention,
  matmulOf,
  prompts,
  ROUNDED,
  type Run,
  rmsnorm,
  sample,
  sampleMany,
} from './cuda-runs.ts';

export interface Bug {
  plant: NonNullable<MockOptions['plant']>;
  run: Run;
  precision?: Precision;
  /** Largest error that is not one. */
  bound?: number;
}

export const BUGS: Record<string, Bug> = {
  'no barrier between the parts of a sum and their sum': {
    plant: {
      file: 'reduce.cuh',
      replace: 'parts[threadIdx.x >> 5] = v;\n  __syncthreads();\n  return warpSum',
      by: 'parts[threadIdx.x >> 5] = v;\n  return warpSum',
    },
    run: rmsnorm,
  },
  'no barrier before a tile is overwritten': {
    plant: {
      file: 'matmul.cu',
      replace: 'addProducts(sums, tokens, weights);\n    __syncthreads();',
      by: 'addProducts(sums, tokens, weights);',
    },
    run: matmulOf('f32', 20, 20, 128),
  },
  'no bounds of the tokens of a tile': {
    plant: { file: 'matmul.cu', replace: 't < n && r < rows', by: 'r < rows' },
    run: matmulOf('f32', 20, 64, 32),
  },
  'no barrier before the place of a step is filled anew': {
    plant: { file: 'gemm.cuh', replace: 'STAGES - 2>();\n    __syncthreads();', by: 'STAGES - 2>();' },
    run: matmulOf('bf16', 20, 130, 256),
  },
  'a wait that is over one step too early': {
    plant: {
      file: 'gemm.cuh',
      replace: 'waitForCopies<Tile::STAGES - 2>',
      by: 'waitForCopies<Tile::STAGES - 1>',
    },
    run: matmulOf('f16', 20, 20, 256),
  },
  'pieces of a row in their own order': {
    plant: { file: 'gemm_sides.cuh', replace: ': (row >> 1) & 3', by: ': 0' },
    run: matmulOf('q4_0', 20, 20, 64),
  },
  'values beyond the end of a depth': {
    plant: { file: 'gemm_sides.cuh', replace: ' < depth;', by: ' < depth + 8;' },
    run: matmulOf('bf16', 20, 20, 40),
  },
  'rows of a product beyond its end': {
    plant: { file: 'gemm.cuh', replace: 'if (row >= m) break;', by: '' },
    run: matmulOf('bf16', 20, 20, 40),
  },
  'two columns where one is left': {
    plant: { file: 'gemm.cuh', replace: 'col + 1 < n, aligned', by: 'true, aligned' },
    run: matmulOf('bf16', 20, 21, 40),
  },
  'a step unpacked over one that is still needed': {
    plant: { file: 'gemm.cuh', replace: 'right.finish(stage(later)', by: 'right.finish(stage(step)' },
    run: matmulOf('q6_k', 20, 20, 512),
  },
  'the first part of a depth for each of them': {
    plant: { file: 'gemm.cuh', replace: 'firstStep = blockIdx.y * share', by: 'firstStep = 0 * share' },
    run: matmulOf('q4_0', 20, 20, 1024),
  },
  'the scale of the first row for all': {
    plant: { file: 'gemm.cuh', replace: 'scales[row] : 1', by: 'scales[0] : 1' },
    run: matmulOf('f16', 20, 20, 1),
  },
  'zeros that are missing at the end of a row': {
    plant: { file: 'unpack.cuh', replace: 'i + j < cols ? F32', by: 'i + j < cols + 1 ? F32' },
    run: matmulOf('bf16', 20, 20, 41),
  },
  'no bounds in an elementwise kernel': {
    plant: { file: 'add.cu', replace: 'if (i < count) ', by: 'if (i <= count) ' },
    run: add,
  },
  'a lane short of a warp': {
    plant: { file: 'reduce.cuh', replace: 'int by = 16;', by: 'int by = 8;' },
    run: matmulOf('f16', 1, 3, 256),
  },
  'lanes that begin at the wrong number': {
    plant: { file: 'matvec.cu', replace: 'int from = lane;', by: 'int from = lane + 1;' },
    run: matmulOf('f16', 2, 9, 65),
  },
  'the scale of another run of activations': {
    plant: { file: 'matvec8.cu', replace: 'factors[at]', by: 'factors[at & ~1]' },
    run: matmulOf('q4_0', 2, 9, 128),
  },
  'sixteen activations that meet the wrong weights': {
    plant: {
      file: 'matvec8.cuh',
      replace: '{2 * u, 2 * u + 1}, {d, d}, {min',
      by: '{2 * u, 2 * u}, {d, d}, {min',
    },
    run: matmulOf('q4_0', 2, 9, 128),
  },
  'a row beyond the last': {
    plant: {
      file: 'matvec.cuh',
      replace: 'const bool both = 2 * at + 1 < m.rows[i];',
      by: 'const bool both = true;',
    },
    run: matmulOf('q4_0', 1, 9, 128),
  },
  'the first field of a block in each of its planes': {
    plant: { file: 'planes.cu', replace: 'before + 2 * (i', by: '2 * (i' },
    run: matmulOf('q4_0', 1, 9, 128),
  },
  'threads of a block at different barriers': {
    plant: {
      file: 'attention.cuh',
      replace: '  __syncthreads();\n  Softmax all',
      by: '  if (warp == 0)\n    __syncthreads();\n  else\n    __syncthreads();\n  Softmax all',
    },
    run: attention,
  },
  'a key from the future': {
    plant: { file: 'attention.cu', replace: '0, positions[t] + 1', by: '0, positions[t] + 2' },
    run: attention,
  },
  'a part that begins where the last one did': {
    plant: { file: 'attention.cu', replace: 'first = part * each', by: 'first = max(0, part * each - 1)' },
    run: longAttention,
  },
  'the sums of a part without positions': {
    plant: { file: 'attention.cu', replace: 'if (part[headDim + 1] > 0) ', by: '' },
    run: longAttention,
  },
  'a lane of the eight left out': {
    plant: {
      file: 'attention.cuh',
      replace: 'int by = LANES_TOGETHER / 2',
      by: 'int by = LANES_TOGETHER / 4',
    },
    run: attention,
  },
  'no rescaling of what was summed': {
    plant: { file: 'attention.cuh', replace: 'sum[r][i] * shrink', by: 'sum[r][i]' },
    run: longAttention,
  },
  'no barrier between the steps of a sort': {
    plant: { file: 'sample.cu', replace: 'apart /= 2) {\n      __syncthreads();', by: 'apart /= 2) {' },
    run: sample,
  },
  'a candidate one place too far': {
    plant: {
      file: 'sample.cu',
      replace: 'place += before + (run[before] < key)',
      by: 'place += before + (run[before] <= key)',
    },
    run: sampleMany,
  },
  'no barrier before keys and values are overwritten': {
    plant: {
      file: 'flash_forward.cuh',
      replace: '    __syncthreads();  // the tiles are there, those before them have been read\n',
      by: '',
    },
    run: prompts,
    bound: ROUNDED,
  },
  "no barrier before another sequence's keys": {
    plant: {
      file: 'flash_forward.cuh',
      replace: '  __syncthreads();  // what an earlier call brought has been read\n',
      by: '',
    },
    run: prompts,
    bound: ROUNDED,
  },
  'copies that are waited for too late': {
    plant: { file: 'flash_forward.cuh', replace: 'waitForCopies<0>', by: 'waitForCopies<1>' },
    run: prompts,
    bound: ROUNDED,
  },
  'keys and values beyond the last': {
    plant: { file: 'flash_forward.cuh', replace: 'from + j < count ? ', by: 'from + j < count + 1 ? ' },
    run: prompts,
    bound: ROUNDED,
  },
  'queries beyond the last': {
    plant: { file: 'flash.cu', replace: 'first + r < end ? ', by: 'first + r <= end ? ' },
    run: prompts,
    bound: ROUNDED,
  },
  'rows of a tile in the same banks': {
    plant: { file: 'flash.cuh', replace: '(c ^ (r & 7))', by: 'c' },
    run: prompts,
    bound: ROUNDED,
  },
  "a tile's key from the future": {
    plant: { file: 'flash_forward.cuh', replace: 'i % 2) * step >', by: 'i % 2 - 1) * step >' },
    run: prompts,
    bound: ROUNDED,
  },
  'no rescaling of values that were mixed': {
    plant: { file: 'flash_forward.cuh', replace: '[2 * half] *= shrink', by: '[2 * half] *= 1' },
    run: prompts,
    bound: ROUNDED,
  },
  'sequences taken for one where they meet': {
    plant: {
      file: 'runs.cuh',
      replace: 'slots[i] == slots[t] && positions[i] - i == positions[t] - t',
      by: 'slots[i] == slots[t] || positions[i] >= 0',
    },
    run: prompts,
    bound: ROUNDED,
  },
};
