// Bugs that are typical of GPU kernels, planted one at a time: each must be seen by a comparison with the reference or by
// the mock driver itself, under one of a few orders in which threads may take turns.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { MockOptions } from '../gpu-plugin/build.ts';
import type { Precision, TrainBackend } from '../host/train/backend.ts';
import { canBuildMock, trainCudaOnMock, withMock } from './support/gpu.ts';
import { nmse } from './support/numbers.ts';
import { ReferenceCuda } from './support/reference-cuda.ts';
import { encode } from './support/stored.ts';
import { uniform } from './support/tiny-model.ts';
import {
  attention as attentionInside,
  embedding,
  matmul,
  rmsnorm as rmsnormOf,
  runCase,
  type TrainCase,
} from './support/train-ops.ts';

const test = suite('bugs planted in CUDA kernels');
const SEEDS = [0, 1, 2, 3];

type Run = (b: TrainBackend) => Promise<ArrayLike<number>>;

function values(count: number, seed = 1): Float32Array {
  const random = uniform(seed);
  return Float32Array.from({ length: count }, random);
}

function f32(b: TrainBackend, numbers: Float32Array) {
  const buf = b.allocF32(numbers.length);
  b.writeF32(buf, numbers);
  return buf;
}

function i32(b: TrainBackend, numbers: number[]) {
  const buf = b.allocI32(numbers.length);
  b.writeI32(buf, numbers);
  return buf;
}

const rmsnorm: Run = async b => {
  const weight = b.allocTensor('f32', 1, 100);
  await b.fill(weight, 0, 1, async view => view.set(encode(values(100, 2), 'f32')));
  const x = f32(b, values(300));
  b.rmsnorm(x, x, weight, 3, 100, 1e-5);
  return b.readF32(x, 300);
};

const matmulOf =
  (dtype: 'f32' | 'f16' | 'bf16' | 'q4_0' | 'q6_k', n: number, rows: number, cols: number): Run =>
  async b => {
    const w = b.allocTensor(dtype, rows, cols);
    await b.fill(w, 0, rows, async view => view.set(encode(values(rows * cols, 3), dtype)));
    const out = b.allocF32(n * rows);
    b.matmul(out, f32(b, values(n * cols)), w, n);
    return b.readF32(out, n * rows);
  };

const attentionOver =
  (capacity: number, positions: number[]): Run =>
  async b => {
    const caches = [4, 5].map(seed => {
      const cache = b.allocCache('f32', 1, 1, capacity, 40);
      b.writeCache(cache, 0, 0, 0, encode(values(capacity * 40, seed), 'f32'));
      return cache;
    });
    const out = b.allocF32(2 * 40);
    const q = f32(b, values(2 * 40));
    b.attention(out, q, caches[0]!, caches[1]!, i32(b, [0, 0]), i32(b, positions), 2, 1, 1, 0);
    return b.readF32(out, 80);
  };
const attention = attentionOver(20, [6, 18]);
/** Of parts. */
const longAttention = attentionOver(600, [90, 555]);

/** Two prompts in a tile of a cache of halves, with nothing behind them. */
const prompts: Run = async b => {
  const [headDim, n] = [80, 90];
  const tokens = Array.from({ length: n }, (_, i) => i);
  const caches = [4, 5].map(seed => {
    const cache = b.allocCache('f16', 2, 1, 71, headDim);
    for (const slot of [0, 1])
      b.writeCache(cache, slot, 0, 0, encode(values(70 * headDim, seed + slot), 'f16'));
    return cache;
  });
  const slots = i32(
    b,
    tokens.map(i => (i < 70 ? 0 : 1)),
  );
  const positions = i32(
    b,
    tokens.map(i => (i < 70 ? i : i - 20)),
  );
  const out = b.allocF32(n * headDim);
  // large enough that the largest scores come late
  const q = f32(
    b,
    values(n * headDim).map(x => 8 * x),
  );
  b.attention(out, q, caches[0]!, caches[1]!, slots, positions, n, 1, 1, 0);
  return b.readF32(out, n * headDim);
};

const sample: Run = async b => {
  const id = b.allocI32(1);
  b.sample(id, f32(b, values(200)), 200, 1, 0, 0.9, 0.01, 0.7);
  return b.readI32(id, 1);
};

/** More candidates than one block sorts. */
const sampleMany: Run = async b => {
  const id = b.allocI32(1);
  b.sample(id, f32(b, values(5000)), 5000, 1, 0, 0.5, 0, 0.9);
  return b.readI32(id, 1);
};

const add: Run = async b => {
  const x = f32(b, values(33));
  b.add(x, x, x, 33);
  return b.readF32(x, 33);
};

/** The output of an op and the gradients of its inputs. */
const learning =
  (kase: TrainCase): Run =>
  async b =>
    Object.values(await runCase(b, kase)).flatMap(values => [...values]);

const sumSquares: Run = async b => {
  const out = b.allocF32(1);
  b.sumSquares(out, f32(b, values(5000)), 5000);
  return b.readF32(out, 1);
};

/** The losses that come with the gradients of logits. */
const losses: Run = async b => {
  const [n, vocab] = [12, 300];
  const loss = b.allocF32(n);
  const targets = i32(
    b,
    Array.from({ length: n }, (_, i) => (i * 97) % vocab),
  );
  b.crossEntropyBackward(loss, f32(b, values(n * vocab)), targets, f32(b, values(n)), n, vocab);
  return b.readF32(loss, n);
};

/** Of attention in tiles, which rounds its operands and is held to the reference, which does not: how far it may be. */
const ROUNDED = 5e-5;

interface Bug {
  plant: NonNullable<MockOptions['plant']>;
  run: Run;
  precision?: Precision;
  /** Largest error that is not one. */
  bound?: number;
}

const BUGS: Record<string, Bug> = {
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
  'turned pieces in their own order': {
    plant: { file: 'gemm_sides.cuh', replace: 'TURNED ? row & 7', by: 'TURNED ? 0' },
    run: learning(matmul(9, 20, 40)),
    precision: 'bf16',
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
  'a gradient on tensor cores that replaces what was there': {
    plant: { file: 'gemm.cuh', replace: 'add ? *both :', by: 'false ? *both :' },
    run: learning(matmul(9, 20, 40)),
    precision: 'bf16',
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

/** What is wrong: an error of the mock driver's, or numbers. */
async function outcome(
  { run, precision, bound = 1e-10 }: Bug,
  plant?: MockOptions['plant'],
): Promise<string | undefined> {
  const expected = await run(new ReferenceCuda(precision));
  for (const seed of SEEDS) {
    const wrong = await withMock('SEED', seed, async () => {
      const backend = trainCudaOnMock(plant && { plant }, precision);
      try {
        const error = nmse(await run(backend), expected);
        return error < bound ? undefined : `NMSE ${error}`;
      } catch (error) {
        return (error as Error).message;
      } finally {
        backend.dispose();
      }
    });
    if (wrong) return wrong;
  }
  return undefined;
}

if (canBuildMock('bugs planted in CUDA kernels')) {
  test('without a bug nothing is wrong, in any order of threads', async () => {
    for (const bug of Object.values(BUGS)) assert.is(await outcome(bug), undefined);
  });
  for (const [name, bug] of Object.entries(BUGS)) {
    test(name, async () => {
      assert.ok(await outcome(bug, bug.plant), 'nobody saw it');
    });
  }
}

test.run();
