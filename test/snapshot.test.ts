// A saved cache goes on with the same bits wherever it is put back, and is refused if one bit is not as it was.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { buildModel } from '../host/build-model.ts';
import { readModelFile } from '../host/checkpoint.ts';
import type { CacheDType } from '../host/dtype.ts';
import { Here } from '../host/here.ts';
import { FileError, type Model, open } from '../host/index.ts';
import { openSource } from '../host/sources.ts';
import { BACKENDS } from './support/backends.ts';
import { codeOf, idsOf } from './support/outcomes.ts';
import { projectRoot } from './support/shared.ts';
import { type TinyModelOptions, tinyModel } from './support/tiny-model.ts';

const FORMATS: CacheDType[] = ['f32', 'f16', 'q8_0'];
// rows of 144 bytes and groups of three heads, which three ranks and five split
const OPTIONS: TinyModelOptions = { dtype: 'Q4_0', dim: 192, nHeads: 6, nKvHeads: 2 };
const MODEL = tinyModel(OPTIONS);
const PROMPT = [1, ...Array.from({ length: 29 }, (_, i) => 262 + ((7 * i) % 40))];
const GREEDY = { temperature: 0, maxTokens: 12 };

/** The first ids are drawn before the cache is saved, the others after it. */
async function uninterrupted(kvCache: CacheDType): Promise<{ first: number[]; rest: number[] }> {
  const model = await open(MODEL, { threads: 0, kvCache });
  const ids = await idsOf(model, PROMPT, GREEDY);
  await model.close();
  return { first: ids.slice(0, 4), rest: ids.slice(4) };
}

/** The cache after the prompt and three of the first four ids: the last one was drawn, and not computed yet. */
async function saved(kvCache: CacheDType, threads: number, model: Uint8Array = MODEL): Promise<Uint8Array> {
  const opened = await open(model, { threads, kvCache });
  await idsOf(opened, PROMPT, { ...GREEDY, maxTokens: 4 });
  const bytes = await opened.saveCache();
  await opened.close();
  return bytes;
}

async function onBuild(build: string, kvCache: CacheDType): Promise<Model> {
  const source = await openSource(MODEL);
  const file = await readModelFile(source);
  return buildModel(new Here(await BACKENDS[build]!()), file, source, undefined, 0, { kvCache });
}

async function checkGoesOn(model: Model, bytes: Uint8Array, kvCache: CacheDType): Promise<void> {
  const { first, rest } = await uninterrupted(kvCache);
  const tokens = await model.restoreCache(bytes);
  assert.equal(tokens, [...PROMPT, ...first.slice(0, 3)]);
  const events = model.tokens([...PROMPT, ...first], {
    temperature: 0,
    maxTokens: rest.length,
    logitBias: { 1: -100, 2: -100 },
  });
  const ids: number[] = [];
  for (;;) {
    const { value, done } = await events.next();
    if (done) {
      assert.is(value.usage.cachedTokens, tokens.length, 'nothing is computed again');
      break;
    }
    ids.push(value.id);
  }
  assert.equal(ids, rest);
}

for (const kvCache of FORMATS) {
  test(`${kvCache}: saved with two ranks, continued with any number, and on every build`, async () => {
    const bytes = await saved(kvCache, 2);
    for (const threads of [0, 1, 3, 7]) {
      const model = await open(MODEL, { threads, kvCache });
      await idsOf(model, [3, 4, 5], GREEDY); // something else is in the cache
      await checkGoesOn(model, bytes, kvCache);
      await model.close();
    }
    for (const build of Object.keys(BACKENDS)) {
      const model = await onBuild(build, kvCache);
      await checkGoesOn(model, bytes, kvCache);
      await model.close();
    }
  });

  test(`${kvCache}: the bytes do not depend on the ranks`, async () => {
    const [expected, ...others] = await Promise.all([0, 1, 2, 3, 5].map(threads => saved(kvCache, threads)));
    for (const bytes of others) assert.is(Buffer.compare(bytes, expected!), 0);
  });
}

test('the bytes are the same on every engine', async () => {
  const hash = createHash('sha256')
    .update(await saved('f32', 1))
    .digest('hex');
  assert.is(hash, 'fb46076de7f35958aeafe60c17960d090b1f84536690a0ccf1982062d100d351');
});

test('continued in another process, and by other versions of Node', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cria-'));
  try {
    const path = join(folder, 'model.gguf');
    writeFileSync(path, MODEL);
    const nodes = [process.execPath];
    for (const name of ['node22', 'node24']) {
      const other = join(projectRoot, 'test', 'runtimes', 'node_modules', name, 'bin', 'node');
      if (existsSync(other)) nodes.push(other);
      else console.log(`skipped: a saved cache continued by ${name} (npm run test:runtimes installs it)`);
    }
    for (const kvCache of FORMATS) {
      const { first, rest } = await uninterrupted(kvCache);
      const snapshot = join(folder, `${kvCache}.cache`);
      writeFileSync(snapshot, await saved(kvCache, 2));
      const held = PROMPT.length + 3;
      for (const node of nodes) {
        for (const threads of node === process.execPath ? ['0', '3'] : ['3']) {
          const program = join(projectRoot, 'dist', 'test', 'support', 'continue-program.js');
          const { stdout, stderr } = spawnSync(
            node,
            [program, path, snapshot, threads, kvCache, String(1 + rest.length)],
            { encoding: 'utf8' },
          );
          // held as the prompt: its last token is computed again, for its logits
          const expected = { held, cached: held - 1, ids: [first[3], ...rest] };
          assert.equal(stdout && JSON.parse(stdout), expected, `${node}, ${kvCache}, ${threads}: ${stderr}`);
        }
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** The bytes with something changed and the checksum made right again. */
function forged(bytes: Uint8Array, change: (view: DataView) => void): Uint8Array {
  const out = bytes.slice();
  change(new DataView(out.buffer));
  const body = out.subarray(0, out.length - 32);
  out.set(createHash('sha256').update(body).digest(), body.length);
  return out;
}

/** @throws if anything but a FileError with this code comes, or if the model is not as it was afterwards */
async function checkRefused(model: Model, bytes: Uint8Array, code: string, why: string): Promise<void> {
  const error = await model.restoreCache(bytes).catch(error => error);
  assert.instance(error, FileError, `${why}: ${error}`);
  assert.is(error.code, code, why);
}

test('damaged bytes are refused, and the model is as it was', async () => {
  const bytes = await saved('f32', 2);
  const model = await open(MODEL, { threads: 2 });
  const before = await idsOf(model, PROMPT, GREEDY);
  const bad = (bytes: Uint8Array, why: string) => checkRefused(model, bytes, 'bad-snapshot', why);
  const ids = 64 + 4 * (PROMPT.length + 3);
  for (const length of [0, 1, 7, 8, 12, 48, 63, 64, 95, 96, 100, ids - 1, ids, ids + 1, 5000, -32, -1]) {
    await bad(bytes.subarray(0, length < 0 ? bytes.length + length : length), `cut to ${length}`);
  }
  await bad(Buffer.concat([bytes, Uint8Array.of(0)]), 'a byte more');
  await bad(Buffer.concat([bytes, bytes]), 'twice');
  await bad(new Uint8Array(10_000), 'zeros');
  await fc.assert(
    fc.asyncProperty(fc.nat(8 * bytes.length - 1), async bit => {
      const flipped = bytes.slice();
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      await bad(flipped, `bit ${bit}`);
    }),
    { numRuns: 300 },
  );
  for (let bit = 0; bit < 8 * 64; bit += 5) {
    const flipped = bytes.slice();
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    await bad(flipped, `bit ${bit}`);
  }
  // what cannot be by accident
  const set = (at: number, value: number) => forged(bytes, view => view.setInt32(at, value, true));
  await bad(set(8, 2), 'a later version');
  await bad(set(60, 34), 'more tokens than rows');
  await bad(set(60, 1), 'fewer tokens than rows');
  await bad(set(64, -1), 'an id below 0');
  await bad(set(68, 310), 'an id beyond the vocabulary');
  assert.equal(await idsOf(model, PROMPT, GREEDY), before);
  await checkGoesOn(model, bytes, 'f32');
  await model.close();
});

test("another model's cache, another format and a longer one are refused", async () => {
  const bytes = await saved('f32', 2);
  const foreign = async (model: Uint8Array, options: Parameters<typeof open>[1], why: string) => {
    const opened = await open(model, { threads: 1, ...options });
    const before = await idsOf(opened, [1, 5, 6], { temperature: 0, maxTokens: 5 });
    await checkRefused(opened, bytes, 'foreign-snapshot', why);
    assert.equal(await idsOf(opened, [1, 5, 6], { temperature: 0, maxTokens: 5 }), before);
    await opened.close();
  };
  await foreign(tinyModel({ ...OPTIONS, seed: 2 }), {}, 'other weights');
  await foreign(tinyModel({ ...OPTIONS, dtype: 'Q4_1' }), {}, 'weights in another format');
  await foreign(tinyModel({ ...OPTIONS, nLayers: 3 }), {}, 'more layers');
  await foreign(tinyModel({ ...OPTIONS, nKvHeads: 3 }), {}, 'more kv heads');
  await foreign(tinyModel({ ...OPTIONS, ropeTheta: 1e6 }), {}, 'another theta');
  await foreign(MODEL, { kvCache: 'f16' }, 'f16');
  await foreign(MODEL, { kvCache: 'q8_0' }, 'q8_0');
  await foreign(MODEL, { contextLength: 20 }, 'a shorter context');
  const model = await open(MODEL, { threads: 0 });
  await checkRefused(
    model,
    forged(bytes, view => view.setInt32(12, 9, true)),
    'foreign-snapshot',
    'format 9',
  );
  for (const none of [undefined, null, 'bytes', new ArrayBuffer(100), [1, 2]]) {
    assert.is(await codeOf(() => model.restoreCache(none as unknown as Uint8Array)), 'option-type');
  }
  await model.close();
});

test('a shorter context is enough for what is short', async () => {
  const model = await open(MODEL, { threads: 1, contextLength: 45 });
  await checkGoesOn(model, await saved('f32', 0), 'f32');
  await model.close();
});

test('an empty cache can be saved and put back', async () => {
  for (const threads of [0, 2]) {
    const model = await open(MODEL, { threads });
    const bytes = await model.saveCache();
    await idsOf(model, PROMPT, GREEDY);
    assert.equal(await model.restoreCache(bytes), []);
    assert.equal(await model.restoreCache(await model.saveCache()), []);
    await model.close();
  }
});

test('an abort while a cache is saved or put back leaves a model that is right', async () => {
  for (const threads of [0, 2]) {
    const bytes = await saved('f32', 1);
    const model = await open(MODEL, { threads, sequences: 2 });
    const expected = await idsOf(model, PROMPT, GREEDY);
    for (const turns of [0, 1, 2, 3, 5]) {
      for (const call of ['save', 'restore']) {
        const controller = new AbortController();
        const { signal } = controller;
        const code = codeOf(() =>
          call === 'save' ? model.saveCache({ signal }) : model.restoreCache(bytes, { signal }),
        );
        for (let i = 0; i < turns; i++) await new Promise(setImmediate);
        controller.abort(new Error('enough'));
        assert.ok(['Error: enough', 'no error'].includes(await code), await code);
        assert.equal(await idsOf(model, PROMPT, GREEDY), expected);
      }
    }
    await checkGoesOn(model, bytes, 'f32');
    await model.close();
  }
});

test.run();
