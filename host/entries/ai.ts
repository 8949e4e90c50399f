// A model for the AI SDK (npm: ai, versions 6 and 7), by its specification of language models, version 3. The types are
// written down here as far as they are used, so that nothing has to be installed for them.

import type { ChatMessage, Completion, GenerateOptions } from '../api.ts';
import { checkOptions, type Rules } from '../check.ts';
import { OptionError } from '../errors.ts';
import type { Model } from '../model.ts';

/** A part of a message: only texts can be answered. */
interface PromptPart {
  type: string;
  text?: string;
}

export interface PromptMessage {
  role: 'system' | 'user' | 'assistant' | 'tool';
  content: string | PromptPart[];
}

export interface CallOptions {
  prompt: PromptMessage[];
  maxOutputTokens?: number;
  temperature?: number;
  topP?: number;
  topK?: number;
  presencePenalty?: number;
  frequencyPenalty?: number;
  stopSequences?: string[];
  seed?: number;
  tools?: unknown[];
  responseFormat?: { type: 'text' | 'json' };
  abortSignal?: AbortSignal;
}

export interface Warning {
  type: 'unsupported';
  feature: string;
  details?: string;
}

export interface Usage {
  inputTokens: { total: number; noCache: number; cacheRead: number; cacheWrite: undefined };
  outputTokens: { total: number; text: number; reasoning: undefined };
}

export interface FinishReason {
  unified: 'stop' | 'length';
  raw: Completion['done'];
}

export interface GenerateResult {
  content: { type: 'text'; text: string }[];
  finishReason: FinishReason;
  usage: Usage;
  warnings: Warning[];
}

export type StreamPart =
  | { type: 'stream-start'; warnings: Warning[] }
  | { type: 'text-start'; id: string }
  | { type: 'text-delta'; id: string; delta: string }
  | { type: 'text-end'; id: string }
  | { type: 'finish'; usage: Usage; finishReason: FinishReason }
  | { type: 'error'; error: unknown };

/** What the AI SDK calls a `LanguageModelV3`. */
export interface LanguageModel {
  readonly specificationVersion: 'v3';
  readonly provider: string;
  readonly modelId: string;
  readonly supportedUrls: Record<string, RegExp[]>;
  doGenerate(options: CallOptions): Promise<GenerateResult>;
  doStream(options: CallOptions): Promise<{ stream: ReadableStream<StreamPart> }>;
}

export interface LanguageModelOptions {
  /**
   * 'chat' puts messages into Llama 2's chat format; 'text' goes on with their texts as they are, one after another, for
   * models that were not trained to chat. Default 'chat'.
   */
  format?: 'chat' | 'text';
  /** Default: the name in the file. */
  modelId?: string;
}

const RULES: Rules = {
  format: {
    expected: "'chat' or 'text'",
    numeric: false,
    test: v => v === 'chat' || v === 'text',
  },
  modelId: { expected: 'a text', numeric: false, test: v => typeof v === 'string' },
};

type Pieces = AsyncGenerator<string, Completion, void>;

/**
 * An opened model as the AI SDK takes it: `generateText({ model: languageModel(model), prompt })`. Tools and JSON are
 * answered with a warning, since the model does not know of them.
 * @throws OptionError; from its methods 'chat-format' for what is no text, and as `chat` and `generate`
 */
export function languageModel(model: Model, options: LanguageModelOptions = {}): LanguageModel {
  checkOptions('languageModel', options, RULES);
  const { format = 'chat', modelId = model.info.name ?? 'llama' } = options;

  function pieces(call: CallOptions): Pieces {
    const messages = call.prompt.map(textMessage);
    return format === 'chat'
      ? model.chat(messages, samplingOf(call))
      : model.generate(messages.map(({ content }) => content).join('\n'), samplingOf(call));
  }

  return {
    specificationVersion: 'v3',
    provider: 'cria',
    modelId,
    supportedUrls: {},

    async doGenerate(call) {
      const all = pieces(call);
      let text = '';
      for (;;) {
        const { value, done } = await all.next();
        if (done) return { content: [{ type: 'text', text }], warnings: warningsOf(call), ...endOf(value) };
        text += value;
      }
    },

    async doStream(call) {
      const all = pieces(call);
      // what is wrong with the call rejects; later errors are a part of the stream
      const first = await all.next();
      return { stream: streamOf(all, first, warningsOf(call)) };
    },
  };
}

const ID = '0';

function streamOf(
  pieces: Pieces,
  first: IteratorResult<string, Completion>,
  warnings: Warning[],
): ReadableStream<StreamPart> {
  let next: IteratorResult<string, Completion> | undefined = first;
  return new ReadableStream({
    start(controller) {
      controller.enqueue({ type: 'stream-start', warnings });
      controller.enqueue({ type: 'text-start', id: ID });
    },
    async pull(controller) {
      try {
        const { value, done } = next ?? (await pieces.next());
        next = undefined;
        if (!done) {
          controller.enqueue({ type: 'text-delta', id: ID, delta: value });
          return;
        }
        controller.enqueue({ type: 'text-end', id: ID });
        controller.enqueue({ type: 'finish', ...endOf(value) });
      } catch (error) {
        controller.enqueue({ type: 'error', error });
      }
      controller.close();
    },
    async cancel() {
      await pieces.return(undefined as unknown as Completion);
    },
  });
}

function endOf({ done, usage }: Completion): { usage: Usage; finishReason: FinishReason } {
  const { promptTokens, cachedTokens, completionTokens } = usage;
  return {
    finishReason: { unified: done === 'length' ? 'length' : 'stop', raw: done },
    usage: {
      inputTokens: {
        total: promptTokens,
        noCache: promptTokens - cachedTokens,
        cacheRead: cachedTokens,
        cacheWrite: undefined,
      },
      outputTokens: { total: completionTokens, text: completionTokens, reasoning: undefined },
    },
  };
}

function samplingOf(call: CallOptions): GenerateOptions {
  const named: [keyof GenerateOptions, unknown][] = [
    ['maxTokens', call.maxOutputTokens],
    ['temperature', call.temperature],
    ['topP', call.topP],
    ['topK', call.topK],
    ['presencePenalty', call.presencePenalty],
    ['frequencyPenalty', call.frequencyPenalty],
    ['stop', call.stopSequences],
    ['seed', call.seed],
    ['signal', call.abortSignal],
  ];
  return Object.fromEntries(named.filter(([, value]) => value !== undefined));
}

function warningsOf({ tools = [], responseFormat }: CallOptions): Warning[] {
  const unsupported: string[] = [];
  if (tools.length > 0) unsupported.push('tools');
  if (responseFormat?.type === 'json') unsupported.push('responseFormat');
  return unsupported.map(feature => ({ type: 'unsupported', feature, details: 'the answer is free text' }));
}

function textMessage({ role, content }: PromptMessage, i: number): ChatMessage {
  const parts = typeof content === 'string' ? [{ type: 'text', text: content }] : content;
  // what the model thought is no part of what it said
  const said = parts.filter(({ type }) => type !== 'reasoning');
  const other = said.find(({ type }) => type !== 'text');
  if (role === 'tool' || other !== undefined) {
    throw new OptionError('chat-format', {
      where: `prompt[${i}]`,
      expected: 'a message of texts',
      got: role === 'tool' ? 'the result of a tool' : `a part of the type ${JSON.stringify(other!.type)}`,
      hint: 'Leave it out: this model reads text only.',
    });
  }
  return { role, content: said.map(({ text = '' }) => text).join('') };
}
