// npm run bench:characters -- --text FILE: models of characters at nanoGPT's budget for a CPU (12 windows of 64 characters, 2000 steps, 1e-3
// to 1e-4), with fewer kv heads and of four sizes: table 18 and figure 5 of the Llama 2 paper, in small. Writes logs for `cria plot`.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { TrainData, TrainOptions } from 'cria/train';
import { cacheFolder } from '../paths.ts';
import { randomBits, seedOf } from '../random.ts';
import { byCria, makeJob, writeLog } from './job.ts';

const { values } = parseArgs({
  options: {
    text: { type: 'string' },
    steps: { type: 'string', default: '2000' },
    only: { type: 'string', default: '' },
  },
});
if (values.text === undefined) throw new RangeError('npm run bench:characters -- --text FILE');

const budget = {
  nLayers: 4,
  nHeads: 4,
  contextLength: 64,
  sequences: 6,
  microBatches: 2,
  steps: Number(values.steps),
  learningRate: 1e-3,
  warmup: 100,
  beta2: 0.99,
  eps: 1e-8,
  decay: 0.1,
  tied: false,
};
const MODELS: Record<string, Pick<TrainOptions, 'dim' | 'hiddenDim' | 'nKvHeads'>> = {
  '4 kv heads': { dim: 128, hiddenDim: 352, nKvHeads: 4 },
  '2 kv heads': { dim: 128, hiddenDim: 395, nKvHeads: 2 },
  '1 kv head': { dim: 128, hiddenDim: 416, nKvHeads: 1 },
  '60K': { dim: 32, hiddenDim: 96, nKvHeads: 4 },
  '160K': { dim: 56, hiddenDim: 152, nKvHeads: 4 },
  '390K': { dim: 88, hiddenDim: 240, nKvHeads: 4 },
  '1M': { dim: 144, hiddenDim: 384, nKvHeads: 4 },
};

const text = readFileSync(values.text, 'utf8');
const alphabet = [...new Set(text)].sort();
const ids = Int32Array.from(text, character => alphabet.indexOf(character));
const learned = Math.floor(0.9 * ids.length);
const { sequences: B, contextLength: T } = budget;

/** Windows that begin anywhere in the first nine tenths; the rest is validated on from end to end. */
const data: TrainData = {
  async batchAt(step, m) {
    const bits = randomBits(seedOf(`${step} ${m}`));
    return windows(Array.from({ length: B }, () => (bits() >>> 0) % (learned - T)));
  },
  validationBatches: Math.ceil(Math.floor((ids.length - learned - 1) / T) / B),
  async validationAt(i) {
    const rows = Math.floor((ids.length - learned - 1) / T);
    return windows(
      Array.from({ length: Math.min(B, rows - i * B) }, (_, row) => learned + (i * B + row) * T),
    );
  },
};

function windows(starts: number[]): { tokens: Int32Array; targets: Int32Array; rows: number } {
  const tokens = new Int32Array(B * T);
  const targets = new Int32Array(B * T);
  for (const [row, start] of starts.entries()) {
    tokens.set(ids.subarray(start, start + T), row * T);
    targets.set(ids.subarray(start + 1, start + T + 1), row * T);
  }
  return { tokens, targets, rows: starts.length };
}

console.log(`${alphabet.length} characters; ${ids.length - learned} of ${ids.length} are held out`);
console.log('| model | parameters | validation loss | s |\n| --- | --- | --- | --- |');
for (const [name, model] of Object.entries(MODELS)) {
  if (!name.startsWith(values.only)) continue;
  const { folder, job } = await makeJob('characters', { ...model, ...budget }, alphabet.length, data);
  const start = performance.now();
  const result = await byCria(folder, 2);
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  const count = job.parameters.reduce((sum, { rows, cols }) => sum + rows * cols, 0);
  console.log(`| ${name} | ${count} | ${result.held?.toFixed(4)} | ${seconds} |`);
  writeLog(join(cacheFolder(), 'training', name), job, result);
}
