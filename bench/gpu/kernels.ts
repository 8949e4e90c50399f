// Single ops on a GPU, by which kernels are tuned.

import type { Tensor } from '../../host/backend.ts';
import type { CudaDevice } from '../../host/cuda-device.ts';
import { BLOCK, type CacheDType, type DType, rowBytes } from '../../host/dtype.ts';
import { Bench, type KernelSizes, LLAMA_7B, type Op } from './bench-ops.ts';
import { type Ceilings, type Session, tflopsOf } from './session.ts';

const CACHES: CacheDType[] = ['f32', 'f16', 'q8_0'];
/** Formats whose products with many tokens are measured. */
const MANY: DType[] = ['f32', 'f16', 'bf16', 'q8_0', 'q4_0', 'q4_k', 'q6_k'];

/** And those of the lists of ops. */
const LISTED: DType[] = ['f16', 'bf16', 'q8_0', 'q4_0', 'q4_k', 'q6_k'];

function* products(bench: Bench): Generator<Op> {
  const { backend, sizes } = bench;
  const weights = bench.weights();
  const most = Math.max(...sizes.few, sizes.many);
  const widest = Math.max(...sizes.matrices.flat());
  const x = bench.floats(most * widest);
  const out = backend.allocF32(most * widest);
  const product = (dtype: DType, rows: number, cols: number, n: number): Op => {
    const tensors = weights(dtype, rows, cols);
    return {
      op: 'matmul',
      shape: { dtype, rows, cols, n },
      bytes: rows * rowBytes(dtype, cols) + 4 * n * (rows + cols),
      flops: 2 * n * rows * cols,
      run: turn => backend.matmul(out, x, tensors[turn % tensors.length]!, n),
    };
  };
  const fits = (dtype: DType, cols: number) => cols % BLOCK[dtype].values === 0;
  for (const n of sizes.few) {
    for (const dtype of Object.keys(BLOCK) as DType[]) {
      for (const [rows, cols] of sizes.matrices) {
        if (fits(dtype, cols)) yield product(dtype, rows, cols, n);
      }
    }
  }
  for (const dtype of MANY) {
    for (const [rows, cols] of sizes.matrices) {
      if (fits(dtype, cols)) yield product(dtype, rows, cols, sizes.many);
    }
  }
}

function* attentions(bench: Bench): Generator<Op> {
  const { backend, sizes } = bench;
  const { heads, headDim, context, many, batches } = sizes;
  const tokens = Math.max(many, ...batches);
  const q = bench.floats(tokens * heads * headDim);
  const out = backend.allocF32(tokens * heads * headDim);
  const slotCount = Math.max(...batches);
  for (const dtype of CACHES) {
    const cache = () => backend.allocCache(dtype, slotCount, heads, context, headDim);
    const [keys, values] = [cache(), cache()];
    const row = rowBytes(dtype, headDim);
    const attention = (slots: number[], positions: number[], shape: object): Op => {
      const [slotsAt, positionsAt] = [bench.integers(slots), bench.integers(positions)];
      const n = slots.length;
      const seen = positions.reduce((sum, position) => sum + position + 1, 0);
      const held = new Map<number, number>();
      for (const [i, slot] of slots.entries())
        held.set(slot, Math.max(held.get(slot) ?? 0, positions[i]! + 1));
      const rows = [...held.values()].reduce((sum, count) => sum + count, 0);
      return {
        op: 'attention',
        shape: { dtype, heads, headDim, ...shape },
        bytes: 2 * rows * heads * row + 8 * n * heads * headDim,
        flops: 4 * seen * heads * headDim,
        run: () => backend.attention(out, q, keys, values, slotsAt, positionsAt, n, heads, 1, 0),
      };
    };
    for (const batch of batches) {
      const slots = Array.from({ length: batch }, (_, i) => i);
      yield attention(
        slots,
        slots.map(() => context - 1),
        { batch, context },
      );
    }
    const n = Math.min(many, context);
    const positions = Array.from({ length: n }, (_, i) => i);
    yield attention(
      positions.map(() => 0),
      positions,
      { prompt: n },
    );
  }
}

function* samplings(bench: Bench): Generator<Op> {
  const { backend, sizes } = bench;
  const { vocab } = sizes;
  const logits = bench.floats(vocab);
  const id = backend.allocI32(1);
  for (const [how, temperature, topK, topP] of [
    ['greedy', 0, 0, 1],
    ['topK', 0.8, 40, 0.95],
    ['topP', 0.8, 0, 0.9],
  ] as const) {
    const run = () => backend.sample(id, logits, vocab, temperature, topK, topP, 0, 0.5);
    yield { op: 'sample', shape: { how, vocab }, bytes: 4 * vocab, run };
  }
  const [ids, logprobs] = [backend.allocI32(5), backend.allocF32(5)];
  const run = () => backend.topLogprobs(ids, logprobs, logits, vocab, 5);
  yield { op: 'topLogprobs', shape: { vocab, k: 5 }, bytes: 4 * vocab, run };
}

/** The lists of ops of a layer that a backend may do in fewer steps. */
function* lists(bench: Bench): Generator<Op> {
  const { backend, sizes } = bench;
  const { heads, headDim, context, few } = sizes;
  const [dim, hidden] = [heads * headDim, sizes.hidden];
  const weights = bench.weights();
  const most = Math.max(...few);
  const rows = () => bench.floats(most * dim);
  const [x, q, k, v, normed] = [rows(), rows(), rows(), rows(), rows()];
  const [gate, up] = [bench.floats(most * hidden), bench.floats(most * hidden)];
  const norm = { buf: bench.floats(dim), dtype: 'f32' as const, rows: 1, cols: dim };
  const caches = () => backend.allocCache('f16', most, heads, context, headDim);
  const [keys, values] = [caches(), caches()];
  const indexes = Array.from({ length: most }, (_, i) => i);
  const [slots, positions] = [bench.integers(indexes), bench.integers(indexes.map(() => context - 1))];
  const angles = bench.floats(context * headDim);
  for (const n of few) {
    for (const dtype of LISTED) {
      /** `count` matrices of (rows, cols), which lie side by side. */
      const list = (
        op: string,
        count: number,
        rows: number,
        cols: number,
        run: (ws: Tensor[]) => void,
      ): Op => {
        const tensors = weights(dtype, count * rows, cols);
        const stride = Math.ceil(rowBytes(dtype, cols) / 16) * 16;
        const parts = tensors.map(({ buf }) =>
          Array.from({ length: count }, (_, i) => ({ buf: buf + i * rows * stride, dtype, rows, cols })),
        );
        return {
          op,
          shape: { dtype, matrices: count, rows, cols, n },
          bytes: count * rows * rowBytes(dtype, cols) + 4 * n * (count * rows + cols),
          flops: 2 * n * count * rows * cols,
          run: turn => run(parts[turn % parts.length]!),
        };
      };
      yield list('normedMatmuls', 3, dim, dim, ws =>
        backend.normedMatmuls([q, k, v], normed, x, norm, ws, n, 1e-5),
      );
      yield list('gatedMatmul', 2, hidden, dim, ([first, second]) =>
        backend.gatedMatmul(gate, up, normed, x, norm, first!, second!, n, 1e-5),
      );
      yield list('addMatmul', 1, dim, hidden, ([w]) =>
        backend.addMatmul(x, normed, normed, gate, w!, n, dim, 0),
      );
    }
    yield {
      op: 'ropeAppend',
      shape: { n, heads, headDim },
      bytes: n * dim * (4 * 4 + 2 * 2),
      run: () => backend.ropeAppend(q, k, v, keys, values, slots, positions, angles, n, heads),
    };
  }
}

function* rest(bench: Bench): Generator<Op> {
  const { backend, sizes } = bench;
  const { heads, headDim, many, context } = sizes;
  const dim = heads * headDim;
  const n = Math.min(many, context);
  const [a, b, out] = [bench.floats(n * dim), bench.floats(n * dim), backend.allocF32(n * dim)];
  const weight = { buf: bench.floats(dim), dtype: 'f32' as const, rows: 1, cols: dim };
  const positions = bench.integers(Array.from({ length: n }, (_, i) => i));
  const slots = bench.integers(new Array<number>(n).fill(0));
  const angles = bench.floats(context * headDim);
  const cache = backend.allocCache('f16', 1, heads, context, headDim);
  for (const tokens of [1, n]) {
    const numbers = tokens * dim;
    const op = (name: string, arrays: number, run: () => void): Op => ({
      op: name,
      shape: { n: tokens, dim },
      bytes: 4 * arrays * numbers,
      run,
    });
    yield op('rmsnorm', 2, () => backend.rmsnorm(out, a, weight, tokens, dim, 1e-5));
    yield op('rope', 2, () => backend.rope(out, positions, angles, tokens, heads, headDim));
    yield op('append', 1.5, () => backend.append(cache, a, slots, positions, tokens));
    yield op('swiglu', 3, () => backend.swiglu(out, a, b, numbers));
    yield op('add', 3, () => backend.add(out, a, b, numbers));
  }
}

const GROUPS = [products, lists, attentions, samplings, rest];

/** @param open opens the GPU; each group of ops has the whole of it */
export async function kernels(
  session: Session,
  open: () => CudaDevice,
  ceilings: Ceilings,
  sizes: KernelSizes = LLAMA_7B,
): Promise<void> {
  for (const group of GROUPS) {
    if (session.left === 0) {
      session.print({ bench: 'kernel', op: group.name, skipped: 'no time left' });
      continue;
    }
    const bench = new Bench(open(), sizes);
    try {
      for (const op of group(bench)) {
        await session.measure({ bench: 'kernel', op: op.op, ...op.shape }, async () => {
          const us = await bench.time(op);
          const GBs = op.bytes / 1000 / us;
          return {
            us,
            GBs,
            share: GBs / ceilings.bandwidth,
            ...(op.flops && tflopsOf(op.flops / 1e6 / us, ceilings)),
          };
        });
      }
    } catch (error) {
      session.print({ bench: 'kernel', op: group.name, failed: (error as Error).message });
    } finally {
      bench.backend.dispose();
    }
  }
}
