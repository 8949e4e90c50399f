// What training writes in Hugging Face's layout, computed by PyTorch: the same logits as ours.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { open, openTokenizer } from '../host/index.ts';
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
import { pythonWith } from '../scripts/python.ts';
import { generatedStories } from './support/generated-text.ts';
import { largestDifference } from './support/numbers.ts';
import { projectRoot, sharedFile, sharedTest } from './support/shared.ts';

/** Largest difference of logits, as a share of the largest: f32 sums in another order. */
const WITHIN = 1e-5;

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

async function compare(model: Trained, type: SafetensorsType): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'cria-'));
  for (const [name, bytes] of huggingFaceFiles(model, type)) writeFileSync(join(folder, name), bytes);
  const ids = Array.from({ length: 24 }, (_, i) => 3 + ((i * 37) % (model.llama.vocabSize - 3)));
  const script = join(projectRoot, 'test', 'support', 'hugging-face.py');
  const bytes = execFileSync(python!, [script, folder, ids.join()], { maxBuffer: 2 ** 28 });
  const theirs = new Float32Array(Uint8Array.from(bytes).buffer);
  const opened = await open(folder, { threads: 0 });
  const own = await opened.logits(ids);
  await opened.close();
  rmSync(folder, { recursive: true });
  assert.is(own.length, theirs.length);
  const largest = largestDifference(theirs, new Float32Array(theirs.length));
  const share = largestDifference(own, theirs) / largest;
  assert.ok(largest > 1 && share < WITHIN, `${share} of ${largest}`);
}

if (python === undefined) {
  console.log('skipped: PyTorch computes what was exported (no Python with torch)');
} else {
  for (const tied of [true, false]) {
    test(`PyTorch computes our logits from what was exported, ${tied ? 'tied' : 'untied'}`, async () => {
      const model = await trained(tied);
      for (const type of ['F32', 'F16', 'BF16'] as const) await compare(model, type);
    });
  }
  sharedTest(test, 'F32: PyTorch computes our logits of stories260K', async () => {
    await compare(await published(), 'F32');
  });
}

test.run();
