// Every op of a backend against the reference, on shapes where vector code goes wrong: 0, 1, a lane more or less,
// odd rows. One table has the error bound of each op and format.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Backend, Cache } from '../host/backend.ts';
import { BLOCK, type CacheDType, type DType } from '../host/dtype.ts';
import { Reference } from '../host/reference.ts';
import { BACKENDS } from './support/backends.ts';
import { gpuBackends } from './support/gpu.ts';
import { Inputs } from './support/inputs.ts';
import { nmse } from './support/numbers.ts';
import { ReferenceCuda } from './support/reference-cuda.ts';
import { encode } from './support/stored.ts';

/** Formats whose groups hold small codes in planes. */
const CODES = ['q4_1', 'q5_0', 'q5_1', 'q2_k', 'q3_k', 'q4_k', 'q5_k', 'q6_k', 'iq4_nl', 'iq4_xs'] as const;

/** Largest normalised mean squared error. f32 sums of a few hundred terms stay far below 1e-12. */
const BOUND: Record<string, number> = {
  'embedding f32': 0,
  'embedding f16': 0,
  'embedding bf16': 0,
  'embedding q8_0': 1e-14,
  'embedding q4_0': 1e-14,
  'embedding q8_f32': 1e-14,
  ...Object.fromEntries(CODES.map(dtype => [`embedding ${dtype}`, 0])),
  rmsnorm: 1e-12,
  'matmul f32': 1e-12,
  'matmul f16': 1e-12,
  'matmul bf16': 1e-12,
  'matmul q8_0': 1e-10,
  'matmul q4_0': 1e-10,
  'matmul q8_f32': 1e-10,
  ...Object.fromEntries(CODES.map(dtype => [`matmul ${dtype}`, 1e-10])),
  ropeTable: 1e-13,
  rope: 1e-12,
  append: 0,
  attention: 1e-11,
  // operands are rounded to halves: 2e-7 to 4e-7 (measured on the mock)
  'attention in tiles': 1e-6,
  swiglu: 1e-12,
  add: 1e-14,
  takeRows: 0,
  crossEntropy: 1e-12,
  topLogprobs: 1e-12,
  addBias: 1e-14,
  penalize: 1e-12,
};

const DTYPES: DType[] = ['f32', 'f16', 'bf16', 'q8_0', 'q4_0', 'q8_f32', ...CODES];
const CACHES: CacheDType[] = ['f32', 'f16', 'q8_0'];
const SIZES = [1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 64, 65];

type Run = (backend: Backend, input: Inputs) => Promise<ArrayLike<number>>;

/** The stored bytes of a cache. */
async function allRows(backend: Backend, cache: Cache): Promise<number[]> {
  const bytes: number[] = [];
  for (let slot = 0; slot < cache.slots; slot++) {
    for (let h = 0; h < cache.kvHeads; h++) {
      bytes.push(...(await backend.readCache(cache, slot, h, 0, cache.capacity)));
    }
  }
  return bytes;
}

/** Runs `run` on the backend and on the reference, and holds the difference to the op's bound. */
async function compare(
  make: () => Promise<Backend>,
  op: string,
  shape: string,
  run: Run,
  seed = 1,
): Promise<void> {
  const backend = await make();
  const actual = await run(backend, new Inputs(seed));
  const reference = backend.name === 'cuda' ? new ReferenceCuda() : new Reference({ roundActivations: true });
  const expected = await run(reference, new Inputs(seed));
  const error = nmse(actual, expected);
  const bound = BOUND[op]!;
  assert.ok(error <= bound, `${op} ${shape}: NMSE ${error} over ${bound}`);
  backend.dispose();
}

const colsOf = (dtype: DType): number[] => {
  const { values } = BLOCK[dtype];
  return values === 1 ? SIZES : [1, 2, 3, 5].map(blocks => blocks * values);
};

function opsSuite(name: string, make: () => Promise<Backend>): void {
  const test = suite(`ops of ${name}`);

  for (const dtype of DTYPES) {
    test(`embedding ${dtype}`, async () => {
      for (const cols of colsOf(dtype)) {
        for (const n of [0, 1, 3]) {
          await compare(make, `embedding ${dtype}`, `${n}x${cols}`, async (b, input) => {
            const table = await input.tensor(b, dtype, 7, cols);
            const out = b.allocF32(n * cols);
            b.embedding(out, input.i32(b, input.integers(n, 7)), table, n);
            return b.readF32(out, n * cols);
          });
        }
      }
    });

    test(`matmul ${dtype}`, async () => {
      for (const cols of colsOf(dtype)) {
        for (const rows of [1, 2, 3, 4, 5, 8, 13]) {
          // nine tokens meet whole tiles of tensor cores, which take the mock long: once a width
          const counts = [0, 1, 2, 3, 4, 5, ...(name.startsWith('cuda') && rows < 13 ? [] : [9])];
          for (const n of counts) {
            await compare(make, `matmul ${dtype}`, `${n}x${cols} · ${rows}`, async (b, input) => {
              const w = await input.tensor(b, dtype, rows, cols);
              const x = input.f32(b, n * cols, 3);
              const out = b.allocF32(n * rows);
              b.matmul(out, x, w, n);
              return b.readF32(out, n * rows);
            });
          }
        }
      }
    });
  }

  test('matmul of many tokens, beyond tiles and blocks of every kind', async () => {
    for (const dtype of DTYPES) {
      const { values } = BLOCK[dtype];
      const shapes = [
        [17, 130, 3 * 32],
        [65, 259, 256],
        [130, 131, 512],
      ] as const;
      for (const [n, rows, least] of shapes) {
        const cols = values === 1 ? least + 5 : Math.max(values, least);
        for (const width of values === 1 ? [cols, least] : [cols]) {
          await compare(make, `matmul ${dtype}`, `${n}x${width} · ${rows}`, async (b, input) => {
            const w = await input.tensor(b, dtype, rows, width);
            const out = b.allocF32(n * rows);
            b.matmul(out, input.f32(b, n * width, 3), w, n);
            return b.readF32(out, n * rows);
          });
        }
      }
    }
  });

  test('matmul of zeros, and of the most negative int8', async () => {
    for (const dtype of ['q8_0', 'q4_0', 'q8_f32'] as const) {
      await compare(make, `matmul ${dtype}`, 'extremes', async (b, input) => {
        const w = b.allocTensor(dtype, 2, 64);
        const bytes = BLOCK[dtype].bytes;
        await b.fill(w, 0, 2, async view => {
          const one = dtype === 'q8_f32' ? [0, 0, 128, 63] : [0, 60]; // 1 as f32, as f16
          for (let at = 0; at < view.length; at += bytes) {
            view.fill(dtype === 'q4_0' ? 0 : 0x80, at, at + bytes);
            view.set(one, at);
          }
        });
        const x = b.allocF32(3 * 64);
        const values = input.values(64, 5);
        b.writeF32(x, [...new Array(64).fill(0), ...new Array(64).fill(-2.5), ...values]);
        const out = b.allocF32(6);
        b.matmul(out, x, w, 3);
        return b.readF32(out, 6);
      });
    }
  });

  test('rmsnorm', async () => {
    for (const dim of SIZES) {
      for (const n of [0, 1, 3]) {
        await compare(make, 'rmsnorm', `${n}x${dim}`, async (b, input) => {
          const weight = await input.tensor(b, 'f32', 1, dim);
          const x = input.f32(b, n * dim, 10);
          b.rmsnorm(x, x, weight, n, dim, 1e-5);
          return b.readF32(x, n * dim);
        });
      }
    }
  });

  test('ropeTable', async () => {
    for (const headDim of [2, 4, 6, 64, 128]) {
      for (const withFactors of [false, true]) {
        await compare(make, 'ropeTable', `${headDim}`, async (b, input) => {
          const factors = withFactors ? await input.tensor(b, 'f32', 1, headDim / 2) : undefined;
          const table = b.allocF32(4096 * headDim);
          b.ropeTable(table, factors, 0, 1000, headDim, withFactors ? 1e6 : 1e4, withFactors ? 4 : 1);
          b.ropeTable(table, factors, 1000, 3096, headDim, withFactors ? 1e6 : 1e4, withFactors ? 4 : 1);
          return b.readF32(table, 4096 * headDim);
        });
      }
    }
  });

  test('ropeTable with a scale that makes angles of millions', async () => {
    for (const scale of [2 ** -16, 2 ** -15, 2 ** -14]) {
      await compare(make, 'ropeTable', `scale ${scale}`, async b => {
        const table = b.allocF32(200 * 2);
        b.ropeTable(table, undefined, 0, 200, 2, 1e4, scale);
        return b.readF32(table, 200 * 2);
      });
    }
  });

  test('rope', async () => {
    for (const headDim of [2, 4, 6, 8, 10, 64]) {
      for (const [n, heads] of [
        [0, 1],
        [1, 1],
        [3, 5],
      ] as const) {
        await compare(make, 'rope', `${n}x${heads}x${headDim}`, async (b, input) => {
          const table = b.allocF32(50 * headDim);
          b.ropeTable(table, undefined, 0, 50, headDim, 1e4, 1);
          const x = input.f32(b, n * heads * headDim);
          b.rope(x, input.i32(b, input.integers(n, 50)), table, n, heads, headDim);
          return b.readF32(x, n * heads * headDim);
        });
      }
    }
  });

  test('append', async () => {
    for (const dtype of CACHES) {
      for (const headDim of dtype === 'q8_0' ? [32, 64] : SIZES) {
        await compare(make, 'append', `${dtype} of ${headDim}`, async (b, input) => {
          const cache = b.allocCache(dtype, 3, 2, 9, headDim);
          input.cache(b, cache);
          // beyond the largest half, below the least, and not finite
          const x = b.allocF32(5 * 2 * headDim);
          const values = input.values(5 * 2 * headDim, 4);
          values.set([65519, -1e9, 2 ** -25, -3e-8, 0, 6.1e-5].slice(0, headDim));
          values.set([Number.NaN].slice(0, headDim), 3 * headDim);
          values.set([Number.NEGATIVE_INFINITY].slice(0, headDim), 8 * headDim);
          b.writeF32(x, values);
          b.append(cache, x, input.i32(b, [0, 0, 2, 1, 2]), input.i32(b, [0, 8, 3, 4, 5]), 5);
          b.copySlot(cache, 2, 1, 4);
          return allRows(b, cache);
        });
      }
    }
  });

  test('attention', async () => {
    const shapes = [
      { heads: 1, kvHeads: 1, group: 1, before: 0, headDim: 2 },
      { heads: 4, kvHeads: 2, group: 2, before: 0, headDim: 6 },
      { heads: 6, kvHeads: 1, group: 6, before: 0, headDim: 17 },
      { heads: 3, kvHeads: 3, group: 1, before: 0, headDim: 64 },
      { heads: 2, kvHeads: 1, group: 2, before: 0, headDim: 128 },
      // parts of a model's heads, which begin and end inside a group
      { heads: 1, kvHeads: 1, group: 4, before: 3, headDim: 8 },
      { heads: 5, kvHeads: 3, group: 3, before: 2, headDim: 12 },
      { heads: 7, kvHeads: 2, group: 5, before: 1, headDim: 20 },
      { heads: 3, kvHeads: 2, group: 2, before: 1, headDim: 64 },
      { heads: 4, kvHeads: 2, group: 3, before: 1, headDim: 32 },
      { heads: 3, kvHeads: 1, group: 3, before: 0, headDim: 96 },
    ];
    for (const { dtype, heads, kvHeads, group, before, headDim } of shapes.flatMap(shape =>
      CACHES.filter(dtype => shape.headDim % BLOCK[dtype].values === 0).map(dtype => ({ dtype, ...shape })),
    )) {
      for (const position of [0, 1, 2, 3, 4, 30, 31, 32, 33, 63, 64, 99]) {
        const shape = `${dtype}: ${heads} heads, ${before} before, of ${headDim} at ${position}`;
        await compare(make, 'attention', shape, async (b, input) => {
          const k = b.allocCache(dtype, 2, kvHeads, 100, headDim);
          const v = b.allocCache(dtype, 2, kvHeads, 100, headDim);
          input.cache(b, k, 2);
          input.cache(b, v);
          const q = input.f32(b, 3 * heads * headDim, 4);
          const out = b.allocF32(3 * heads * headDim);
          const slots = input.i32(b, [1, 0, 1]);
          const positions = input.i32(b, [position, 99 - position, Math.max(0, position - 1)]);
          b.attention(out, q, k, v, slots, positions, 3, heads, group, before);
          return b.readF32(out, 3 * heads * headDim);
        });
      }
    }
  });

  test('attention of prompts', async () => {
    const tokens = (slot: number, from: number, count: number) =>
      Array.from({ length: count }, (_, i) => ({ slot, position: from + i }));
    const shapes = [
      { heads: 2, kvHeads: 1, group: 2, before: 0, headDim: 64, batch: [tokens(0, 0, 70)] },
      { heads: 1, kvHeads: 1, group: 1, before: 0, headDim: 128, batch: [tokens(1, 77, 33)] },
      {
        heads: 8,
        kvHeads: 1,
        group: 8,
        before: 0,
        headDim: 96,
        batch: [tokens(0, 0, 13), tokens(1, 60, 12)],
      },
      { heads: 2, kvHeads: 1, group: 2, before: 0, headDim: 256, batch: [tokens(0, 7, 13)] },
      // parts of a model's heads, which begin and end inside a group
      { heads: 4, kvHeads: 2, group: 3, before: 1, headDim: 48, batch: [tokens(1, 5, 40)] },
      { heads: 1, kvHeads: 1, group: 4, before: 3, headDim: 64, batch: [tokens(0, 31, 9)] },
      // prompts, tokens of their own, and a sequence that jumps and comes again
      {
        heads: 2,
        kvHeads: 2,
        group: 1,
        before: 0,
        headDim: 80,
        batch: [tokens(0, 17, 33), tokens(1, 3, 1), tokens(2, 0, 9), tokens(1, 9, 8), tokens(2, 90, 12)],
      },
      // eight tokens of the second prompt stand in another chunk than the rest
      {
        heads: 1,
        kvHeads: 1,
        group: 1,
        before: 0,
        headDim: 16,
        batch: [tokens(0, 0, 120), tokens(1, 0, 20)],
      },
      { heads: 3, kvHeads: 1, group: 3, before: 0, headDim: 24, batch: [tokens(2, 0, 20)] },
    ];
    for (const { heads, kvHeads, group, before, headDim, batch } of shapes) {
      for (const dtype of CACHES.filter(dtype => headDim % BLOCK[dtype].values === 0)) {
        const inTiles = name.startsWith('cuda') && headDim % 16 === 0;
        const shape = `${dtype}: ${heads} heads, ${before} before, of ${headDim}`;
        await compare(make, inTiles ? 'attention in tiles' : 'attention', shape, async (b, input) => {
          const k = b.allocCache(dtype, 3, kvHeads, 130, headDim);
          const v = b.allocCache(dtype, 3, kvHeads, 130, headDim);
          input.cache(b, k, 2);
          input.cache(b, v);
          const all = batch.flat();
          const q = input.f32(b, all.length * heads * headDim, 4);
          const out = b.allocF32(all.length * heads * headDim);
          const slots = input.i32(
            b,
            all.map(({ slot }) => slot),
          );
          const positions = input.i32(
            b,
            all.map(({ position }) => position),
          );
          b.attention(out, q, k, v, slots, positions, all.length, heads, group, before);
          return b.readF32(out, all.length * heads * headDim);
        });
      }
    }
  });

  test('a prompt looks at nothing of another, and at no position that nobody wrote', async () => {
    for (const dtype of CACHES) {
      const b = await make();
      const input = new Inputs(3);
      const caches = [0, 1].map(() => b.allocCache(dtype, 2, 1, 40, 32));
      for (const cache of caches) {
        for (const slot of [0, 1]) b.writeCache(cache, slot, 0, 0, encode(input.values(12 * 32), dtype));
        const x = b.allocF32(32);
        b.writeF32(x, new Float32Array(32).fill(Number.NaN));
        b.append(cache, x, input.i32(b, [0]), input.i32(b, [5]), 1);
      }
      const index = Array.from({ length: 24 }, (_, i) => i);
      const slots = input.i32(
        b,
        index.map(i => Math.floor(i / 12)),
      );
      const positions = input.i32(
        b,
        index.map(i => i % 12),
      );
      const out = b.allocF32(24 * 32);
      b.attention(out, input.f32(b, 24 * 32), caches[0]!, caches[1]!, slots, positions, 24, 1, 1, 0);
      const result = await b.readF32(out, 24 * 32);
      assert.ok(result.subarray(5 * 32, 12 * 32).every(Number.isNaN), dtype);
      assert.ok(result.subarray(12 * 32).every(Number.isFinite), dtype);
      b.dispose();
    }
  });

  test('a NaN in a cache makes NaN of what looks at it, and of nothing else', async () => {
    for (const dtype of CACHES) {
      for (const place of ['keys', 'values']) {
        const b = await make();
        const input = new Inputs(3);
        const keys = b.allocCache(dtype, 1, 1, 9, 32);
        const values = b.allocCache(dtype, 1, 1, 9, 32);
        input.cache(b, keys);
        input.cache(b, values);
        const x = b.allocF32(32);
        b.writeF32(x, new Float32Array(32).fill(Number.NaN));
        b.append(place === 'keys' ? keys : values, x, input.i32(b, [0]), input.i32(b, [5]), 1);
        const out = b.allocF32(2 * 32);
        const q = input.f32(b, 2 * 32);
        b.attention(out, q, keys, values, input.i32(b, [0, 0]), input.i32(b, [4, 5]), 2, 1, 1, 0);
        const result = await b.readF32(out, 2 * 32);
        assert.ok(result.subarray(0, 32).every(Number.isFinite), `${dtype} ${place}`);
        assert.ok(result.subarray(32).every(Number.isNaN), `${dtype} ${place}`);
        b.dispose();
      }
    }
  });

  test('swiglu and add', async () => {
    for (const count of [0, ...SIZES]) {
      await compare(make, 'swiglu', `${count}`, async (b, input) => {
        const gate = input.f32(b, count, 90);
        b.swiglu(gate, gate, input.f32(b, count), count);
        return b.readF32(gate, count);
      });
      await compare(make, 'add', `${count}`, async (b, input) => {
        const a = input.f32(b, count);
        b.add(a, a, input.f32(b, count), count);
        return b.readF32(a, count);
      });
    }
  });

  test('takeRows', async () => {
    await compare(make, 'takeRows', '3 of 5', async (b, input) => {
      const out = b.allocF32(3 * 7);
      b.takeRows(out, input.f32(b, 5 * 7), input.i32(b, [4, 0, 4]), 3, 7);
      return b.readF32(out, 3 * 7);
    });
  });

  test('crossEntropy and topLogprobs', async () => {
    for (const vocab of [1, 2, 3, 4, 5, 31, 32, 33, 1000]) {
      await compare(make, 'crossEntropy', `${vocab}`, async (b, input) => {
        const loss = b.allocF32(3);
        b.crossEntropy(loss, input.f32(b, 3 * vocab, 30), input.i32(b, input.integers(3, vocab)), 3, vocab);
        return b.readF32(loss, 3);
      });
      for (const k of [1, 2, 5, 32].filter(k => k <= vocab)) {
        await compare(make, 'topLogprobs', `${k} of ${vocab}`, async (b, input) => {
          const ids = b.allocI32(k);
          const logprobs = b.allocF32(k);
          const logits = b.allocF32(vocab);
          // many equal ones: the lower id must come first
          b.writeF32(logits, input.integers(vocab, 6));
          b.topLogprobs(ids, logprobs, logits, vocab, k);
          return [...(await b.readI32(ids, k)), ...(await b.readF32(logprobs, k))];
        });
      }
    }
  });

  test('addBias and penalize', async () => {
    for (const op of ['addBias', 'penalize']) {
      await compare(make, op, '4 of 9', async (b, input) => {
        const logits = input.f32(b, 9, 5);
        const ids = input.i32(b, [8, 0, 3, 5]);
        if (op === 'addBias') b.addBias(logits, ids, input.f32(b, 4), 4);
        else b.penalize(logits, ids, input.i32(b, [1, 2, 3, 4]), 4, 1.3, 0.1, 0.2);
        return b.readF32(logits, 9);
      });
    }
  });

  test.run();
}

for (const [name, make] of Object.entries({ ...BACKENDS, ...gpuBackends() })) opsSuite(name, make);
