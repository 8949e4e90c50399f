// A model in training without any file from outside: golden bits of its gradients and of its weights after ten steps,
// the same bits with recomputed activations, and the reference's numbers within the error of f32.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Llama } from '../host/llama.ts';
import { AdamW, type AdamWOptions } from '../host/train/adamw.ts';
import type { TrainBackend } from '../host/train/backend.ts';
import { TrainLlama, type TrainLlamaOptions } from '../host/train/llama.ts';
import { TrainReference } from '../host/train/reference.ts';
import { TrainWasm, trainKernels } from '../host/train/wasm.ts';
import { gpuTrainBackends } from './support/gpu.ts';
import { hashOf, nmse } from './support/numbers.ts';
import { TRAIN_BACKENDS } from './support/train-backends.ts';
import { randomMicroBatch, SMALL_CONFIG, writeRandomWeights } from './support/train-models.ts';

/**
 * sha256 of the gradient of one micro-batch and of the weights after ten steps: the promise that every runtime and CPU
 * gives the same bits. A kernel that changes them needs a reason, and says so in the changelog.
 */
const GOLDEN = [
  {
    tied: true,
    gradient: 'a8465fa37ca0dba381ed07d190ca3d2a3de96694f129896424ab17b8659edeb1',
    weights: 'bde926f51c36ca2ff348bdfb4fb8db5d55781fa1b5767f9f99aa0740aaf0dd5d',
  },
  {
    tied: false,
    gradient: 'e396631acc91f14eee189fef6d31ebc9a59ac5a7e6b0445f979c24fbdb21831f',
    weights: 'f90309e2001e7f0873af3ad380e78f8de822d7ee48c6755de11691a29aaed006',
  },
];

const wasm = async (): Promise<TrainBackend> => new TrainWasm(await trainKernels());

function smallModel(backend: TrainBackend, options: Partial<TrainLlamaOptions> = {}): TrainLlama {
  const model = new TrainLlama(backend, SMALL_CONFIG, { B: 3, T: 11, tied: true, ...options });
  writeRandomWeights(model, 1);
  return model;
}

const all = (model: TrainLlama, buf: number) => model.backend.readF32(buf, model.parameters.size);

async function gradientOf(model: TrainLlama): Promise<Float32Array> {
  await model.backward(randomMicroBatch(model, 2));
  return all(model, model.gradient);
}

/** Steps of two micro-batches each, whose gradients are added in their order; the weights and the norms that came by. */
async function learn(model: TrainLlama, steps: number, options: AdamWOptions = {}) {
  const { backend, parameters, weights, gradient } = model;
  const total = parameters.alloc(backend);
  const optimiser = new AdamW(backend, parameters, weights, total, options);
  const norms: number[] = [];
  for (let step = 0; step < steps; step++) {
    backend.zero(total, parameters.size);
    for (const micro of [0, 1]) {
      await model.backward(randomMicroBatch(model, 2 * step + micro));
      backend.add(total, total, gradient, parameters.size);
    }
    norms.push(await optimiser.update(1e-2));
  }
  return { weights: await all(model, weights), norms };
}

for (const { tied, gradient, weights } of GOLDEN) {
  const label = tied ? 'tied' : 'untied';
  const options = { tied, mostLogits: 19 * 8 };

  test(`${label}: golden bits`, async () => {
    assert.is(hashOf(await gradientOf(smallModel(await wasm(), options))), gradient);
    assert.is(hashOf((await learn(smallModel(await wasm(), options), 10)).weights), weights);
  });

  for (const [name, make] of Object.entries(TRAIN_BACKENDS)) {
    if (name === 'reference') continue;
    test(`${label}: ${name} within f32 error of the reference`, async () => {
      const expected = smallModel(new TrainReference(), options);
      const actual = smallModel(await make(), options);
      assert.ok(nmse(await gradientOf(actual), await gradientOf(expected)) < 1e-11);
      const [a, b] = [await learn(actual, 10), await learn(expected, 10)];
      assert.ok(nmse(a.norms, b.norms) < 1e-9, `norms ${a.norms} instead of ${b.norms}`);
      assert.ok(nmse(a.weights, b.weights) < 1e-9, `weights: ${nmse(a.weights, b.weights)}`);
      actual.backend.dispose();
    });
  }

  for (const [name, make] of Object.entries(gpuTrainBackends('bf16'))) {
    test(`${label}: ${name} in bf16 within its error of the reference`, async () => {
      const expected = smallModel(new TrainReference(), options);
      const actual = smallModel(await make(), options);
      const gradients = nmse(await gradientOf(actual), await gradientOf(expected));
      assert.ok(gradients < 2e-4, `gradients: ${gradients}`);
      const [a, b] = [await learn(actual, 10), await learn(expected, 10)];
      assert.ok(nmse(a.norms, b.norms) < 3e-5, `norms ${nmse(a.norms, b.norms)}`);
      assert.ok(nmse(a.weights, b.weights) < 5e-5, `weights: ${nmse(a.weights, b.weights)}`);
      actual.backend.dispose();
    });
  }

  test(`${label}: recomputed activations give the same bits`, async () => {
    const kept = await gradientOf(smallModel(await wasm(), options));
    const again = await gradientOf(smallModel(await wasm(), { ...options, recompute: true }));
    assert.is(hashOf(again), hashOf(kept));
  });
}

test('a gradient begins from zero', async () => {
  const model = smallModel(await wasm());
  const first = await gradientOf(model);
  await model.backward(randomMicroBatch(model, 99));
  assert.is(hashOf(await gradientOf(model)), hashOf(first));
});

test('the model that learns generates: a Llama on its weights gives the same losses', async () => {
  const model = smallModel(await wasm(), { B: 1, T: 16 });
  const batch = randomMicroBatch(model, 4);
  const losses = await model.losses(batch);
  const { backend, config, tensors, n } = model;
  const limits = { contextLength: n, slots: 1, cache: 'f32' as const, batch: n, outputs: n };
  const llama = new Llama(backend, config, tensors, limits);
  const places = Array.from({ length: n }, (_, i) => i);
  llama.forward({ tokens: batch.tokens, slots: new Array(n).fill(0), positions: places });
  const [loss, targets] = [backend.allocF32(n), backend.allocI32(n)];
  backend.writeI32(targets, batch.targets);
  backend.crossEntropy(loss, llama.logits(places), targets, n, config.vocabSize);
  assert.ok(nmse(await backend.readF32(loss, n), losses) < 1e-11);
});

test('a sequence does not see the one beside it', async () => {
  const two = smallModel(await wasm(), { B: 2, T: 8 });
  const one = smallModel(await wasm(), { B: 1, T: 8 });
  const batch = randomMicroBatch(two, 6);
  const second = { tokens: Array.from(batch.tokens).slice(8), targets: Array.from(batch.targets).slice(8) };
  assert.is(hashOf((await two.losses(batch)).slice(8)), hashOf(await one.losses(second)));
});

test('a gradient that is not finite changes nothing', async () => {
  const model = smallModel(await wasm());
  const { backend, parameters, weights, gradient } = model;
  const optimiser = new AdamW(backend, parameters, weights, gradient);
  const before = await all(model, weights);
  await gradientOf(model);
  backend.writeF32(backend.part(gradient, 7, 1), [Number.NaN]);
  assert.ok(Number.isNaN(await optimiser.update(1e-2)));
  assert.is(optimiser.step, 0);
  assert.is(hashOf(await all(model, weights)), hashOf(before));
});

test('clipping bounds the step, and only above its norm', async () => {
  const norms = async (clip: number) => (await learn(smallModel(await wasm()), 3, { clip })).norms;
  const free = await norms(Number.POSITIVE_INFINITY);
  assert.equal(await norms(1e9), free);
  assert.is((await norms(1e-3))[0], free[0], 'the norm is that before clipping');
});

test('a micro-batch that does not fit is refused before anything runs', async () => {
  const model = smallModel(await wasm());
  const good = randomMicroBatch(model, 1);
  const replaced = (values: ArrayLike<number>, by: number) => [by, ...Array.from(values).slice(1)];
  const bad = [
    { ...good, tokens: [] },
    { ...good, targets: Array.from(good.targets).slice(1) },
    { ...good, coef: [...Array.from(good.coef), 0] },
    { ...good, tokens: replaced(good.tokens, SMALL_CONFIG.vocabSize) },
    { ...good, tokens: replaced(good.tokens, 0.5) },
    { ...good, targets: replaced(good.targets, -1) },
    { ...good, coef: replaced(good.coef, Number.NaN) },
  ];
  for (const [i, batch] of bad.entries()) {
    try {
      await model.backward(batch);
      assert.unreachable(`batch ${i} was taken`);
    } catch (error) {
      assert.is((error as Error).name, 'OptionError', String(error));
    }
  }
});

test.run();
