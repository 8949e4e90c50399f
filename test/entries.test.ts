// The entries of the package besides Node's: what they need from their caller, and what they do without threads.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { criaOn } from '../host/cria.ts';
import { createCria } from '../host/entries/core.ts';
import { StateError } from '../host/errors.ts';
import { type CriaError, type ErrorCode, type Model, open } from '../host/index.ts';
import { kernels } from '../host/inlined.ts';
import type { Threads } from '../host/runtime/runtime.ts';
import { sha256 } from '../host/runtime/whole-hashes.ts';
import { NO_NAMES } from '../host/sources.ts';
import { RemoteRunner } from '../host/workers/remote-runner.ts';
import type { Thread } from '../host/workers/thread.ts';
import { projectRoot } from './support/shared.ts';
import { tinyModel } from './support/tiny-model.ts';

const MODEL = tinyModel();

async function textOf(model: Model): Promise<string> {
  let text = '';
  for await (const piece of model.generate('the', { seed: 2, maxTokens: 16 })) text += piece;
  await model.close();
  return text;
}

async function fails(code: ErrorCode, run: () => unknown): Promise<void> {
  try {
    await run();
  } catch (error) {
    assert.is((error as CriaError).code, code, String(error));
    return;
  }
  assert.unreachable(`no ${code}`);
}

test('core takes compiled modules and bytes, and reads nothing by itself', async () => {
  const wasm = readFileSync(join(projectRoot, 'dist/wasm/simd.wasm'));
  const core = createCria({ simd: await WebAssembly.compile(new Uint8Array(wasm)) });
  const model = await core.open(MODEL);
  assert.is(model.info.threads, 0);
  assert.is(await textOf(model), await textOf(await open(MODEL)));
  for (const name of ['tiny.gguf', 'https://localhost/tiny.gguf', new URL('file:///tiny.gguf')]) {
    await fails('unsupported-runtime', () => core.open(name));
  }
  await fails('unsupported-runtime', () => core.open(MODEL, { threads: 2 }));
  await fails('gpu-unavailable', () => core.open(MODEL, { backend: 'cuda' }));
  await fails('option-type', () => createCria({ simd: wasm as unknown as WebAssembly.Module }));
});

/** A thread whose program is not there: what a single-file bundle leaves of it. */
function lost(): Thread {
  return {
    post: () => {},
    listen: (_, onEnd) => void setImmediate(() => onEnd('Cannot find module')),
    hold: () => {},
    end: async () => {},
  };
}

function without(startThread: () => Thread): Threads {
  return {
    processors: () => 2,
    sharesMemory: () => true,
    start: count => RemoteRunner.start(count, startThread, kernels),
  };
}

for (const [what, startThread] of Object.entries({
  'is not found': lost,
  'may not be started': () => {
    throw new TypeError('Invalid URL');
  },
})) {
  test(`where the program of a thread ${what}, the calling thread computes unless threads were asked for`, async () => {
    const cria = criaOn({ kernels, names: NO_NAMES, sha256, threads: without(startThread) });
    const model = await cria.open(MODEL);
    assert.is(model.info.threads, 0);
    assert.is(await textOf(model), await textOf(await open(MODEL)));
    await fails('thread-died', () => cria.open(MODEL, { threads: 1 }));
  });
}

test('what else goes wrong with threads is not hidden', async () => {
  const error = new StateError('out-of-memory', { where: 'here', expected: 'a', got: 'b', hint: 'c.' });
  const threads = { ...without(lost), start: () => Promise.reject(error) };
  await fails('out-of-memory', () => criaOn({ kernels, names: NO_NAMES, sha256, threads }).open(MODEL));
});

test.run();
