// Whole models on the CUDA backend, its addon as it is and the kernels on the CPU; what happens when the GPU's memory ends,
// when models are opened and closed, and when a kernel fails.

import { readdirSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Backend } from '../host/backend.ts';
import { buildModel } from '../host/build-model.ts';
import { readModelFile } from '../host/checkpoint.ts';
import type { Cuda } from '../host/cuda.ts';
import { StateError } from '../host/errors.ts';
import { Here } from '../host/here.ts';
import { Reference } from '../host/reference.ts';
import { openSource } from '../host/sources.ts';
import { FLIPS, GOLDEN, GOLDEN_CACHES, GOLDEN_HEADS, GOLDEN_IDS, sequence } from './support/golden.ts';
import { canBuildMock, cudaOnMock, freeBytes, mockOptions, withMock } from './support/gpu.ts';
import { Inputs } from './support/inputs.ts';
import { type Feed, runTogether, tinyLlama } from './support/models.ts';
import { nmse } from './support/numbers.ts';
import { tinyModel } from './support/tiny-model.ts';

const test = suite('cuda(mock)');
/** f32 sums in another order, through two layers. */
const BOUND = 1e-10;
/** Operands of attention rounded to halves, as more than eight tokens of a sequence meet tiles, through two layers. */
const TILED = 1e-7;
/** Activations rounded to eight bits, as few tokens meet integer weights, through two layers. */
const ROUNDED = 1e-3;
/** Operands rounded for tensor cores, as many tokens meet weights, through two layers (measured: up to a third). */
const BF16 = 6e-5;
const HALVES = 5e-7;
const manyTokens = (dtype: string) => (dtype === 'F32' ? BOUND : dtype === 'F16' ? HALVES : BF16);

/** A tiny model through everything that `open` does once it has a place. */
async function openTiny(file = tinyModel()) {
  const source = await openSource(file);
  const place = new Here(cudaOnMock());
  return buildModel(place, await readModelFile(source), source, undefined, 0, { threads: 0 });
}

for (const { options, cache = 'f32' } of [...GOLDEN, ...GOLDEN_HEADS, ...GOLDEN_CACHES]) {
  const { dtype, nHeads = 4, nKvHeads = 2 } = options;
  test(`${dtype}, ${nHeads}/${nKvHeads} heads, ${cache} cache: within f32 error of the reference, in any chunks`, async () => {
    const logits = async (backend: Cuda | Reference, chunk: number) => {
      const llama = await tinyLlama(backend, options, { cache });
      const [all] = await runTogether(llama, [{ ids: GOLDEN_IDS, slot: 0, chunk }]);
      backend.dispose();
      return all!;
    };
    const expected = await logits(new Reference(), 60);
    // rounded keys and values may fall to another side
    const whole = cache === 'f32' ? BOUND : FLIPS;
    for (const [chunk, limit] of [
      [60, Math.max(whole, TILED, manyTokens(dtype!))],
      [7, /^[QI]/.test(dtype!) ? ROUNDED : Math.max(whole, manyTokens(dtype!))],
    ] as const) {
      const error = nmse(await logits(cudaOnMock(), chunk), expected);
      assert.ok(error < limit, `chunks of ${chunk}: NMSE ${error}`);
    }
  });
}

test('sequences of a batch do not touch each other', async () => {
  for (const [dtype, cache, bound] of [
    ['F16', 'f32', HALVES],
    ['Q5_0', 'f16', ROUNDED],
    ['Q8_0', 'f32', ROUNDED],
  ] as const) {
    const feeds: Feed[] = [1, 3, 5, 2, 9].map((chunk, i) => ({
      ids: sequence(i, 20 + 9 * i),
      slot: 4 - i,
      chunk,
    }));
    const backend = cudaOnMock();
    const together = await runTogether(await tinyLlama(backend, { dtype }, { cache, slots: 5 }), feeds);
    backend.dispose();
    for (const [i, feed] of feeds.entries()) {
      const llama = await tinyLlama(new Reference(), { dtype }, { cache });
      const [alone] = await runTogether(llama, [{ ...feed, slot: 0, chunk: 60 }]);
      const error = nmse(together[i]!, alone!);
      assert.ok(error < bound, `${dtype} ${cache}, sequence ${i}: NMSE ${error}`);
    }
  }
});

test('products on tensor cores are near those of f32, for activations of any size', async () => {
  const [n, rows, cols] = [20, 40, 256];
  for (const [dtype, bound] of [
    ['f16', 2e-7],
    ['bf16', 1e-5],
    ['q8_0', 1e-5],
  ] as const) {
    for (const scale of [1e-30, 1, 1e5, 1e30]) {
      const product = async (b: Backend) => {
        const input = new Inputs(5);
        const w = await input.tensor(b, dtype, rows, cols);
        const out = b.allocF32(n * rows);
        b.matmul(out, input.f32(b, n * cols, scale), w, n);
        const result = await b.readF32(out, n * rows);
        b.dispose();
        return result.map(x => x / scale);
      };
      const error = nmse(await product(cudaOnMock()), await product(new Reference()));
      assert.ok(error < bound, `${dtype} ${scale}: NMSE ${error}`);
    }
  }
});

test('zeros stay zeros on tensor cores, and what is not finite shows in its token alone', async () => {
  const [n, rows, cols] = [20, 5, 64];
  for (const dtype of ['f16', 'bf16', 'q4_0'] as const) {
    const b = cudaOnMock();
    const input = new Inputs(5);
    const w = await input.tensor(b, dtype, rows, cols);
    const x = input.values(n * cols);
    x.fill(0, 2 * cols, 3 * cols);
    x[4 * cols + 7] = Number.NaN;
    x[6 * cols + 9] = Number.NEGATIVE_INFINITY;
    const buf = b.allocF32(n * cols);
    b.writeF32(buf, x);
    const out = b.allocF32(n * rows);
    b.matmul(out, buf, w, n);
    const result = await b.readF32(out, n * rows);
    for (let t = 0; t < n; t++) {
      const row = [...result.subarray(t * rows, (t + 1) * rows)];
      if (t === 2) assert.ok(row.every(v => v === 0));
      else if (t === 4 || t === 6) assert.not.ok(row.some(Number.isFinite), `${dtype} ${t}: ${row}`);
      else assert.ok(row.every(Number.isFinite), `${dtype} ${t}: ${row}`);
    }
    b.dispose();
  }
});

test('a slot copied in the middle goes on as the first does', async () => {
  const backend = cudaOnMock();
  const llama = await tinyLlama(backend, {}, { slots: 2 });
  const ids = sequence(2, 30);
  const [first] = await runTogether(llama, [{ ids, slot: 0, chunk: 30 }]);
  llama.copySlot(0, 1, 20);
  const { vocabSize } = llama.config;
  llama.forward({
    tokens: ids.slice(20),
    slots: ids.slice(20).map(() => 1),
    positions: ids.slice(20).map((_, i) => 20 + i),
  });
  const rest = await backend.readF32(llama.logits([...ids.slice(20).keys()]), 10 * vocabSize);
  assert.ok(nmse(rest, first!.subarray(20 * vocabSize)) < BOUND);
  backend.dispose();
});

test('tokens and log-probabilities through the whole model', async () => {
  const model = await openTiny();
  assert.is(model.info.backend, 'cuda');
  const events: number[] = [];
  for await (const { id, logprob, top } of model.tokens([1, 5, 9], { maxTokens: 20, seed: 3, logprobs: 2 })) {
    assert.ok(logprob! <= 0 && top!.length === 2 && top![0]!.logprob >= top![1]!.logprob);
    events.push(id);
  }
  assert.is(events.length, 20);
  await model.close();
});

test('the event loop turns while the GPU works', async () => {
  const backend = cudaOnMock();
  const llama = await tinyLlama(backend, { dim: 256, hiddenDim: 512 });
  llama.forward({ tokens: GOLDEN_IDS, slots: GOLDEN_IDS.map(() => 0), positions: [...GOLDEN_IDS.keys()] });
  let done = false;
  const logits = backend.readF32(llama.logits([59]), llama.config.vocabSize).then(() => (done = true));
  let turns = 0;
  while (!done) {
    await new Promise(resolve => setImmediate(resolve));
    turns++;
  }
  await logits;
  assert.ok(turns > 10, `${turns} turns`);
  backend.dispose();
});

/** What `run` throws. */
async function failureOf(run: () => unknown): Promise<Error & { code?: string }> {
  try {
    await run();
  } catch (error) {
    return error as Error;
  }
  throw new Error('it did not fail');
}

test('each allocation that fails is told, and nothing stays', async () => {
  const before = freeBytes();
  let allowed = 0;
  for (; ; allowed++) {
    const opened = await withMock('REFUSE', allowed, () => openTiny()).catch((error: Error) => error);
    if (!(opened instanceof Error)) {
      await opened.close();
      break;
    }
    assert.instance(opened, StateError);
    assert.is((opened as StateError).code, 'out-of-memory');
    assert.match(opened.message, /GPU memory/);
    assert.is(freeBytes(), before, `after ${allowed} allocations`);
  }
  assert.ok(allowed >= 2, `${allowed} allocations`);
  assert.is(freeBytes(), before);
});

test('what does not fit is refused with what is free', async () => {
  const before = freeBytes();
  await withMock('MEMORY', 2 ** 23, async () => {
    const whole = await failureOf(() => openTiny(tinyModel({ vocabSize: 40000 })));
    assert.match(whole.message, /a GPU memory of \d+ bytes, got the driver's refusal/);
    const backend = cudaOnMock();
    const one = await failureOf(() => backend.allocF32(2 ** 22));
    assert.match(
      one.message,
      /^GPU memory: expected 16777216 bytes more than the 4 taken, got \d+ free of 8388608\./,
    );
    backend.dispose();
  });
  assert.is(freeBytes(), before);
});

test('a head that the kernels do not hold is refused', async () => {
  const backend = cudaOnMock();
  const error = await failureOf(() => backend.allocCache('f32', 1, 1, 4, 257));
  assert.is(error.code, 'unsupported-runtime');
  backend.dispose();
});

const OPENS = process.env['CRIA_FULL'] ? 1000 : 200;

test(`${OPENS} opens and closes leave nothing on the GPU, and no thread`, async () => {
  const before = freeBytes();
  const threads = () => readdirSync('/proc/self/task').length;
  const first = threads();
  for (let i = 0; i < OPENS; i++) {
    const backend = cudaOnMock();
    const x = backend.allocF32(64);
    backend.writeF32(x, new Float32Array(64).fill(i));
    backend.add(x, x, x, 64);
    // every other one is closed while its answer is on the way
    const answer = backend.readF32(x, 64).catch((error: StateError) => error.code);
    const told = i % 2 === 0 ? await answer : undefined;
    backend.dispose();
    if (told instanceof Float32Array) assert.is(told[63], 2 * i);
    else assert.ok(typeof (await answer) === 'object' || (await answer) === 'closed');
  }
  assert.is(freeBytes(), before);
  assert.ok(threads() <= first, `${threads()} threads, ${first} before`);
});

test('a worker that ends takes its device with it', async () => {
  const before = freeBytes();
  const { library, folder } = mockOptions();
  const program = `
    import { openDevice } from ${JSON.stringify(new URL('../gpu-plugin/index.js', import.meta.url).href)};
    const { device } = openDevice(${JSON.stringify({ library, folder })});
    const at = device.allocate(1024);
    device.write(at, new Uint8Array(1024));
    device.read(at, 1024);
    process.exit();`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(program)}`));
  assert.is(await new Promise(resolve => worker.on('exit', resolve)), 0);
  assert.is(freeBytes(), before);
});

test('after a call that fails, every answer says so and nothing runs', async () => {
  const backend = cudaOnMock();
  const x = backend.allocF32(4);
  backend.writeF32(x, [1, 2, 3, 4, 5]); // one number too many
  for (let i = 0; i < 2; i++) {
    const error = await failureOf(() => backend.readF32(x, 4));
    assert.is(error.code, 'gpu-failed');
    assert.match(error.message, /cuMemcpyHtoD: CUDA_ERROR_INVALID_VALUE/);
  }
  backend.dispose();
  const error = await failureOf(() => backend.readF32(x, 4));
  assert.is(error.code, 'closed');
});

if (canBuildMock('cuda(mock)')) test.run();
