// What an opened model does with memory, time and the calls on it, seen from a backend that counts and may be slow.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Backend } from '../host/backend.ts';
import { buildModel } from '../host/build-model.ts';
import { readModelFile } from '../host/checkpoint.ts';
import { Here } from '../host/here.ts';
import { CriaError, inspect, type Model, open, openTokenizer } from '../host/index.ts';
import { Reference } from '../host/reference.ts';
import { openSource } from '../host/sources.ts';
import { Tokenizer } from '../host/tokenizer.ts';
import { tinyModel } from './support/tiny-model.ts';

/** A backend that counts what happens to it and takes its time over each layer of each token. */
class Watched extends Reference {
  disposed = 0;
  /** Tokens of each `forward`. */
  readonly chunks: number[] = [];
  readonly fills: number[] = [];
  msPerToken = 0;

  override dispose(): void {
    this.disposed++;
    super.dispose();
  }

  override embedding(...args: Parameters<Backend['embedding']>): void {
    if (this.disposed > 0) throw new Error('used after dispose');
    this.chunks.push(args[3]);
    const end = performance.now() + this.msPerToken * args[3];
    while (performance.now() < end);
    super.embedding(...args);
  }

  override fill(...args: Parameters<Backend['fill']>): Promise<boolean> {
    this.fills.push(args[2] * args[0].cols * 4);
    return super.fill(...args);
  }
}

async function openOn(
  backend: Watched,
  model: Uint8Array = tinyModel(),
  options: { signal?: AbortSignal } = {},
): Promise<Model> {
  const source = await openSource(model);
  const file = await readModelFile(source);
  return buildModel(new Here(backend), file, source, new Tokenizer(file.vocabulary!), 0, options);
}

const LONG = Array(64).fill(300);
const NEVER_END = { logitBias: { 1: -100, 2: -100 } };

async function codeOf(run: () => unknown): Promise<string> {
  try {
    await run();
    return 'no error';
  } catch (error) {
    return error instanceof CriaError ? error.code : String(error);
  }
}

test('close and failures free the backend, once', async () => {
  const closed = new Watched();
  const model = await openOn(closed);
  await model.close();
  await model.close();
  assert.ok(closed.disposed >= 1);

  const aborted = new Watched();
  const controller = new AbortController();
  const opening = openOn(aborted, tinyModel(), { signal: controller.signal });
  setImmediate(() => controller.abort(new Error('enough')));
  assert.is(await codeOf(() => opening), 'Error: enough');
  assert.is(aborted.disposed, 1);

  const broken = new Watched();
  const damaged = tinyModel({
    edit: (_, tensors) => (tensors.at(-1)!.data as Uint8Array).fill(255),
  });
  assert.is(await codeOf(() => openOn(broken, damaged)), 'non-finite-weights');
  assert.is(broken.disposed, 1);
});

test('a close during a long prompt is heard before its next chunk', async () => {
  const backend = new Watched();
  backend.msPerToken = 20;
  const model = await openOn(backend);
  const running = model.logits(LONG);
  const outcome = codeOf(() => running);
  await new Promise(resolve => setTimeout(resolve, 50));
  await model.close();
  const { length } = backend.chunks;
  assert.is(await outcome, 'closed');
  assert.is(backend.chunks.length, length, 'nothing ran after close');
  assert.ok(backend.chunks.reduce((a, b) => a + b) < LONG.length);
});

test('chunks of a prompt stay short, whatever else the event loop does', async () => {
  const slow = new Watched();
  slow.msPerToken = 15;
  const model = await openOn(slow);
  const other = setInterval(() => {
    const end = performance.now() + 20;
    while (performance.now() < end);
  }, 1);
  await model.logits(LONG);
  clearInterval(other);
  assert.is(slow.chunks[0], 1, 'the first chunk of an unknown model is one token');
  // 80 ms hold five tokens of 15, of which four go together; the clock of a busy machine may allow fewer
  assert.ok(Math.max(...slow.chunks) <= 4, `${slow.chunks}`);
  assert.ok(slow.chunks.length <= 45, `${slow.chunks}`);
  await model.close();

  const fast = new Watched();
  const quick = await openOn(fast);
  await quick.logits(LONG);
  assert.ok(Math.max(...fast.chunks) >= 4, `${fast.chunks}`);
  await quick.close();
});

test('weights arrive in pieces, not whole', async () => {
  const backend = new Watched();
  const model = await openOn(backend, tinyModel({ dim: 256, hiddenDim: 4096, nLayers: 1 }));
  assert.ok(Math.max(...backend.fills) <= 2 ** 20);
  assert.ok(backend.fills.filter(bytes => bytes === 2 ** 20).length >= 8);
  await model.close();
});

test('the clock of a call stands while its caller holds a token', async () => {
  const model = await open(tinyModel());
  const tokens = model.tokens('the', { maxTokens: 4, ...NEVER_END });
  for (;;) {
    const { value, done } = await tokens.next();
    if (done) {
      assert.ok(value.timing.decodeMs < 100, `${value.timing.decodeMs}`);
      break;
    }
    await new Promise(resolve => setTimeout(resolve, 60));
  }
  await model.close();
});

test('a continuation keeps its leading space, a text from nothing drops it', async () => {
  const model = await open(tinyModel());
  const the = model.tokenizer.encode('the', { bos: false });
  assert.equal(
    the.map(id => model.tokenizer.piece(id)),
    ['▁the'],
  );
  const options = { temperature: 0, maxTokens: 2, logitBias: { [the[0]!]: 1000 } };
  const text = async (prompt: string) => {
    let out = '';
    for await (const piece of model.generate(prompt, options)) out += piece;
    return out;
  };
  assert.is(await text('and'), ' the the');
  assert.is(await text(''), 'the the');
  await model.close();
});

test('a signal that is none is refused, and the model goes on', async () => {
  const model = await open(tinyModel());
  const signal = { aborted: false, throwIfAborted() {} } as unknown as AbortSignal;
  assert.is(await codeOf(() => model.tokens('the', { signal }).next()), 'option-type');
  assert.is(await codeOf(() => model.logits([1])), 'no error');
  await model.close();
});

test('a small file cannot claim a large memory or a long start', async () => {
  const huge = tinyModel({ contextLength: 2 ** 20, dim: 64, nHeads: 1, nKvHeads: 1, nLayers: 12 });
  assert.is(await codeOf(() => open(huge)), 'out-of-memory');
  const beyond = tinyModel({ contextLength: 2 ** 26 });
  assert.is(await codeOf(() => open(beyond)), 'bad-hyperparameter');
});

test('a model that computes NaN says so', async () => {
  const model = await open(tinyModel({ ropeFactors: [0, 0, 0, 0, 0, 0, 0, 0] }));
  assert.is(await codeOf(() => model.tokens('the', {}).next()), 'non-finite-results');
  assert.is(await codeOf(() => model.tokens('the', { temperature: 0 }).next()), 'non-finite-results');
  assert.is(await codeOf(() => model.perplexity([1, 2, 3])), 'non-finite-results');
  await model.close();
});

test('addresses and arguments that make no sense are typed errors', async () => {
  assert.is(await codeOf(() => open('http://[')), 'file-not-found');
  assert.is(await codeOf(() => open('file:///a%2fb')), 'file-unreadable');
  const options = (value: unknown) => value as { contextLength: number };
  assert.is(await codeOf(() => inspect(tinyModel(), options({ contextLength: Number.NaN }))), 'option-range');
  assert.is(await codeOf(() => inspect(tinyModel(), options(null))), 'option-type');
  const tokenizer = await openTokenizer(tinyModel());
  assert.is(await codeOf(() => tokenizer.encode('a', { bso: true } as object)), 'option-unknown');
  assert.is(await codeOf(() => tokenizer.decode(5 as unknown as number[])), 'option-type');
  const model = await open(tinyModel());
  const logitBias = Object.fromEntries(Array.from({ length: 500 }, (_, i) => ['0'.repeat(i + 1), 1]));
  assert.is(await codeOf(() => model.tokens('the', { logitBias }).next()), 'option-type');
  await model.close();
});

if (process.platform !== 'win32') {
  test('a pipe is no model, and is not waited for', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cria-'));
    try {
      execFileSync('mkfifo', [join(folder, 'pipe')]);
      assert.is(await codeOf(() => open(join(folder, 'pipe'))), 'file-unreadable');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

test.run();
