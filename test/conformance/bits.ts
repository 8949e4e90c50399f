// What must be the same bits everywhere, as hashes.

import type { Cria, Model } from '../../host/exports.ts';
import { tinyModel, uniform } from '../support/tiny-model.ts';
import { sha256 } from './check.ts';

const PROMPTS = 64;
const DTYPES = ['F32', 'Q8_0', 'Q4_0', 'Q4_K'] as const;
/** Texts in which letters, merges, bytes and signs of several bytes occur. */
const TEXTS = [
  '',
  'the',
  ' hand  and other things',
  'Ünïcödé é',
  '日本語 🦙',
  'a\nb\tc',
  '<s> [INST] </s>',
  '▁the',
];

export interface Bits {
  logits: Record<string, string>;
  /** Of the text of 64 seeded samples. */
  texts: string;
  /** Of the ids of texts, and the texts of ids. */
  tokens: string;
}

export async function bitsOf(cria: Cria, threads: number | 'auto'): Promise<Bits> {
  const bits: Bits = { logits: {}, texts: '', tokens: '' };
  const texts: string[] = [];
  for (const dtype of DTYPES) {
    const model = await cria.open(tinyModel({ dtype, seed: 11 }), { threads });
    bits.logits[dtype] = await hashOfLogits(model);
    texts.push(...(await samples(model, PROMPTS / DTYPES.length)));
    if (bits.tokens === '') bits.tokens = await hashOfTokens(model);
    await model.close();
  }
  bits.texts = await sha256(new TextEncoder().encode(JSON.stringify(texts)));
  return bits;
}

/** The logits after every token of prompts of 1 to 64 tokens, one after another. */
async function hashOfLogits(model: Model): Promise<string> {
  const { vocabSize, contextLength } = model.info;
  const random = uniform(3);
  const number = (below: number) => Math.floor(((random() + 1) / 2) * below);
  const all: Float32Array[] = [];
  for (let i = 0; i < PROMPTS; i++) {
    const ids = Array.from({ length: 1 + number(contextLength) }, () => number(vocabSize));
    all.push(await model.logits(ids));
  }
  const joined = new Float32Array(all.reduce((length, logits) => length + logits.length, 0));
  let at = 0;
  for (const logits of all) {
    joined.set(logits, at);
    at += logits.length;
  }
  return sha256(new Uint8Array(joined.buffer));
}

async function samples(model: Model, count: number): Promise<string[]> {
  const texts: string[] = [];
  for (let seed = 0; seed < count; seed++) {
    let text = '';
    const options = { seed, maxTokens: 24, temperature: 0.5 + seed / 10, topP: 0.9, repeatPenalty: 1.1 };
    for await (const piece of model.generate(TEXTS[seed % TEXTS.length]!, options)) text += piece;
    texts.push(text);
  }
  return texts;
}

async function hashOfTokens({ tokenizer }: Model): Promise<string> {
  const all = TEXTS.map(text => {
    const ids = tokenizer.encode(text);
    return [ids, tokenizer.decode(ids)];
  });
  return sha256(new TextEncoder().encode(JSON.stringify(all)));
}
