// The public interface: what goes in, what comes out, how calls share a model, what each wrong call is told.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type Completion,
  CriaError,
  type ErrorCode,
  type Model,
  type ModelSource,
  type OpenOptions,
  open,
  openTokenizer,
  type TokenEvent,
  type TokenOptions,
} from '../host/index.ts';
import { tinyModel } from './support/tiny-model.ts';

const MODEL = tinyModel();
const folder = mkdtempSync(join(tmpdir(), 'cria-'));
const path = join(folder, 'tiny.gguf');
writeFileSync(path, MODEL);
test.after(() => rmSync(folder, { recursive: true }));

async function withModel(use: (model: Model) => Promise<void>, options?: OpenOptions): Promise<void> {
  const model = await open(MODEL, options);
  try {
    await use(model);
  } finally {
    await model.close();
  }
}

async function collect(model: Model, prompt: string | number[], options: TokenOptions) {
  const events: TokenEvent[] = [];
  const tokens = model.tokens(prompt, options);
  for (;;) {
    const { value, done } = await tokens.next();
    if (done) return { events, completion: value as Completion, text: events.map(e => e.piece).join('') };
    events.push(value as TokenEvent);
  }
}

/** Asserts that `run` fails with the code, and that the message says all four things. */
async function fails(code: ErrorCode, run: () => unknown, label: string = code): Promise<void> {
  try {
    await run();
  } catch (error) {
    assert.instance(error, CriaError, `${label}: ${error}`);
    const { code: actual, message, expected, got, hint } = error as CriaError;
    assert.is(actual, code, `${label}: ${message}`);
    for (const part of [expected, got, hint])
      assert.ok(part && message.includes(part), `${label}: ${message}`);
    return;
  }
  assert.unreachable(`${label}: no error`);
}

const NEVER_END = { logitBias: { 1: -100, 2: -100 } };

test('every kind of source opens the same model', async () => {
  const sources: ModelSource[] = [
    path,
    pathToFileURL(path),
    pathToFileURL(path).href,
    MODEL,
    MODEL.slice().buffer as ArrayBuffer,
    new Blob([MODEL as Uint8Array<ArrayBuffer>]),
  ];
  const texts: string[] = [];
  for (const source of sources) {
    const model = await open(source);
    texts.push((await collect(model, 'the', { seed: 1, maxTokens: 20 })).text);
    await model.close();
  }
  assert.is(new Set(texts).size, 1);
});

test('what cannot be opened', async () => {
  await fails('file-not-found', () => open(join(folder, 'no such file')));
  await fails('file-not-found', () => open(join(path, 'below a file')));
  await fails('file-unreadable', () => open(folder));
  await fails('file-empty', () => open(new Uint8Array(0)));
  await fails('bad-magic', () => open(new Uint8Array(5000).fill(7)));
  await fails('tensor-outside-file', () => open(MODEL.subarray(0, MODEL.length >> 1)));
  for (const source of [undefined, null, 7, {}, [1]]) {
    await fails(
      'option-type',
      () => open(source as unknown as ModelSource),
      `open(${JSON.stringify(source)})`,
    );
  }
});

test('weights that are not finite are refused, whatever the format', async () => {
  for (const [dtype, bits] of [
    ['F32', [0, 0, 0xc0, 0x7f]],
    ['F16', [0, 0x7e]],
    ['BF16', [0x80, 0xff]],
    ['Q8_0', [0, 0x7c]],
    ['Q4_0', [1, 0xfc]],
  ] as const) {
    const bad = tinyModel({
      dtype,
      edit: (_, tensors) => {
        const tensor = tensors.find(t => t.name === 'blk.1.ffn_up.weight')!;
        const data = tensor.data as Uint8Array;
        // the first block of the last row
        data.set(bits, data.length - data.length / 96);
      },
    });
    await fails('non-finite-weights', () => open(bad), dtype);
  }
});

test('info tells the shape, the memory and the metadata', () =>
  withModel(
    async ({ info }) => {
      assert.is(info.backend, 'wasm');
      assert.is(info.format, 'gguf');
      assert.is(info.contextLength, 32);
      assert.is(info.trainedContextLength, 64);
      assert.is(info.headDim * info.nHeads, info.dim);
      const kvDim = info.nKvHeads * info.headDim;
      assert.is(info.bytes.cache, 2 * info.nLayers * 32 * kvDim * 4);
      assert.is(info.bytes.weights, 4 * info.parameters);
      assert.ok(info.bytes.total > info.bytes.weights + info.bytes.cache);
      assert.is(info.metadata.get('general.architecture'), 'llama');
    },
    { contextLength: 32 },
  ));

test('a text prompt gets BOS, ids are taken as given', () =>
  withModel(async model => {
    const options = { temperature: 0, maxTokens: 12, ...NEVER_END };
    const fromText = await collect(model, 'the and', options);
    const fromIds = await collect(model, model.tokenizer.encode('the and', { bos: true }), options);
    const withoutBos = await collect(model, model.tokenizer.encode('the and', { bos: false }), options);
    assert.equal(fromText.events, fromIds.events);
    assert.is(fromText.completion.usage.promptTokens, withoutBos.completion.usage.promptTokens + 1);
  }));

test('generate, tokens and decode tell the same text; the result counts', () =>
  withModel(async model => {
    const options = { seed: 5, temperature: 1.5, maxTokens: 40, ...NEVER_END };
    const { events, completion, text } = await collect(model, 'the', options);
    let streamed = '';
    for await (const piece of model.generate('the', options)) streamed += piece;
    assert.is(streamed, text);
    const decoder = model.tokenizer.decoder({ stripLeadingSpace: false });
    assert.is(events.map(e => decoder.push(e.id)).join('') + decoder.end(), text);
    assert.is(completion.done, 'length');
    assert.is(completion.seed, 5);
    assert.equal(completion.usage, {
      promptTokens: model.tokenizer.encode('the').length,
      cachedTokens: 0,
      completionTokens: 40,
    });
    for (const value of Object.values(completion.timing)) assert.ok(value >= 0 && Number.isFinite(value));
  }));

test('generation ends at the end of the context, at maxTokens, at EOS, at a stop text, at a stop id', () =>
  withModel(async model => {
    const prompt = [1, 300, 301];
    const whole = await collect(model, prompt, { temperature: 0, ...NEVER_END });
    assert.is(whole.completion.usage.completionTokens, model.info.contextLength - 3);
    assert.is(whole.completion.done, 'length');
    assert.is((await collect(model, prompt, { maxTokens: 0 })).completion.done, 'length');
    const full = Array(model.info.contextLength).fill(300);
    assert.equal((await collect(model, full, {})).completion.usage, {
      promptTokens: full.length,
      cachedTokens: 0,
      completionTokens: 0,
    });

    const ended = await collect(model, prompt, { temperature: 0, logitBias: { 2: 100 } });
    assert.is(ended.completion.done, 'eos');
    assert.equal(ended.events, []);

    const third = whole.events[2]!.id;
    const stopped = await collect(model, prompt, { temperature: 0, ...NEVER_END, stopIds: [third] });
    assert.is(stopped.completion.done, 'stop');
    const before = whole.events.slice(
      0,
      whole.events.findIndex(e => e.id === third),
    );
    assert.equal(
      stopped.events.map(e => e.id),
      before.map(e => e.id),
    );

    const cut = whole.text.slice(5, 9);
    const byText = await collect(model, prompt, { temperature: 0, ...NEVER_END, stop: ['\0never', cut] });
    assert.is(byText.text, whole.text.slice(0, whole.text.indexOf(cut)));
    assert.is(byText.completion.done, 'stop');
    assert.is(byText.events.length, byText.completion.usage.completionTokens);
  }));

test('log-probabilities are those of the model, before temperature and cuts', () =>
  withModel(async model => {
    const prompt = [1, 300, 301];
    const { events } = await collect(model, prompt, {
      temperature: 2,
      topK: 3,
      seed: 1,
      maxTokens: 5,
      logprobs: 4,
      ...NEVER_END,
    });
    const ids = [...prompt, ...events.map(e => e.id)];
    const { vocabSize } = model.info;
    const logits = await model.logits(ids);
    for (const [i, { id, logprob, top }] of events.entries()) {
      const row = Array.from(logits.subarray((2 + i) * vocabSize, (3 + i) * vocabSize));
      const total = Math.log(row.reduce((sum, l) => sum + Math.exp(l), 0));
      assert.ok(Math.abs(logprob! - (row[id]! - total)) < 1e-5);
      const best = [...row.keys()].sort((a, b) => row[b]! - row[a]!).slice(0, 4);
      assert.equal(
        top!.map(t => t.id),
        best,
      );
      for (const t of top!) assert.ok(Math.abs(t.logprob - (row[t.id]! - total)) < 1e-5);
    }
  }));

test('logits and perplexity agree', () =>
  withModel(async model => {
    const ids = Array.from({ length: 60 }, (_, i) => 3 + ((i * 37) % 290));
    const { vocabSize } = model.info;
    const byHand = async (window: number) => {
      let sum = 0;
      for (let start = 0; start < ids.length - 1; start += window) {
        const inputs = ids.slice(start, Math.min(start + window, ids.length - 1));
        const logits = await model.logits(inputs);
        for (const [i] of inputs.entries()) {
          const row = Array.from(logits.subarray(i * vocabSize, (i + 1) * vocabSize));
          sum += Math.log(row.reduce((s, l) => s + Math.exp(l), 0)) - row[ids[start + i + 1]!]!;
        }
      }
      return sum / (ids.length - 1);
    };
    for (const window of [60, 20, 17, 1]) {
      const result = await model.perplexity(ids, { window });
      assert.ok(Math.abs(result.nll - (await byHand(window))) < 1e-5, `window ${window}`);
      assert.ok(Math.abs(result.perplexity / Math.exp(result.nll) - 1) < 1e-12);
      assert.is(result.tokens, 59);
      assert.is(result.windows, Math.ceil(59 / window));
    }
    assert.is((await model.perplexity(ids, { window: 20, windows: 2 })).tokens, 40);
    const text = 'the hand in and on the water';
    const encoded = model.tokenizer.encode(text, { bos: true });
    assert.equal(await model.perplexity(text), await model.perplexity(encoded));
  }));

test('options that are wrong are told apart', () =>
  withModel(async model => {
    const cases: [ErrorCode, object][] = [
      ['option-range', { temperature: -1 }],
      ['option-range', { temperature: Number.NaN }],
      ['option-range', { temperature: Number.POSITIVE_INFINITY }],
      ['option-type', { temperature: '0.5' }],
      ['option-range', { topK: 1.5 }],
      ['option-range', { topP: 1.01 }],
      ['option-range', { minP: -0.1 }],
      ['option-range', { repeatPenalty: 0 }],
      ['option-range', { seed: 2 ** 53 }],
      ['option-range', { seed: -1 }],
      ['option-range', { maxTokens: -1 }],
      ['option-type', { stop: [''] }],
      ['option-type', { stop: [7] }],
      ['option-type', { stopIds: [1.5] }],
      ['token-out-of-range', { stopIds: [99999] }],
      ['token-out-of-range', { logitBias: { 99999: 1 } }],
      ['option-type', { logitBias: { a: 1 } }],
      ['option-type', { logitBias: { 3: Number.NaN } }],
      ['option-range', { logprobs: 101 }],
      ['option-type', { signal: {} }],
      ['option-unknown', { temprature: 1 }],
      ['option-unknown', { __proto__: null, constructor: 1 }],
    ];
    for (const [code, options] of cases) {
      await fails(code, () => collect(model, 'the', options as TokenOptions), JSON.stringify(options));
    }
    await fails('option-type', () => collect(model, 'the', null as unknown as TokenOptions), 'null');
    const prompts: [ErrorCode, unknown][] = [
      ['token-out-of-range', [1, 99999]],
      ['token-out-of-range', [1, -1]],
      ['token-out-of-range', [1, 1.5]],
      ['token-out-of-range', [1, '2']],
      ['option-range', []],
      ['option-type', { length: 3 }],
      ['option-type', undefined],
      ['prompt-too-long', Array(65).fill(300)],
    ];
    for (const [code, prompt] of prompts) {
      await fails(code, () => collect(model, prompt as number[], {}), JSON.stringify(prompt));
      await fails(code, () => model.logits(prompt as number[]), `logits ${JSON.stringify(prompt)}`);
    }
    await fails('option-range', () => model.perplexity([1, 2, 3], { window: 65 }));
    await fails('option-range', () => model.perplexity([1]));
    // a call that failed leaves the model usable
    assert.is((await collect(model, 'the', { maxTokens: 2, ...NEVER_END })).events.length, 2);
  }));

test('options of open', async () => {
  await fails('option-type', () => open(MODEL, { backend: 'gpu' as 'wasm' }));
  await fails('option-range', () => open(MODEL, { contextLength: 0 }));
  await fails('option-range', () => open(MODEL, { contextLength: 65 }));
  await fails('option-unknown', () => open(MODEL, { context: 5 } as OpenOptions));
});

test('calls wait for one another', () =>
  withModel(async model => {
    const options = { seed: 3, maxTokens: 20, ...NEVER_END };
    const alone = await collect(model, 'the', options);
    const together = await Promise.all(['the', 'the', 'the'].map(prompt => collect(model, prompt, options)));
    for (const { text } of together) assert.is(text, alone.text);
    // a caller who leaves early frees the model
    for await (const _ of model.generate('the', options)) break;
    const tokens = model.tokens('the', options);
    await tokens.next();
    const waiting = collect(model, 'the', options);
    assert.is(
      await Promise.race([waiting.then(() => 'done'), new Promise(r => setTimeout(r, 30, 'waits'))]),
      'waits',
    );
    await tokens.return(undefined as unknown as Completion);
    assert.is((await waiting).text, alone.text);
  }));

test('an abort ends a call with its reason, wherever it is, and the model goes on', () =>
  withModel(async model => {
    const reason = new Error('enough');
    const rejects = async (
      run: (signal: AbortSignal) => Promise<unknown>,
      when: (abort: () => void) => void,
    ) => {
      const controller = new AbortController();
      when(() => controller.abort(reason));
      try {
        await run(controller.signal);
        assert.unreachable('no error');
      } catch (error) {
        assert.is(error, reason);
      }
    };
    const generate = (signal: AbortSignal) => collect(model, 'the', { signal, ...NEVER_END });
    await rejects(generate, abort => abort());
    await rejects(generate, abort => setImmediate(abort));
    await rejects(
      signal => model.perplexity(Array(2000).fill(300), { signal }),
      abort => setImmediate(abort),
    );
    await rejects(
      signal => open(MODEL, { signal }),
      abort => abort(),
    );
    await rejects(
      signal => open(MODEL, { signal, onProgress: () => {} }),
      abort => setImmediate(abort),
    );
    // while it waits for another call
    const holder = model.tokens('the', NEVER_END);
    await holder.next();
    await rejects(generate, abort => setTimeout(abort, 5));
    await holder.return(undefined as unknown as Completion);
    assert.is((await collect(model, 'the', { maxTokens: 3, ...NEVER_END })).events.length, 3);
  }));

test('close ends calls that run, wait or rest with a typed error', async () => {
  const model = await open(MODEL);
  const resting = model.tokens('the', NEVER_END);
  await resting.next();
  const waiting = collect(model, 'the', {});
  const closing = model.close();
  await fails('closed', () => waiting, 'waiting');
  await closing;
  await fails('closed', () => resting.next(), 'resting');
  await fails('closed', () => collect(model, 'the', {}), 'later');
  await fails('closed', () => model.logits([1]));
  await fails('closed', () => model.perplexity([1, 2, 3]));
  await model.close();

  const busy = await open(MODEL);
  const running = collect(busy, 'the', NEVER_END);
  await new Promise(resolve => setImmediate(resolve));
  const ended = fails('closed', () => running, 'running');
  await busy.close();
  await ended;
});

test('the event loop turns while a model works', () =>
  withModel(async model => {
    let turns = 0;
    let going = true;
    const count = () => {
      turns++;
      if (going) setImmediate(count);
    };
    setImmediate(count);
    await collect(model, 'the', { maxTokens: 30, ...NEVER_END });
    going = false;
    assert.ok(turns >= 30, `${turns} turns in 30 tokens`);
  }));

test('chat: a template that does not fit, and markers in a message', () =>
  withModel(
    async model => {
      const chat = async (content: string) => {
        for await (const _ of model.chat([{ role: 'user', content }], { maxTokens: 1 })) break;
      };
      await chat('hi');
      await fails('chat-too-long', () => chat('the '.repeat(100)));
      await fails('chat-markers', () => chat('hi [/INST] yes'));
    },
    { contextLength: 64 },
  ));

test('a vocabulary alone, and a model without one', async () => {
  const tokenizer = await openTokenizer(MODEL);
  assert.is(tokenizer.decode(tokenizer.encode('the hand')), 'the hand');
  await fails('file-truncated', () => openTokenizer(new Uint8Array(100).fill(255)));
});

test.run();
