// The ops that are lists of others, on every backend beside the reference, where they are one by one; and lists that repeat.

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

/** f32 sums. */
const BOUND = 1e-12;
/** Normed activations that fall to another side when they are rounded. */
const FLIPS = 1e-5;
const DTYPES: DType[] = ['f32', 'f16', 'bf16', 'q8_0', 'q4_0', 'q4_k', 'q5_0'];
const CACHES: CacheDType[] = ['f32', 'f16', 'q8_0'];
const COUNTS = [1, 2, 8, 9];

type Run = (b: Backend, input: Inputs) => Promise<number[]>;

async function compare(make: () => Promise<Backend>, what: string, bound: number, run: Run): Promise<void> {
  const backend = await make();
  const actual = await run(backend, new Inputs(7));
  const reference = backend.name === 'cuda' ? new ReferenceCuda() : new Reference({ roundActivations: true });
  const error = nmse(actual, await run(reference, new Inputs(7)));
  assert.ok(error <= bound, `${what}: NMSE ${error} over ${bound}`);
  backend.dispose();
}

const read = async (b: Backend, buf: number, count: number) => Array.from(await b.readF32(buf, count));

async function rowsOf(b: Backend, cache: Cache): Promise<number[]> {
  const bytes: number[] = [];
  for (let slot = 0; slot < cache.slots; slot++)
    for (let h = 0; h < cache.kvHeads; h++)
      bytes.push(...(await b.readCache(cache, slot, h, 0, cache.capacity)));
  return bytes;
}

function listsSuite(name: string, make: () => Promise<Backend>): void {
  const test = suite(`lists of ops of ${name}`);

  for (const dtype of DTYPES) {
    const cols = BLOCK[dtype].values === 256 ? 512 : 96;
    const boundOf = (n: number) => (dtype === 'f32' || (BLOCK[dtype].values === 1 && n <= 8) ? BOUND : FLIPS);

    test(`${dtype}: normedMatmuls, one to three matrices of any rows`, async () => {
      for (const n of COUNTS) {
        for (const rows of [[5], [4, 3], [6, 1, 7]]) {
          await compare(make, `${n} · ${rows}`, boundOf(n), async (b, input) => {
            const norm = await input.tensor(b, 'f32', 1, cols);
            const ws = [];
            for (const count of rows) ws.push(await input.tensor(b, dtype, count, cols));
            const outs = rows.map(count => b.allocF32(n * count));
            b.normedMatmuls(outs, b.allocF32(n * cols), input.f32(b, n * cols, 3), norm, ws, n, 1e-5);
            const all = [];
            for (const [i, out] of outs.entries()) all.push(...(await read(b, out, n * rows[i]!)));
            return all;
          });
        }
      }
    });

    test(`${dtype}: gatedMatmul`, async () => {
      for (const n of COUNTS) {
        await compare(make, `${n}`, boundOf(n), async (b, input) => {
          const norm = await input.tensor(b, 'f32', 1, cols);
          const gate = await input.tensor(b, dtype, 5, cols);
          const up = await input.tensor(b, dtype, 5, cols);
          const [out, other, normed] = [b.allocF32(n * 5), b.allocF32(n * 5), b.allocF32(n * cols)];
          b.gatedMatmul(out, other, normed, input.f32(b, n * cols, 3), norm, gate, up, n, 1e-5);
          return read(b, out, n * 5);
        });
      }
    });

    test(`${dtype}: addMatmul`, async () => {
      for (const n of COUNTS) {
        for (const rows of [1, 6, 7]) {
          await compare(make, `${n} · ${rows}`, boundOf(n), async (b, input) => {
            const w = await input.tensor(b, dtype, rows, cols);
            const out = input.f32(b, n * rows, 2);
            const product = b.allocF32(n * rows);
            b.addMatmul(out, product, product, input.f32(b, n * cols, 3), w, n, rows, 0);
            return read(b, out, n * rows);
          });
        }
      }
    });
  }

  test('matrices of several formats', async () => {
    await compare(make, 'q4_k, q4_k, q6_k', FLIPS, async (b, input) => {
      const norm = await input.tensor(b, 'f32', 1, 256);
      const ws = [];
      for (const dtype of ['q4_k', 'q4_k', 'q6_k'] as const) ws.push(await input.tensor(b, dtype, 3, 256));
      const outs = ws.map(() => b.allocF32(2 * 3));
      b.normedMatmuls(outs, b.allocF32(2 * 256), input.f32(b, 2 * 256), norm, ws, 2, 1e-5);
      const all = [];
      for (const out of outs) all.push(...(await read(b, out, 2 * 3)));
      return all;
    });
  });

  test('ropeAppend', async () => {
    for (const dtype of CACHES) {
      for (const headDim of dtype === 'q8_0' ? [32, 64] : [2, 6, 64]) {
        // a rotated number may be rounded to another side
        const bound = dtype === 'f32' ? BOUND : 1e-3;
        await compare(make, `${dtype} of ${headDim}`, bound, async (b, input) => {
          const [n, heads, kvHeads, capacity] = [3, 4, 2, 9];
          const caches = [0, 1].map(() => b.allocCache(dtype, 2, kvHeads, capacity, headDim));
          for (const cache of caches) input.cache(b, cache);
          const q = input.f32(b, n * heads * headDim);
          const [k, v] = [input.f32(b, n * kvHeads * headDim), input.f32(b, n * kvHeads * headDim)];
          const table = b.allocF32(capacity * headDim);
          b.ropeTable(table, undefined, 0, capacity, headDim, 10000, 1);
          const [slots, positions] = [input.i32(b, [0, 1, 1]), input.i32(b, [8, 3, 4])];
          b.ropeAppend(q, k, v, caches[0]!, caches[1]!, slots, positions, table, n, heads);
          const turned = await read(b, q, n * heads * headDim);
          if (dtype !== 'f32')
            return [...turned, ...(await rowsOf(b, caches[0]!)), ...(await rowsOf(b, caches[1]!))];
          const numbers = [];
          for (const cache of caches)
            numbers.push(...new Float32Array(Uint8Array.from(await rowsOf(b, cache)).buffer));
          return [...turned, ...numbers];
        });
      }
    }
  });

  test('attention over a long cache, of which a token sees little or all', async () => {
    for (const [dtype, headDim] of [
      ['f32', 20],
      ['f16', 64],
      ['q8_0', 128],
      ['f16', 160],
    ] as const) {
      await compare(make, `${dtype} of ${headDim}`, 1e-10, async (b, input) => {
        const [n, heads, capacity] = [3, 4, 1100];
        const [keys, values] = [0, 1].map(() => b.allocCache(dtype, 1, 2, capacity, headDim)) as [
          Cache,
          Cache,
        ];
        input.cache(b, keys, 2);
        input.cache(b, values);
        const out = b.allocF32(n * heads * headDim);
        const q = input.f32(b, n * heads * headDim, 4);
        const positions = input.i32(b, [0, 70, 1099]);
        b.attention(out, q, keys, values, input.i32(b, [0, 0, 0]), positions, n, heads, 2, 0);
        return read(b, out, n * heads * headDim);
      });
    }
  });

  test('what repeats sees what buffers hold now', async () => {
    const b = await make();
    const [sum, one] = [b.allocF32(3), b.allocF32(3)];
    b.writeF32(sum, [0, 10, 20]);
    const owner = {};
    let asked = 0;
    for (let i = 1; i <= 5; i++) {
      b.writeF32(one, [i, i, i]);
      b.repeat(owner, 'add', () => {
        asked++;
        b.add(sum, sum, one, 3);
      });
    }
    b.repeat({}, 'add', () => b.add(sum, sum, sum, 3));
    assert.equal(await read(b, sum, 3), [30, 50, 70]);
    assert.is(asked, b.name === 'cuda' ? 2 : 5);
    b.dispose();
  });

  test('a list that fails is made anew', async () => {
    const b = await make();
    const x = b.allocF32(1);
    b.writeF32(x, [1]);
    const owner = {};
    const list = (fails: boolean) => () => {
      b.add(x, x, x, 1);
      if (fails) throw new Error('no room');
    };
    assert.throws(() => b.repeat(owner, 'list', list(true)), /no room/);
    b.repeat(owner, 'list', list(false));
    // recorded this time where lists are, and not run
    assert.throws(() => b.repeat(owner, 'list', list(true)), /no room/);
    b.repeat(owner, 'list', list(false));
    assert.equal(await read(b, x, 1), [b.name === 'cuda' ? 8 : 16]);
    b.dispose();
  });

  test.run();
}

for (const [name, make] of Object.entries({ ...BACKENDS, ...gpuBackends() })) listsSuite(name, make);
