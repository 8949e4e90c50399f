// Formats of the kv cache, as a caller meets them: the memory that they take, the same text on any threads, what they cost in
// accuracy. The kernels are tested in ops.test.ts, the bits of models in model.test.ts.

import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type CacheDType, rowBytes } from '../host/dtype.ts';
import { type Model, type ModelSource, type OpenOptions, OptionError, open } from '../host/index.ts';
import { hashOf, nmse } from './support/numbers.ts';
import { sharedFile, sharedTest } from './support/shared.ts';
import { tinyModel } from './support/tiny-model.ts';

const FORMATS: CacheDType[] = ['f32', 'f16', 'q8_0'];
const CONTEXT = 128;
/** Six heads of 32 in two groups: on four threads they begin and end inside a group. */
const MODEL = tinyModel({ dim: 192, nHeads: 6, nKvHeads: 2, contextLength: CONTEXT });
const IDS = Array.from({ length: 100 }, (_, i) => 3 + ((37 * i) % 280));

async function using<T>(
  source: ModelSource,
  options: OpenOptions,
  use: (model: Model) => Promise<T>,
): Promise<T> {
  const model = await open(source, options);
  try {
    return await use(model);
  } finally {
    await model.close();
  }
}

test('a cache takes the bytes of its format, and is close to f32', async () => {
  const exact = await using(MODEL, { threads: 0 }, model => model.logits(IDS));
  for (const [kvCache, bound] of [
    ['f32', 0],
    ['f16', 1e-6],
    ['q8_0', 1e-3],
  ] as const) {
    await using(MODEL, { threads: 0, kvCache }, async model => {
      const { info } = model;
      assert.is(info.kvCache, kvCache);
      assert.is(
        info.bytes.cache,
        2 * info.nLayers * CONTEXT * info.nKvHeads * rowBytes(kvCache, info.headDim),
      );
      const error = nmse(await model.logits(IDS), exact);
      assert.ok(error <= bound && (error > 0 || kvCache === 'f32'), `${kvCache}: NMSE ${error}`);
    });
  }
});

test('the memory that is taken shrinks with the cache', async () => {
  const taken = await Promise.all(
    FORMATS.map(kvCache => using(MODEL, { threads: 0, kvCache }, async model => model.info.bytes)),
  );
  const [f32, ...others] = taken;
  for (const bytes of others) {
    const saved = f32!.cache - bytes.cache;
    assert.ok(Math.abs(f32!.total - bytes.total - saved) < 4096, `${f32!.total} and ${bytes.total}`);
  }
});

for (const kvCache of FORMATS) {
  test(`${kvCache}: the same bits on any threads, and from a cache that was saved on others`, async () => {
    const results: { text: string; hash: string }[] = [];
    let saved: Uint8Array | undefined;
    for (const threads of [0, 4, 3]) {
      await using(MODEL, { threads, kvCache }, async model => {
        const hash = hashOf(await model.logits(IDS));
        if (saved) await model.restoreCache(saved);
        let text = '';
        const options = { seed: 2, maxTokens: 40, logitBias: { 2: -100 } };
        for await (const piece of model.generate(IDS.slice(0, 50), options)) text += piece;
        saved = await model.saveCache();
        results.push({ text, hash });
      });
    }
    assert.ok(results[0]!.text.length > 0);
    assert.equal(results.slice(1), [results[0], results[0]]);
  });
}

test('q8_0 is refused where heads have no whole blocks', async () => {
  const error = await open(tinyModel(), { kvCache: 'q8_0' }).catch(error => error);
  assert.instance(error, OptionError);
  assert.is(error.code, 'option-range');
  assert.match(error.message, /f16/);
});

sharedTest(
  test,
  'perplexity of stories260K: f16 within 1e-3 of f32, q8_0 refused for heads of 8',
  async () => {
    const path = sharedFile('data/models/stories260K.gguf');
    const words = readFileSync(sharedFile('data/fixtures/llama2c-run.c/nll_text.txt'), 'utf8');
    const perplexity = (kvCache: CacheDType) =>
      using(path, { contextLength: 512, kvCache }, async model => {
        return (await model.perplexity(words, { window: 256, windows: 16 })).perplexity;
      });
    const [exact, half] = [await perplexity('f32'), await perplexity('f16')];
    assert.ok(Math.abs(half / exact - 1) < 1e-3, `${half} and ${exact}`);
    const error = await perplexity('q8_0').catch(error => error);
    assert.is(error.code, 'option-range');
  },
);

test.run();
