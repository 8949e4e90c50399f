// npm run bench:curves -- --text FILE --tokenizer FILE: a model of the 260K shape learns from a text from nothing, with Cria and with
// PyTorch, from the same weights and the same batches. Prints how far the losses lie apart, beside how far those of PyTorch with one
// thread and with two do, which adds in another order too; and writes logs for `cria plot`.

import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openTokenizer } from 'cria';
import { openData } from 'cria/train';
import { byCria, byPyTorch, makeJob, pyTorchVersion, type Result, writeLog } from './job.ts';

const { values } = parseArgs({
  options: {
    text: { type: 'string' },
    tokenizer: { type: 'string' },
    steps: { type: 'string', default: '1000' },
    rate: { type: 'string', default: '0.001' },
  },
});
const { text, tokenizer: path } = values;
const steps = 10 * Math.ceil(Number(values.steps) / 10);
if (text === undefined || path === undefined)
  throw new RangeError('npm run bench:curves -- --text FILE --tokenizer FILE');

const options = {
  dim: 64,
  hiddenDim: 172,
  nLayers: 5,
  nHeads: 8,
  nKvHeads: 4,
  contextLength: 256,
  sequences: 4,
  microBatches: 2,
  steps,
  learningRate: Number(values.rate),
};
const { sequences: B, contextLength: T, microBatches } = options;
const tokenizer = await openTokenizer(path);
const data = await openData([{ files: [text] }], tokenizer, {
  B,
  T,
  microBatches,
  seed: 1,
  validation: 0.05,
});
const { folder, job } = await makeJob('curves', options, tokenizer.size, data);
const cria = await byCria(folder, 2);
const pytorch = await byPyTorch(folder, 1);
const again = await byPyTorch(folder, 2);

/** The largest difference of a step's losses, as a share. */
const apart = (a: Result, b: Result): string => {
  const shares = a.steps.map(({ loss }, i) => Math.abs(loss / b.steps[i]!.loss - 1));
  return `${(100 * Math.max(...shares)).toFixed(3)} %`;
};

console.log(`| step | Cria | ${pyTorchVersion()} | with two threads |\n| --- | --- | --- | --- |`);
const row = (name: string | number, values: (number | undefined)[]) =>
  console.log(`| ${name} | ${values.map(value => value?.toFixed(4)).join(' | ')} |`);
const all = [cria, pytorch, again];
for (let step = 1; step <= steps; step += step === 1 ? steps / 10 - 1 : steps / 10)
  row(
    step,
    all.map(({ steps }) => steps[step - 1]!.loss),
  );
row(
  'held out',
  all.map(({ held }) => held),
);
console.log(
  `\nlargest difference of a step: Cria and PyTorch ${apart(cria, pytorch)}, PyTorch and itself ${apart(again, pytorch)}`,
);
for (const [name, result] of Object.entries({ cria, pytorch })) writeLog(join(folder, name), job, result);
console.log(`cria plot ${join(folder, 'cria')} ${join(folder, 'pytorch')} --out curves.svg`);
