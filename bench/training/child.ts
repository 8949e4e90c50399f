// What job.ts starts: FOLDER RANKS. Does the job with Cria and prints a line of JSON for each step.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createTrainer, type TrainBatch, type TrainData } from 'cria/train';
import type { Job } from './job.ts';

const [folder, ranks] = process.argv.slice(2) as [string, string];
const numbers = (name: string) => Uint8Array.from(readFileSync(join(folder, name))).buffer;
const { train, vocabSize } = JSON.parse(readFileSync(join(folder, 'job.json'), 'utf8')) as Job;
const { contextLength: T, sequences, microBatches } = train;

/** Batches of rows of T + 1 ids. */
function batch(all: Int32Array, first: number): TrainBatch {
  const rows = Math.min(sequences, all.length / (T + 1) - first);
  const tokens = new Int32Array(sequences * T);
  const targets = new Int32Array(sequences * T);
  for (let row = 0; row < rows; row++) {
    const ids = all.subarray((first + row) * (T + 1), (first + row + 1) * (T + 1));
    tokens.set(ids.subarray(0, T), row * T);
    targets.set(ids.subarray(1), row * T);
  }
  return { tokens, targets, rows };
}

const rows = new Int32Array(numbers('rows.i32'));
const held = new Int32Array(numbers('held.i32'));
const data: TrainData = {
  batchAt: async (step, m) => batch(rows, (step * microBatches + m) * sequences),
  validationBatches: Math.ceil(held.length / (T + 1) / sequences),
  validationAt: async i => batch(held, i * sequences),
};
const from = new Float32Array(numbers('weights.f32'));
const trainer = await createTrainer(train, data, { vocabSize, ranks: Number(ranks), from });
while (trainer.step < train.steps) {
  const start = performance.now();
  const { step, loss, norm } = await trainer.advance();
  console.log(JSON.stringify({ step, loss, norm, ms: performance.now() - start }));
}
if (held.length > 0) console.log(JSON.stringify({ held: await trainer.validate() }));
await trainer.close();
