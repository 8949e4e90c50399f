// What training takes and gives: models of other formats, against files that other programs wrote.

import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openTokenizer } from '../host/index.ts';
import {
  createTrainer,
  exportGguf,
  huggingFaceFiles,
  llama2cCheckpoint,
  llama2cTokenizer,
  openData,
  type Trained,
  weightsFrom,
} from '../host/train/index.ts';
import { Parameters } from '../host/train/parameters.ts';
import { hashOf } from './support/numbers.ts';
import { readSafetensors } from './support/safetensors.ts';
import { sharedFile, sharedTest } from './support/shared.ts';

const GGUF = 'data/models/stories260K.gguf';

/** The published model as if it had been trained here; the file has the tied matrix twice. */
async function stories(tied = false): Promise<Trained> {
  const file = sharedFile(GGUF);
  const { config, weights } = await weightsFrom(file);
  const { vocabulary } = await openTokenizer(file);
  // its metadata say 2048, and its other exports what it was trained with
  const llama = { ...config, contextLength: 512 };
  const parameters = new Parameters(llama, tied);
  return { llama, tied, weights: weights.subarray(0, parameters.size), vocabulary, parameters };
}

sharedTest(test, 'llama2.c: the bytes of the published checkpoint and tokenizer', async () => {
  const trained = await stories(true);
  const own = await llama2cCheckpoint(trained);
  const published = readFileSync(sharedFile('data/models/stories260K.bin'));
  assert.is(own.length, published.length);
  const tables = 4 * 512 * trained.llama.headDim;
  const numbers = (bytes: Uint8Array) => new Float32Array(Uint8Array.from(bytes).buffer);
  assert.equal(Buffer.from(own.subarray(0, -tables)), published.subarray(0, -tables));
  const [a, b] = [numbers(own.subarray(-tables)), numbers(published.subarray(-tables))];
  assert.ok(
    a.every((x, i) => Math.abs(x - b[i]!) < 1e-4),
    'rotary tables',
  );
  const tokenizer = readFileSync(sharedFile('data/tokenizers/tok512.bin'));
  assert.equal(Buffer.from(llama2cTokenizer(trained.vocabulary)), tokenizer);
});

sharedTest(test, 'safetensors: every tensor of the twin in the layout of Hugging Face', async () => {
  const files = huggingFaceFiles(await stories(), 'F32');
  const twin = readFileSync(sharedFile('data/models/hf/stories260K/model.safetensors'));
  const [own, theirs] = [files.get('model.safetensors')!, twin].map(bytes => readSafetensors(bytes));
  assert.equal([...own!.keys()].sort(), [...theirs!.keys()].sort());
  for (const [name, values] of own!) {
    assert.is(hashOf(values as Float32Array), hashOf(theirs!.get(name) as Float32Array), name);
  }
  const config = JSON.parse(new TextDecoder().decode(files.get('config.json')));
  const given = JSON.parse(
    readFileSync(sharedFile('data/models/hf/stories260K/config.json'), 'utf8'),
  ) as Record<string, unknown>;
  const shape = Object.entries(given).filter(([key]) => /size|num_|theta|eps$|act$/.test(key));
  assert.ok(shape.length > 5);
  // GGUF has numbers in f32
  const single = (value: unknown) => (typeof value === 'number' ? Math.fround(value) : value);
  for (const [key, value] of shape) assert.equal(single(config[key]), single(value), key);
});

sharedTest(test, 'GGUF: what is written is read', async () => {
  const trained = await stories();
  const pieces: Uint8Array[] = [];
  const sink = { write: async (bytes: Uint8Array) => void pieces.push(bytes.slice()) };
  await exportGguf(trained, sink, { type: 'F32' });
  const again = await weightsFrom(new Uint8Array(Buffer.concat(pieces)));
  assert.equal(again.config, trained.llama);
  assert.is(hashOf(again.weights), hashOf(trained.weights));
});

sharedTest(test, 'finetuning stories260K lowers its loss on stories that it has not seen', async () => {
  const file = sharedFile(GGUF);
  const { config, weights } = await weightsFrom(file);
  const tokenizer = await openTokenizer(file);
  const text = readFileSync(sharedFile('data/text/tinystories-v1-head.txt')).subarray(0, 200_000);
  const data = await openData([{ files: [new Uint8Array(text)] }], tokenizer, {
    B: 4,
    T: 128,
    split: 'tail',
    validation: 0.2,
  });
  const { dim, hiddenDim, nLayers, nHeads, nKvHeads, normEps } = config;
  const shape = { dim, hiddenDim, nLayers, nHeads, nKvHeads, normEps };
  const rest = { contextLength: 128, sequences: 4, steps: 60, learningRate: 3e-4, warmup: 10 };
  const trainer = await createTrainer({ ...shape, ...rest }, data, {
    vocabSize: tokenizer.size,
    from: weights,
  });
  const before = await trainer.validate();
  while (trainer.step < 60) await trainer.advance();
  const after = await trainer.validate();
  console.log(`figures: validation loss ${before.toFixed(4)} before, ${after.toFixed(4)} after 60 steps`);
  assert.ok(before < 2 && after < before - 0.01, `${before} to ${after}`);
  await trainer.close();
});

test.run();
