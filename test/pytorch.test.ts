// What training writes in Hugging Face's layout, computed by PyTorch: the same logits as ours, on the CPU and on a GPU.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readModelFile } from '../host/checkpoint.ts';
import { open, openTokenizer } from '../host/index.ts';
import { Llama } from '../host/llama.ts';
import { names } from '../host/runtime/node.ts';
import { openSource } from '../host/sources.ts';
import {
  createTrainer,
  huggingFaceFiles,
  openData,
  type SafetensorsType,
  type Trained,
  trainTokenizer,
  weightsFrom,
  writeVocabularyGguf,
} from '../host/train/index.ts';
import { Parameters } from '../host/train/parameters.ts';
import { loadWeights } from '../host/weights.ts';
import { pythonWith } from '../scripts/python.ts';
import { generatedStories } from './support/generated-text.ts';
import { gpuBackends } from './support/gpu.ts';
import { runTogether } from './support/models.ts';
import { largestDifference } from './support/numbers.ts';
import { projectRoot, sharedFile, sharedTest } from './support/shared.ts';
import { uniform } from './support/tiny-model.ts';

/** Largest difference of logits, as a share of the largest: f32 sums in another order. */
const WITHIN = 1e-5;
/** On a GPU, whose tensor cores take activations rounded as the weights are, and attention in halves. */
const GPU_WITHIN: Record<SafetensorsType, number> = { F32: 1e-3, F16: 1e-2, BF16: 2e-2 };
const TOKENS = 24;

const python = pythonWith('torch');

/** A model with fewer kv heads than heads, a few steps old. */
async function trained(tied: boolean): Promise<Trained> {
  const stories = generatedStories(60);
  const { vocabulary } = await trainTokenizer(stories, { vocabSize: 320 });
  const tokenizer = await openTokenizer(writeVocabularyGguf(vocabulary));
  const source = { files: [new TextEncoder().encode(stories.join('<|endoftext|>'))] };
  const data = await openData([source], tokenizer, { B: 2, T: 32, microBatches: 1 });
  const options = { dim: 48, nLayers: 3, nHeads: 6, nKvHeads: 2, contextLength: 32, tied };
  const rest = { sequences: 2, steps: 20, learningRate: 0.01 };
  const trainer = await createTrainer({ ...options, ...rest }, data, { vocabSize: tokenizer.size });
  while (trainer.step < rest.steps) await trainer.advance();
  const { weights } = await trainer.state();
  const { llama, parameters } = trainer;
  await trainer.close();
  return { llama, tied, parameters, weights, vocabulary };
}

async function published(): Promise<Trained> {
  const file = sharedFile('data/models/stories260K.gguf');
  const { config, weights } = await weightsFrom(file);
  const { vocabulary } = await openTokenizer(file);
  const parameters = new Parameters(config, true);
  return { llama: config, tied: true, weights: weights.subarray(0, parameters.size), vocabulary, parameters };
}

/** Random weights of variance 1 / cols, as large as tiles of tensor cores are; larger on a GPU than on the mock. */
async function random(tied: boolean): Promise<Trained> {
  const { vocabulary } = await trainTokenizer(generatedStories(60), { vocabSize: 320 });
  const [dim, nLayers] = process.env['CRIA_GPU'] === '1' ? [1024, 8] : [128, 2];
  const llama = {
    ...{
      dim,
      hiddenDim: 2.75 * dim,
      nLayers,
      nHeads: dim / 64,
      nKvHeads: dim / 128,
      headDim: 64,
      vocabSize: 320,
    },
    ...{ contextLength: 64, normEps: 1e-5, ropeTheta: 10000, ropeScale: 1 },
  };
  const parameters = new Parameters(llama, tied);
  const weights = new Float32Array(parameters.size);
  const next = uniform(5);
  for (const { name, first, rows, cols, norm } of parameters.list) {
    const spread = Math.sqrt(3 / (name === 'token_embd.weight' && !tied ? 1 : cols));
    for (let i = first; i < first + rows * cols; i++) weights[i] = norm ? 1 + 0.2 * next() : spread * next();
  }
  return { llama, tied, parameters, weights, vocabulary };
}

/** Logits of a few tokens, by PyTorch and by `own`, which is given the folder of the model and may compute them several times. */
async function compare(
  model: Trained,
  type: SafetensorsType,
  within: number,
  own: (folder: string, ids: number[]) => Promise<Float32Array[]>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'cria-'));
  for (const [name, bytes] of huggingFaceFiles(model, type)) writeFileSync(join(folder, name), bytes);
  const ids = Array.from({ length: TOKENS }, (_, i) => 3 + ((i * 37) % (model.llama.vocabSize - 3)));
  const script = join(projectRoot, 'test', 'support', 'hugging-face.py');
  const bytes = execFileSync(python!, [script, folder, ids.join()], { maxBuffer: 2 ** 28 });
  const theirs = new Float32Array(Uint8Array.from(bytes).buffer);
  const largest = largestDifference(theirs, new Float32Array(theirs.length));
  for (const ours of await own(folder, ids)) {
    assert.is(ours.length, theirs.length);
    const share = largestDifference(ours, theirs) / largest;
    assert.ok(largest > 1 && share < within, `${share} of ${largest}`);
  }
  rmSync(folder, { recursive: true });
}

async function onCpu(folder: string, ids: number[]): Promise<Float32Array[]> {
  const opened = await open(folder, { threads: 0 });
  const logits = await opened.logits(ids);
  await opened.close();
  return [logits];
}

if (python === undefined) {
  console.log('skipped: PyTorch computes what was exported (no Python with torch)');
} else {
  for (const tied of [true, false]) {
    test(`PyTorch computes our logits from what was exported, ${tied ? 'tied' : 'untied'}`, async () => {
      const model = await trained(tied);
      for (const type of ['F32', 'F16', 'BF16'] as const) await compare(model, type, WITHIN, onCpu);
    });
  }
  sharedTest(test, 'F32: PyTorch computes our logits of stories260K', async () => {
    await compare(await published(), 'F32', WITHIN, onCpu);
  });
  for (const [name, backend] of Object.entries(gpuBackends())) {
    for (const type of ['F32', 'F16', 'BF16'] as const) {
      test(`${name}: PyTorch computes our logits, ${type}, of many tokens at once and of few`, async () => {
        const model = await random(type === 'F32');
        await compare(model, type, GPU_WITHIN[type], async (folder, ids) => {
          const source = await openSource(join(folder, 'model.safetensors'), undefined, names);
          const file = await readModelFile(source);
          const gpu = await backend();
          const weights = await loadWeights(gpu, file, file.source ?? source);
          const limits = { contextLength: 64, slots: 2, cache: 'f32', batch: 64, outputs: 64 } as const;
          const llama = new Llama(gpu, file.config, weights, limits);
          const all = [];
          for (const [slot, chunk] of [TOKENS, 4].entries()) {
            all.push(...(await runTogether(llama, [{ ids, slot, chunk }])));
          }
          gpu.dispose();
          await (file.source ?? source).close();
          return all;
        });
      });
    }
  }
}

test.run();
