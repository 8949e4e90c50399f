// What a model is said to take is what it takes, taken at once; what does not fit is refused before that.

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readModelFile } from '../host/checkpoint.ts';
import type { CacheDType } from '../host/dtype.ts';
import { Here } from '../host/here.ts';
import { CriaError, type EstimateOptions, estimate, inspect, open } from '../host/index.ts';
import { compileBuild } from '../host/inlined.ts';
import { KERNEL_BYTES, limitsOf } from '../host/memory.ts';
import type { StoredType } from '../host/quantize/decode.ts';
import { hasRelaxedDot } from '../host/relaxed.ts';
import { openSource } from '../host/sources.ts';
import { Wasm } from '../host/wasm.ts';
import { instantiate } from '../host/wasm-kernels.ts';
import { tinyModel } from './support/tiny-model.ts';

const BUILDS = hasRelaxedDot() ? (['simd', 'relaxed'] as const) : (['simd'] as const);
const CHILD = fileURLToPath(new URL('./support/limited-child.js', import.meta.url));
/** 128 MB, as edge platforms have. */
const PAGES = 2048;

test('the kernels keep no more than is planned for them', async () => {
  for (const build of BUILDS) {
    assert.ok(instantiate(await compileBuild(build)).heapBase() <= KERNEL_BYTES, build);
  }
});

test('the estimate is what is taken, to the byte but for what the kernels keep', async () => {
  const models: Parameters<typeof tinyModel>[0][] = [
    { dtype: 'F32' },
    { dtype: 'F16', nHeads: 8, nKvHeads: 1 },
    { dtype: 'Q8_0', dim: 256, hiddenDim: 1056, vocabSize: 1001 },
    { dtype: 'Q4_0', tied: true, nKvHeads: 4 },
    { dtype: 'Q6_K', nLayers: 3 },
    { dtype: 'Q4_K', hiddenDim: 512, contextLength: 1000 },
  ];
  const rooms: EstimateOptions[] = [
    {},
    { contextLength: 33, kvCache: 'f16' },
    { sequences: 3, kvCache: 'f16', contextLength: 7 },
    { sequences: 70 },
  ];
  for (const model of models) {
    const bytes = tinyModel(model);
    for (const room of rooms) {
      for (const threads of [0, 1, 2, 3]) {
        const label = JSON.stringify({ model, room, threads });
        const plan = await estimate(bytes, { ...room, threads });
        const opened = await open(bytes, { ...room, threads } as Parameters<typeof open>[1]);
        try {
          const { weights, cache, activations, kernels, total } = plan;
          assert.is(total, weights + cache + activations + kernels, label);
          const slack = total - opened.info.bytes.total;
          // a rank's last buffer may end before its line does
          assert.ok(slack >= 0 && slack <= plan.threads * (KERNEL_BYTES + 64), `${label}: ${slack}`);
        } finally {
          await opened.close();
        }
      }
    }
  }
});

test('memory grows once, whatever is computed then', async () => {
  const cases: [dtype: StoredType, kvCache: CacheDType, sequences: number][] = [
    ['F32', 'f32', 1],
    ['Q8_0', 'f16', 2],
    ['Q4_K', 'f32', 70],
  ];
  for (const [dtype, kvCache, sequences] of cases) {
    const source = await openSource(tinyModel({ dtype, hiddenDim: 4096, contextLength: 300 }));
    const file = await readModelFile(source);
    const limits = limitsOf(file.config, { kvCache, sequences });
    const kernels = instantiate(await compileBuild('simd'));
    let grown = 0;
    const grow = kernels.memory.grow.bind(kernels.memory);
    kernels.memory.grow = pages => {
      grown++;
      return grow(pages);
    };
    const runner = await new Here(new Wasm(kernels)).load(file, source, limits, { onLoaded: () => {} });
    const { signal } = new AbortController();
    const sampling = { seed: 1, topK: 0, repeatPenalty: 1.1 };
    const request = { prompt: Array<number>(200).fill(5), maxTokens: 4, ends: [], sampling, logprobs: 5 };
    for await (const _ of runner.generate(Array(sequences).fill(request), signal));
    for await (const _ of runner.logits(request.prompt, signal));
    for await (const _ of runner.losses(request.prompt, signal));
    assert.is(grown, 1, `${dtype}, ${sequences} sequences`);
  }
});

test('a limit is kept, and the longest context that is promised opens', async () => {
  const bytes = tinyModel({ contextLength: 4000, nLayers: 3 });
  for (const threads of [0, 2]) {
    for (const kvCache of ['f32', 'f16'] as const) {
      const room = { threads, kvCache, memoryLimit: 12_000_000 };
      const { fits, largestContextLength, cachePerToken } = await estimate(bytes, room);
      assert.is(cachePerToken, kvCache === 'f32' ? 3 * 2 * 32 * 4 : 3 * 2 * 32 * 2);
      const longest = largestContextLength;
      if (longest === 4000) {
        assert.ok(fits);
        continue;
      }
      assert.ok(longest > 100 && !fits, String(longest));
      const model = await open(bytes, { ...room, contextLength: longest });
      await model.close();
      const error = await open(bytes, { ...room, contextLength: longest + 1 }).catch(error => error);
      assert.ok(error instanceof CriaError && error.code === 'out-of-memory', String(error));
      assert.match(
        error.message,
        /at most 12000000 bytes, the memoryLimit, got \d+: \d+ of weights \+ \d+ of keys/,
      );
    }
  }
  const none = await estimate(bytes, { memoryLimit: 1_000_000 });
  assert.equal([none.fits, none.largestContextLength], [false, 0]);
});

test('the message’s sum is right', async () => {
  const error = await open(tinyModel(), { threads: 0, memoryLimit: 1000 }).catch(error => error);
  const numbers = [...String(error.message).matchAll(/\d+/g)].map(Number);
  const [, total, weights, cache, tokens, activations, kernels] = numbers.slice(numbers.indexOf(1000));
  assert.is(total, weights! + cache! + activations! + kernels!);
  assert.is(tokens, 64);
});

test('inspect says the same', async () => {
  const bytes = tinyModel();
  const options = { contextLength: 20, kvCache: 'f16', sequences: 2, threads: 2 } as const;
  const { runnable } = await inspect(bytes, options);
  assert.ok('memory' in runnable);
  assert.equal(runnable.memory, await estimate(bytes, options));
});

test('under the engine’s limit: what fits opens, the rest is refused before a weight is read', () => {
  for (const threads of [0, 1]) {
    const args = [`--wasm-max-mem-pages=${PAGES}`, CHILD, '--threads', String(threads)];
    const output = execFileSync(process.execPath, [...args, '--', '1000', '+0', '+300', '1000000'], {
      encoding: 'utf8',
    });
    const [small, longest, longer, huge] = JSON.parse(output);
    for (const opened of [small, longest]) {
      assert.ok(opened.fits && opened.taken > 0 && opened.loaded > 0, JSON.stringify(opened));
      assert.ok(opened.taken <= opened.total && opened.taken <= PAGES * 65536);
    }
    assert.ok(longest.total > PAGES * 65536 - 200_000, 'it is the longest');
    for (const refused of [longer, huge]) {
      assert.equal([refused.fits, refused.code, refused.loaded], [false, 'out-of-memory', 0]);
      assert.match(refused.message, new RegExp(`memory of ${refused.total} bytes, got the engine's refusal`));
      assert.match(refused.message, /\d+ of weights \+ \d+ of keys and values for \d+ tokens/);
    }
  }
});

test.run();
