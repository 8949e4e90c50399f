// Sequences that run together give what each gives alone, and share what they have in common.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { buildModel } from '../host/build-model.ts';
import { readModelFile } from '../host/checkpoint.ts';
import { Here } from '../host/here.ts';
import { type Model, open } from '../host/index.ts';
import { compileBuild } from '../host/inlined.ts';
import { openSource } from '../host/sources.ts';
import { Tokenizer } from '../host/tokenizer.ts';
import { Wasm } from '../host/wasm.ts';
import { instantiate } from '../host/wasm-kernels.ts';
import { codeOf, idsOf, NEVER_END } from './support/outcomes.ts';
import { tinyModel, uniform } from './support/tiny-model.ts';

const MODEL = tinyModel({ dtype: 'Q8_0', contextLength: 128, nHeads: 8 });
const COMMON = [1, ...Array.from({ length: 40 }, (_, i) => 262 + (i % 20))];

type Options = NonNullable<Parameters<Model['generateBatch']>[1]>;

/** What each sequence gives alone. */
async function oneByOne(model: Model, prompts: number[][], options: Options) {
  const { samples = 1, seed = 0, onToken, ...rest } = options;
  const results: { prompt: number; ids: number[]; text: string; done: string; seed: number }[] = [];
  for (const [i, prompt] of prompts.flatMap(prompt => Array<number[]>(samples).fill(prompt)).entries()) {
    const tokens = model.tokens(prompt, { ...rest, seed: seed + i });
    const ids: number[] = [];
    let text = '';
    for (;;) {
      const { value, done } = await tokens.next();
      if (done) {
        results.push({ prompt: Math.floor(i / samples), ids, text, done: value.done, seed: value.seed });
        break;
      }
      ids.push(value.id);
      text += value.piece;
    }
  }
  return results;
}

/** Prompts that begin alike or not, one of them twice, one as long as the context, one shorter by a token. */
const random = uniform(3);
const PROMPTS = [
  [...COMMON, 281],
  [1, 300],
  [...COMMON, 282, 283],
  ...[5, 30, 64].map(length => Array.from({ length }, () => 3 + Math.floor((random() + 1) * 140))),
  [...COMMON, 281],
  COMMON.slice(0, 20),
  Array(128).fill(300),
  Array(127).fill(301),
];

const CASES: Options[] = [
  { seed: 5, maxTokens: 20, temperature: 1.2 },
  { seed: 9, samples: 2, temperature: 3, stop: ['a', 'e'] },
  { seed: 2 ** 53 - 30, samples: 3, maxTokens: 7, topK: 3, repeatPenalty: 1.3 },
  { seed: 1, temperature: 0, stopIds: [40, 41, 42, 43, 44, 45, 46, 47, 48], logprobs: 2 },
];

test('a batch equals one by one, whatever runs together and wherever', async () => {
  const alone = await open(MODEL, { threads: 0 });
  const expected: Awaited<ReturnType<typeof oneByOne>>[] = [];
  for (const options of CASES) expected.push(await oneByOne(alone, PROMPTS, options));
  await alone.close();
  assert.ok(new Set(expected.flat().map(({ done }) => done)).size >= 2, 'sequences end in different ways');
  for (const threads of [0, 1, 3]) {
    for (const sequences of [1, 2, 3, 8, 40]) {
      const model = await open(MODEL, { threads, sequences });
      for (const [i, options] of CASES.entries()) {
        const results = await model.generateBatch(PROMPTS, options);
        const actual = results.map(({ prompt, ids, text, done, seed }) => ({
          prompt,
          ids,
          text,
          done,
          seed,
        }));
        assert.equal(actual, expected[i], `case ${i}, ${threads} threads, ${sequences} sequences`);
      }
      await model.close();
    }
  }
});

/** Counts the tokens that it computes and the positions that it copies. */
class Counting extends Wasm {
  tokens = 0;
  copied = 0;

  override embedding(...args: Parameters<Wasm['embedding']>): void {
    this.tokens += args[3];
    super.embedding(...args);
  }

  override copySlot(...args: Parameters<Wasm['copySlot']>): void {
    this.copied += args[3];
    super.copySlot(...args);
  }
}

async function counted(sequences: number): Promise<{ model: Model; backend: Counting }> {
  const backend = new Counting(instantiate(await compileBuild('simd')));
  const source = await openSource(MODEL);
  const file = await readModelFile(source);
  const tokenizer = new Tokenizer(file.vocabulary!);
  const model = await buildModel(new Here(backend), file, source, tokenizer, 0, { sequences });
  return { model, backend };
}

test('what prompts have in common is computed once', async () => {
  for (const sequences of [1, 2, 4]) {
    const { model, backend } = await counted(sequences);
    const prompts = [281, 282, 283, 284].map(id => [...COMMON, id]);
    const results = await model.generateBatch(prompts, { maxTokens: 1, seed: 1 });
    assert.equal(
      results.map(({ usage }) => usage.cachedTokens),
      [0, COMMON.length, COMMON.length, COMMON.length],
    );
    assert.is(backend.tokens, COMMON.length + 4);
    await model.close();
  }
});

test('bestOf computes its prompt once, and takes the best', async () => {
  const { model, backend } = await counted(4);
  const options = { samples: 4, maxTokens: 6, seed: 3, temperature: 2, ...NEVER_END };
  const best = await model.bestOf(COMMON, options);
  // the prompt, its last token for each of the others, and all drawn tokens but the last
  assert.is(backend.tokens, COMMON.length + 3 + 4 * 5);
  assert.is(backend.copied, 3 * (COMMON.length - 1) * 2 * 2, 'keys and values of two layers');
  const all = await model.generateBatch([COMMON], { ...options, logprobs: 0 });
  const means = all.map(({ logprob, ids }) => logprob! / ids.length);
  assert.equal(best.scores, means);
  assert.is(best.score, Math.max(...means));
  assert.equal(best.ids, all[means.indexOf(best.score)]!.ids);
  const longest = await model.bestOf(COMMON, { ...options, score: async ({ ids }) => ids[0]! });
  assert.is(longest.score, Math.max(...all.map(({ ids }) => ids[0]!)));
  const score = () => {
    throw new Error('mine');
  };
  assert.is(await codeOf(() => model.bestOf(COMMON, { ...options, score })), 'Error: mine');
  await model.close();
});

test('a conversation goes on from the slot that holds it, whichever it is', async () => {
  const { model, backend } = await counted(2);
  const first = [...COMMON, ...(await idsOf(model, COMMON, { maxTokens: 10 }))];
  const second = [300, 301, ...(await idsOf(model, [300, 301], { maxTokens: 10 }))];
  for (const history of [first, second, first]) {
    const before = backend.tokens;
    history.push(290, ...(await idsOf(model, [...history, 290], { maxTokens: 3 })));
    assert.ok(backend.tokens - before <= 5, `${backend.tokens - before} tokens computed`);
  }
  assert.is(backend.copied, 0);
  await model.close();
});

test('errors and aborts end a batch whole, and the model goes on', async () => {
  for (const threads of [0, 2]) {
    const model = await open(MODEL, { threads, sequences: 3 });
    const expected = await idsOf(model, COMMON, { maxTokens: 5 });
    assert.equal(await model.generateBatch([]), []);
    assert.is(await codeOf(() => model.generateBatch([COMMON, Array(129).fill(1)])), 'prompt-too-long');
    assert.is(await codeOf(() => model.generateBatch([COMMON, []])), 'option-range');
    assert.is(await codeOf(() => model.generateBatch([[1, 310], [1]])), 'token-out-of-range');
    assert.is(await codeOf(() => model.generateBatch('the' as unknown as string[])), 'option-type');
    for (const count of [1, 7, 12]) {
      let seen = 0;
      const onToken = () => {
        if (++seen === count) throw new Error('mine');
      };
      assert.is(await codeOf(() => model.generateBatch(PROMPTS, { onToken, ...NEVER_END })), 'Error: mine');
      assert.is(seen, count);
      const controller = new AbortController();
      const abort = () => ++seen === 2 * count && controller.abort(new Error('enough'));
      const options = { onToken: abort, signal: controller.signal, ...NEVER_END };
      assert.is(await codeOf(() => model.generateBatch(PROMPTS, options)), 'Error: enough');
      assert.equal(await idsOf(model, COMMON, { maxTokens: 5 }), expected);
    }
    await model.close();
  }
});

test.run();
