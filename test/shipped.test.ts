// The model that ships, as its card describes it: the file, what it says, and that it does not go round in circles.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Model, open } from '../host/index.ts';
import { projectRoot } from './support/shared.ts';

const path = join(projectRoot, 'models', 'stories.gguf');
const card = readFileSync(join(projectRoot, 'models', 'README.md'), 'utf8');
const LIMIT = 4_000_000;
/** A loop is so many tokens that come again at once. */
const LOOP = 8;

async function said(model: Model, prompt: string, seed: number): Promise<{ text: string; ids: number[] }> {
  let text = '';
  const ids: number[] = [];
  for await (const { piece, id } of model.tokens(prompt, { seed, maxTokens: 200 })) {
    text += piece;
    ids.push(id);
  }
  return { text, ids };
}

test('the file is the one of the card, and small', () => {
  const bytes = readFileSync(path);
  assert.ok(bytes.length <= LIMIT, `${bytes.length} bytes`);
  assert.ok(card.includes(createHash('sha256').update(bytes).digest('hex')), 'the hash in the card');
});

test('it says what the card shows, to the letter, on any number of threads', async () => {
  const samples = [...card.matchAll(/^Seed (\d+):\n\n((?: {4}.*\n|\n)+)/gm)];
  assert.ok(samples.length >= 2, `${samples.length} samples in the card`);
  for (const threads of [0, 2]) {
    const model = await open(path, { threads });
    for (const [, seed, shown] of samples) {
      const { text } = await said(model, 'Once upon a time', Number(seed));
      const lines = shown!.trimEnd().split('\n');
      // the card breaks lines
      const words = (text: string) => text.split(/\s+/).filter(word => word !== '');
      assert.equal(words(lines.join(' ')), words(`Once upon a time${text}`), `seed ${seed}`);
    }
    await model.close();
  }
});

test('ten samples at temperature 0.8 hold no loop', async () => {
  const model = await open(path, { threads: 0 });
  for (let seed = 1; seed <= 10; seed++) {
    const { ids, text } = await said(model, 'Once upon a time', seed);
    assert.ok(ids.length > 50, `seed ${seed}: ${ids.length} tokens`);
    for (let at = 0; at + 2 * LOOP <= ids.length; at++) {
      const once = ids.slice(at, at + LOOP).join();
      assert.is.not(ids.slice(at + LOOP, at + 2 * LOOP).join(), once, `seed ${seed}: ${text}`);
    }
  }
  await model.close();
});

test.run();
