// Single ops on a GPU, by which kernels are tuned: each is recorded some times as one CUDA graph, so that neither JavaScript nor
// launches count, and weights take turns, so that none is in a cache.

import type { Tensor } from '../../host/backend.ts';
import { Cuda } from '../../host/cuda.ts';
import type { CudaDevice } from '../../host/cuda-memory.ts';
import { BLOCK, type CacheDType, type DType, rowBytes } from '../../host/dtype.ts';
import { randomBits, seedOf } from '../random.ts';
import { type Ceilings, type Session, tflopsOf } from './session.ts';

export interface KernelSizes {
  /** Of weights: (rows, cols). */
  matrices: readonly (readonly [rows: number, cols: number])[];
  /** Tokens that meet them. */
  few: readonly number[];
  many: number;
  vocab: number;
  heads: number;
  headDim: number;
  /** Sequences that decode together, and what each has behind it. */
  batches: readonly number[];
  context: number;
  /** Bytes that weights which take turns fill: more than a cache holds. */
  turns: number;
  /** Milliseconds that a figure is measured. */
  ms: number;
}

/** Those of Llama 2 7B; an H100's second cache holds 50 MB. */
export const LLAMA_7B: KernelSizes = {
  matrices: [
    [4096, 4096],
    [11008, 4096],
    [4096, 11008],
    [32000, 4096],
  ],
  few: [1, 4, 8],
  many: 2048,
  vocab: 32000,
  heads: 32,
  headDim: 128,
  batches: [1, 8, 64],
  context: 2048,
  turns: 2 ** 28,
  ms: 30,
};

const CACHES: CacheDType[] = ['f32', 'f16', 'q8_0'];
/** Times that an op is recorded. */
const CALLS = 20;
/** Formats whose products with many tokens are measured. */
const MANY: DType[] = ['f32', 'f16', 'bf16', 'q8_0', 'q4_0', 'q4_k', 'q6_k'];

interface Op {
  op: string;
  shape: object;
  /** What it must read and write, each number once. */
  bytes: number;
  /** Multiplications and additions. */
  flops?: number;
  run: (turn: number) => void;
}

/** Small finite numbers, whatever format reads them: exponents below that of 2. */
function fill(device: CudaDevice, at: number, bytes: number): void {
  const next = randomBits(seedOf('kernels'));
  const first = new Uint8Array(Math.min(bytes, 2 ** 20));
  for (let i = 0; i < first.length; i++) first[i] = next() & 0xbf;
  device.write(at, first);
  for (let done = first.length; done < bytes; done *= 2) {
    device.copy(at + done, at, Math.min(done, bytes - done));
  }
}

/** Ops on buffers that are made once; each call of `ops` of a group takes the memory of the last. */
class Bench {
  readonly #device: CudaDevice;
  readonly backend: Cuda;
  readonly sizes: KernelSizes;

  constructor(device: CudaDevice, sizes: KernelSizes) {
    this.#device = device;
    this.backend = new Cuda(device);
    this.sizes = sizes;
  }

  /** A buffer of f32 with numbers in it. */
  floats(count: number): number {
    const buf = this.backend.allocF32(count);
    fill(this.#device, buf, 4 * count);
    return buf;
  }

  integers(values: number[]): number {
    const buf = this.backend.allocI32(values.length);
    this.backend.writeI32(buf, values);
    return buf;
  }

  /** Memory for weights that take turns, and those of a format and size in it. */
  weights(): (dtype: DType, rows: number, cols: number) => Tensor[] {
    const { turns, matrices } = this.sizes;
    const largest = Math.max(...matrices.map(([rows, cols]) => 4 * rows * cols));
    const bytes = Math.max(turns, largest);
    const at = this.backend.allocF32(Math.ceil(bytes / 4));
    fill(this.#device, at, bytes);
    return (dtype, rows, cols) => {
      const size = Math.ceil((rows * rowBytes(dtype, cols)) / 256) * 256;
      const count = Math.max(1, Math.min(CALLS, Math.floor(bytes / size)));
      return Array.from({ length: count }, (_, i) => ({ buf: at + i * size, dtype, rows, cols }));
    };
  }

  /** Microseconds of an op. */
  async time({ run }: Op): Promise<number> {
    const device = this.#device;
    const { ms } = this.sizes;
    const flag = this.integers([0]);
    const done = () => device.read(flag, 4);
    run(0); // what it keeps for itself is allocated now
    device.beginRecording();
    for (let turn = 0; turn < CALLS; turn++) run(turn);
    const calls = device.endRecording();
    const replays = async (count: number) => {
      const started = performance.now();
      for (let i = 0; i < count; i++) device.replay(calls);
      await done();
      return performance.now() - started;
    };
    await replays(1);
    const one = await replays(1);
    const count = Math.max(1, Math.min(1000, Math.round(ms / one)));
    return (1000 * (await replays(count))) / count / CALLS;
  }
}

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

const GROUPS = [products, attentions, samplings, rest];

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
