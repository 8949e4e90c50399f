// The loss, the gradients and ten AdamW steps of a real model against PyTorch's (llama2.c's model.py, f32).

import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readModelFile } from '../host/checkpoint.ts';
import { openSource } from '../host/sources.ts';
import { AdamW } from '../host/train/adamw.ts';
import type { TrainBackend } from '../host/train/backend.ts';
import { TrainLlama } from '../host/train/llama.ts';
import type { Parameter } from '../host/train/parameters.ts';
import { largestDifference, nmse } from './support/numbers.ts';
import { readSafetensors } from './support/safetensors.ts';
import { sharedFile, sharedTest } from './support/shared.ts';
import { TRAIN_BACKENDS } from './support/train-backends.ts';

const B = 2;
const T = 64;
const WITHIN = 1e-4;

const META: Record<string, string> = {
  attn_norm: 'attention_norm',
  attn_q: 'attention.wq',
  attn_k: 'attention.wk',
  attn_v: 'attention.wv',
  attn_output: 'attention.wo',
  ffn_norm: 'ffn_norm',
  ffn_gate: 'feed_forward.w1',
  ffn_down: 'feed_forward.w2',
  ffn_up: 'feed_forward.w3',
  token_embd: 'tok_embeddings',
  output_norm: 'norm',
};

/** Meta's name of a tensor, under which PyTorch's numbers are kept. */
function metaName(name: string): string {
  const [, layer, part] = /^(?:blk\.(\d+)\.)?(\w+)\.weight$/.exec(name)!;
  return `${layer === undefined ? '' : `layers.${layer}.`}${META[part!]}.weight`;
}

const fixture = (name: string) =>
  readSafetensors(sharedFile(`data/fixtures/pytorch/stories260K.${name}.safetensors`));

async function storiesModel(backend: TrainBackend, recompute = false): Promise<TrainLlama> {
  const source = await openSource(new Uint8Array(readFileSync(sharedFile('data/models/stories260K.gguf'))));
  const { config, tensors } = await readModelFile(source);
  const model = new TrainLlama(backend, config, { B, T, tied: true, recompute });
  for (const { name, rows, cols, first } of model.parameters.list) {
    const values = new Float32Array(rows * cols);
    await source.readInto(new Uint8Array(values.buffer), tensors.get(name)!.offset);
    backend.writeF32(backend.part(model.weights, first, rows * cols), values);
  }
  await source.close();
  return model;
}

async function read(
  { backend }: TrainLlama,
  buf: number,
  { first, rows, cols }: Parameter,
): Promise<Float32Array> {
  return backend.readF32(backend.part(buf, first, rows * cols), rows * cols);
}

/** The largest difference as a fraction of the largest expected number. */
function worst(actual: Float32Array, expected: ArrayLike<number>): number {
  return largestDifference(actual, expected) / largestDifference(expected, new Float32Array(expected.length));
}

function pytorchSuite(name: string, make: () => Promise<TrainBackend>): void {
  const test = suite(`training on ${name} against PyTorch`);

  sharedTest(test, `loss and 47 gradients on ${name}`, async () => {
    const expected = fixture('fwdbwd');
    const [tokens, targets] = [expected.get('tokens')!, expected.get('targets')!];
    for (const recompute of [false, true]) {
      const model = await storiesModel(await make(), recompute);
      const coef = new Float64Array(B * T).fill(1 / (B * T));
      const losses = await model.backward({ tokens, targets, coef });
      const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
      assert.ok(Math.abs(mean - expected.get('loss')![0]!) < 1e-6, `loss ${mean}`);
      assert.equal(await model.losses({ tokens, targets }), losses);
      assert.is(model.parameters.list.length, 47);
      for (const parameter of model.parameters.list) {
        const gradient = expected.get(`grad.${metaName(parameter.name)}`)!;
        const error = worst(await read(model, model.gradient, parameter), gradient);
        assert.ok(error < WITHIN, `${parameter.name}: ${error}`);
      }
    }
  });

  sharedTest(test, `ten AdamW steps on ${name}`, async () => {
    const { tokens, targets } = Object.fromEntries(fixture('fwdbwd'));
    const expected = fixture('adamw10');
    const model = await storiesModel(await make());
    const { backend, parameters, weights, gradient } = model;
    const optimiser = new AdamW(backend, parameters, weights, gradient, { eps: 1e-8 });
    const coef = new Float64Array(B * T).fill(1 / (B * T));
    for (let step = 0; step < 10; step++) {
      const losses = await model.backward({ tokens: tokens!, targets: targets!, coef });
      const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
      const norm = await optimiser.update(5e-4);
      assert.ok(Math.abs(mean / expected.get('losses')![step]! - 1) < WITHIN, `step ${step}: loss ${mean}`);
      assert.ok(
        Math.abs(norm / expected.get('grad_norms')![step]! - 1) < WITHIN,
        `step ${step}: norm ${norm}`,
      );
      if (step !== 0 && step !== 9) continue;
      for (const parameter of parameters.list) {
        const after = expected.get(`after${step + 1}.${metaName(parameter.name)}`)!;
        // Of all numbers together: AdamW's first step moves a weight by lr whatever its gradient's size, so that a
        // gradient which is nothing but the rounding of f32 (PyTorch's 1e-9) moves its weight anywhere.
        const error = Math.sqrt(nmse(await read(model, weights, parameter), after));
        assert.ok(error < WITHIN, `${parameter.name} after step ${step + 1}: ${error}`);
      }
    }
  });

  test.run();
}

for (const [name, make] of Object.entries(TRAIN_BACKENDS)) {
  // a thread of the GPU is a fiber there
  if (name === 'cuda(mock)' && !process.env['CRIA_FULL']) {
    console.log(`skipped: training on ${name} against PyTorch (npm run test:full)`);
  } else pytorchSuite(name, make);
}
