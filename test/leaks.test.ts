// Two hundred models opened, used and closed leave nothing behind; neither do calls that were aborted.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { open } from '../host/index.ts';
import { codeOf, idsOf, NEVER_END } from './support/outcomes.ts';
import { tinyModel } from './support/tiny-model.ts';
import { alive } from './support/watched-threads.ts';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

const MODEL = tinyModel({ contextLength: 512 });
/** Memory is looked at after so many uses. */
const SAMPLED = 6;
/** Of a model that was not freed: its memory alone is larger than a megabyte, a thread several. */
const BOUND = 0.25;

/** MiB that the process takes, when all that can be freed has been. */
async function memory(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    gc();
    await new Promise(resolve => setTimeout(resolve, 1));
  }
  return process.memoryUsage.rss() / 2 ** 20;
}

/** Least squares of y over 0, 1, 2 … */
function slope(y: number[]): number {
  const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  const middle = (y.length - 1) / 2;
  const my = mean(y);
  const along = y.reduce((sum, value, i) => sum + (i - middle) * (value - my), 0);
  return along / y.reduce((sum, _, i) => sum + (i - middle) ** 2, 0);
}

/** MiB more a use, after the first third of so many. */
async function grows(count: number, use: (i: number) => Promise<void>): Promise<number> {
  const samples: number[] = [];
  for (let i = 0; i < count; i++) {
    await use(i);
    if (i >= count / 3 && i % SAMPLED === 0) samples.push(await memory());
  }
  return slope(samples) / SAMPLED;
}

test('200 opens and closes on 0, 1 and 2 threads', async () => {
  const resources = process.getActiveResourcesInfo().length;
  const perOpen = await grows(200, async i => {
    const model = await open(MODEL, { threads: i % 3 });
    await idsOf(model, [1, 300], { maxTokens: 3 });
    await model.close();
    assert.is(alive.size, 0);
  });
  console.log(`figures: ${perOpen.toFixed(3)} MiB more an open and close`);
  assert.ok(perOpen < BOUND, `${perOpen} MiB an open`);
  assert.ok(process.getActiveResourcesInfo().length <= resources + 2);
});

test('60 opens that are aborted, or fail, at any moment', async () => {
  const damaged = tinyModel({ edit: (_, tensors) => (tensors.at(-1)!.data as Uint8Array).fill(255) });
  const perOpen = await grows(60, async i => {
    const controller = new AbortController();
    const options = { threads: i % 3, signal: controller.signal };
    const code = codeOf(async () => {
      const model = await open(i % 2 ? MODEL : damaged, options);
      await model.close();
    });
    for (let turn = 0; turn < (i * 7) % 50; turn++) await new Promise(setImmediate);
    controller.abort(new Error('enough'));
    assert.ok(['Error: enough', 'non-finite-weights', 'no error'].includes(await code), await code);
    assert.is(alive.size, 0);
  });
  console.log(`figures: ${perOpen.toFixed(3)} MiB more an aborted or failed open`);
  assert.ok(perOpen < BOUND, `${perOpen} MiB an open`);
});

test('calls that are aborted or left, on one model and with one signal that lives on', async () => {
  for (const threads of [0, 2]) {
    const model = await open(MODEL, { threads, sequences: 2 });
    const forever = new AbortController();
    const perCall = await grows(150, async i => {
      const controller = new AbortController();
      const running = codeOf(() => idsOf(model, [1, 300 - (i % 50)], { signal: controller.signal }));
      for (let turn = 0; turn < i % 10; turn++) await new Promise(setImmediate);
      controller.abort(new Error('enough'));
      assert.is(await running, 'Error: enough');
      for await (const _ of model.tokens([1, 301], { signal: forever.signal, ...NEVER_END })) break;
      await model.restoreCache(await model.saveCache({ signal: forever.signal }));
    });
    console.log(`figures: ${perCall.toFixed(4)} MiB more an aborted call, ${threads} threads`);
    // the heaps of the threads are collected when they like
    assert.ok(perCall < BOUND, `${perCall} MiB a call`);
    await model.close();
  }
});

test.run();
