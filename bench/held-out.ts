// npm run bench:held-out: how well models predict the texts that a training configuration keeps for validation, in bits a byte,
// beside a unigram of the configuration's own vocabulary. Bytes, not tokens: vocabularies differ.

import { readFileSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { open, openTokenizer } from 'cria';
import { openData, readDocuments, sourcesFromConfig, type TokenData } from 'cria/train';

const { values, positionals: models } = parseArgs({
  options: { config: { type: 'string', default: 'models/stories.json' }, tokenizer: { type: 'string' } },
  allowPositionals: true,
});
const path = resolve(values.config);
const config = JSON.parse(readFileSync(path, 'utf8')) as {
  tokenizer: string;
  validation: number;
  seed: number;
  contextLength: number;
};
const tokenizer = await openTokenizer(values.tokenizer ?? resolve(dirname(path), config.tokenizer));
const encoder = new TextEncoder();

/** The held-out documents of each source, from the rows of the validation split: what does not fill a last row is left out. */
async function heldOut(data: TokenData): Promise<string[][]> {
  const all: string[][] = [];
  let row = 0;
  for (const { tokens } of data.sources) {
    const ids: number[] = [];
    // rows are in the order of the sources
    for (const end = row + Math.max(0, Math.floor((tokens.validation - 1) / data.T)); row < end; row++) {
      ids.push(...(await data.validationAt(row)).tokens);
    }
    const documents: number[][] = [];
    for (const id of ids) {
      if (id === tokenizer.bos) documents.push([]);
      else if (id !== tokenizer.eos) documents.at(-1)?.push(id);
    }
    all.push(documents.filter(({ length }) => length > 1).map(document => tokenizer.decode(document)));
  }
  return all;
}

/** Bits a byte of a unigram with one added to each count. */
function unigram(all: string[], held: string[]): number {
  const counts = new Float64Array(tokenizer.size).fill(1);
  const skipped = new Set(held);
  for (const text of all) {
    if (skipped.has(text)) continue;
    for (const id of tokenizer.encode(text, { bos: false, eos: false })) counts[id]!++;
  }
  const total = counts.reduce((sum, count) => sum + count);
  let bits = 0;
  let bytes = 0;
  for (const text of held) {
    for (const id of tokenizer.encode(text, { bos: false, eos: false }))
      bits -= Math.log2(counts[id]! / total);
    bytes += encoder.encode(text).length;
  }
  return bits / bytes;
}

async function bitsPerByte(path: string, held: string[]): Promise<number> {
  const model = await open(path, { contextLength: config.contextLength });
  let bits = 0;
  let bytes = 0;
  for (const text of held) {
    const { nll, tokens } = await model.perplexity(text);
    bits += (nll * tokens) / Math.LN2;
    bytes += encoder.encode(text).length;
  }
  await model.close();
  return bits / bytes;
}

console.log(
  `| held out | documents | bytes | unigram | ${models.map(model => basename(model)).join(' | ')} |`,
);
console.log(`| --- | --- | --- | --- |${' --- |'.repeat(models.length)}`);
const sources = sourcesFromConfig(config, path, file => resolve(dirname(path), file));
const { validation, seed, contextLength: T } = config;
const held = await heldOut(await openData(sources, tokenizer, { B: 1, T, validation, seed }));
const all: string[] = [];
for (const source of sources) for await (const { text } of readDocuments(source)) all.push(text);
for (const [i, { name }] of sources.entries()) {
  const texts = held[i]!;
  const figures = [unigram(all, texts)];
  for (const model of models) figures.push(await bitsPerByte(model, texts));
  const bytes = texts.reduce((sum, text) => sum + encoder.encode(text).length, 0);
  const cells = [name, texts.length, bytes, ...figures.map(figure => figure.toFixed(3))];
  console.log(`| ${cells.join(' | ')} |`);
}
