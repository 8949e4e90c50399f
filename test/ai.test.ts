// cria/ai: what the AI SDK asks of a language model, without the AI SDK. test/runtimes runs it with the real one.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type CallOptions, type LanguageModel, languageModel, type StreamPart } from '../host/entries/ai.ts';
import { type ChatMessage, type CriaError, type Model, open } from '../host/index.ts';
import { tinyModel } from './support/tiny-model.ts';

const model: Model = await open(tinyModel({ contextLength: 256 }), { threads: 0 });
const chat: LanguageModel = languageModel(model);
const user = (text: string): CallOptions['prompt'] => [{ role: 'user', content: [{ type: 'text', text }] }];

async function textOf(pieces: AsyncIterable<string>): Promise<string> {
  let text = '';
  for await (const piece of pieces) text += piece;
  return text;
}

async function all(stream: ReadableStream<StreamPart>): Promise<StreamPart[]> {
  const parts: StreamPart[] = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

async function partsOf(call: CallOptions): Promise<StreamPart[]> {
  const { stream } = await chat.doStream(call);
  return all(stream);
}

async function codeOf(run: () => PromiseLike<unknown>): Promise<string | undefined> {
  try {
    await run();
  } catch (error) {
    return (error as CriaError).code;
  }
  return 'no error';
}

test('messages are a conversation, and their options those of chat', async () => {
  const messages: ChatMessage[] = [
    { role: 'system', content: 'be kind' },
    { role: 'user', content: 'the hand and' },
    { role: 'assistant', content: 'and the' },
    { role: 'user', content: 'on' },
  ];
  const prompt: CallOptions['prompt'] = [
    { role: 'system', content: 'be kind' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'the hand' },
        { type: 'text', text: ' and' },
      ],
    },
    {
      role: 'assistant',
      content: [
        { type: 'reasoning', text: 'hm' },
        { type: 'text', text: 'and the' },
      ],
    },
    ...user('on'),
  ];
  const sampling = {
    temperature: 0.9,
    topK: 7,
    topP: 0.8,
    presencePenalty: 0.1,
    frequencyPenalty: 0.2,
    seed: 4,
  };
  const expected = await textOf(model.chat(messages, { ...sampling, maxTokens: 20, stop: ['zz'] }));
  const call = { ...sampling, prompt, maxOutputTokens: 20, stopSequences: ['zz'] };
  const { content, finishReason, usage, warnings } = await chat.doGenerate(call);
  assert.equal(content, [{ type: 'text', text: expected }]);
  assert.equal(warnings, []);
  assert.equal(finishReason, { unified: 'length', raw: 'length' });
  assert.is(usage.outputTokens.total, 20);
  assert.is(usage.inputTokens.total, usage.inputTokens.noCache + usage.inputTokens.cacheRead);
  assert.ok(usage.inputTokens.cacheRead > 0);

  const parts = await partsOf(call);
  assert.equal(
    parts.map(({ type }) => type).filter(type => type !== 'text-delta'),
    ['stream-start', 'text-start', 'text-end', 'finish'],
  );
  const deltas = parts.map(part => (part.type === 'text-delta' ? part.delta : ''));
  assert.is(deltas.join(''), expected);
  assert.ok(deltas.filter(delta => delta !== '').length > 1);
});

test("a format of 'text' goes on with the texts", async () => {
  const text = languageModel(model, { format: 'text', modelId: 'mine' });
  assert.equal([text.modelId, text.specificationVersion], ['mine', 'v3']);
  const expected = await textOf(model.generate('the hand', { seed: 5, maxTokens: 12 }));
  const { content } = await text.doGenerate({ prompt: user('the hand'), seed: 5, maxOutputTokens: 12 });
  assert.is(content[0]!.text, expected);
});

test('what a model cannot do is a warning; what it cannot read is an error', async () => {
  const { warnings } = await chat.doGenerate({
    prompt: user('the'),
    tools: [{}],
    responseFormat: { type: 'json' },
    maxOutputTokens: 1,
  });
  assert.equal(
    warnings.map(({ feature }) => feature),
    ['tools', 'responseFormat'],
  );
  const file = [{ role: 'user' as const, content: [{ type: 'file' }] }];
  assert.is(await codeOf(() => chat.doGenerate({ prompt: file })), 'chat-format');
  assert.is(await codeOf(() => chat.doStream({ prompt: [{ role: 'tool', content: [] }] })), 'chat-format');
  assert.is(await codeOf(() => chat.doStream({ prompt: user('[INST]') })), 'chat-markers');
  assert.is(await codeOf(() => chat.doStream({ prompt: user('a'), temperature: -1 })), 'option-range');
  assert.is(await codeOf(async () => languageModel(model, { format: 'poem' as 'text' })), 'option-type');
});

test('a stream that is left or aborted leaves the model to others', async () => {
  const never = { ...{ prompt: user('the'), seed: 1 }, maxOutputTokens: 200 };
  const { stream } = await chat.doStream(never);
  await stream.cancel();
  const reason = new Error('enough');
  const aborted = new AbortController();
  const { stream: second } = await chat.doStream({ ...never, abortSignal: aborted.signal });
  aborted.abort(reason);
  const parts = await all(second);
  assert.equal(parts.at(-1), { type: 'error', error: reason });
  assert.ok((await textOf(model.generate('the', { seed: 1, maxTokens: 4 }))).length > 0);
});

test.after(() => model.close());
test.run();
