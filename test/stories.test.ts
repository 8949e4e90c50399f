// A real model, against numbers from llama2.c's run.c and llama.cpp.

import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Model, type OpenOptions, open } from '../host/index.ts';
import { Reference } from '../host/reference.ts';
import { BACKENDS } from './support/backends.ts';
import { llamaOf, runTogether } from './support/models.ts';
import { largestDifference, nmse } from './support/numbers.ts';
import { sharedFile, sharedTest } from './support/shared.ts';

const text = (path: string) => readFileSync(sharedFile(`data/${path}`), 'utf8');
const json = (path: string) => JSON.parse(text(path));
const floats = (path: string) =>
  new Float32Array(new Uint8Array(readFileSync(sharedFile(`data/${path}`))).buffer);
const model = (path: string) => sharedFile(`data/models/${path}`);

async function withModel(
  path: string,
  options: OpenOptions,
  use: (model: Model) => Promise<void>,
): Promise<void> {
  const opened = await open(model(path), options);
  try {
    await use(opened);
  } finally {
    await opened.close();
  }
}

async function greedy(opened: Model, prompt: number[], maxTokens: number): Promise<number[]> {
  const ids: number[] = [];
  for await (const { id } of opened.tokens(prompt, { temperature: 0, maxTokens })) ids.push(id);
  return ids;
}

const TOK512 = () => ({ tokenizer: sharedFile('data/tokenizers/tok512.bin') });
const FILES: [path: string, options: () => OpenOptions][] = [
  ['stories260K.gguf', () => ({ contextLength: 512 })],
  ['stories260K.bin', TOK512],
  ['stories260K.v1.bin', TOK512],
];

for (const backend of ['wasm', 'reference'] as const) {
  for (const [path, options] of FILES) {
    sharedTest(test, `${path} on ${backend}: 200 greedy tokens are the text of llama2.c's own test`, () =>
      withModel(path, { ...options(), backend }, async opened => {
        let story = '';
        for await (const piece of opened.generate('', { temperature: 0, maxTokens: 200 })) story += piece;
        assert.is(
          story,
          text('fixtures/llama2.c-test_all/expected_stdout.stories260K.t0.n200.txt').replace(/\n$/, ''),
        );
      }),
    );
  }

  sharedTest(test, `${backend}: 12 prompts × 256 greedy ids are run.c's`, () =>
    withModel('stories260K.gguf', { contextLength: 512, backend }, async opened => {
      const cases = text('fixtures/llama2c-run.c/stories260K.greedy256.jsonl').trim().split('\n');
      assert.is(cases.length, 12);
      for (const line of cases) {
        // ids holds what followed BOS: the rest of the prompt, then what was generated, up to the end of the story
        const { prompt, prompt_ids, ids, steps } = JSON.parse(line);
        const forced = prompt_ids.slice(1);
        const generated = await greedy(opened, prompt_ids, steps - forced.length);
        assert.equal([...forced, ...generated], ids, prompt);
      }
    }),
  );
}

sharedTest(test, 'F32 logits within 1e-4 of run.c and of llama.cpp', () =>
  withModel('stories260K.gguf', { contextLength: 512 }, async opened => {
    const { ids } = json('fixtures/llama2c-run.c/stories260K.logits.json');
    const logits = await opened.logits(ids);
    for (const path of ['llama2c-run.c/stories260K.logits.f32', 'llama.cpp/stories260K.F32.logits.f32']) {
      const difference = largestDifference(logits, floats(`fixtures/${path}`));
      assert.ok(difference < 1e-4, `${path}: ${difference}`);
    }
  }),
);

for (const [dtype, bound] of [
  ['F16', 1e-6],
  ['BF16', 2e-5],
] as const) {
  sharedTest(
    test,
    `${dtype} logits within 1e-4 of the reference and NMSE ${bound} of llama.cpp`,
    async () => {
      const bytes = readFileSync(model(`quant/stories260K.${dtype}.gguf`));
      const { ids } = json('fixtures/llama.cpp/logits.json')[`stories260K.${dtype}`];
      const feeds = [{ ids, slot: 0, chunk: 45 }];
      const [expected] = await runTogether(
        await llamaOf(new Reference(), bytes, { contextLength: 64 }),
        feeds,
      );
      const [logits] = await runTogether(
        await llamaOf(await BACKENDS['simd']!(), bytes, { contextLength: 64 }),
        feeds,
      );
      const difference = largestDifference(logits!, expected!);
      assert.ok(difference < 1e-4, `reference: ${difference}`);
      const error = nmse(logits!, floats(`fixtures/llama.cpp/stories260K.${dtype}.logits.f32`));
      assert.ok(error < bound, `llama.cpp: NMSE ${error}`);
    },
  );
}

sharedTest(test, 'perplexity over 64 windows of 256 is run.c’s 6.149858', () =>
  withModel('stories260K.gguf', { contextLength: 512 }, async opened => {
    const words = text('fixtures/llama2c-run.c/nll_text.txt');
    const result = await opened.perplexity(words, { window: 256, windows: 64 });
    assert.is(result.tokens, 16384);
    assert.is(result.windows, 64);
    assert.ok(Math.abs(result.perplexity - 6.149858) < 1e-4, `${result.perplexity}`);
    const { nll } = json('fixtures/llama2c-run.c/stories260K.nll256.json');
    const first = await opened.perplexity(words, { window: 256, windows: 1 });
    assert.ok(Math.abs(first.nll * 256 - nll[0]) < 1e-2, `${first.nll * 256} and ${nll[0]}`);
  }),
);

sharedTest(test, 'the int8 checkpoint stays close to the f32 one and tells a story of run.q’s words', () =>
  withModel('stories260K.q80-v2.bin', TOK512(), async opened => {
    await withModel('stories260K.bin', TOK512(), async exact => {
      const { ids } = json('fixtures/llama2c-run.c/stories260K.logits.json');
      const error = nmse(await opened.logits(ids), await exact.logits(ids));
      assert.ok(error > 0 && error < 1e-3, `NMSE ${error}`);
      let story = '';
      for await (const piece of opened.generate('', { temperature: 0, maxTokens: 60 })) story += piece;
      const runq = text('fixtures/llama2c-run.c/stories260K.q80.runq.t0.n200.txt');
      // runq rounds activations too, so the two may part; the first sentences are the same
      assert.is(story.slice(0, 100), runq.slice(0, 100));
    });
  }),
);

test.run();
