import type { DType } from './dtype.ts';
import type { Metadata } from './model-file.ts';

/** A path, a URL (file:, http:, https:, blob:, data:), or the bytes themselves. */
export type ModelSource = string | URL | ArrayBuffer | Uint8Array | Blob;

export interface OpenOptions {
  /** 'wasm' computes in SIMD kernels; 'reference' in plain f64 loops, slowly, as the specification. 'auto' is 'wasm'. */
  backend?: 'auto' | 'wasm' | 'reference';
  /** Tokens that a sequence may hold: memory for its keys and values is taken at once. Default and limit: the model's. */
  contextLength?: number;
  /** llama2.c's tokenizer file, for models that bring no vocabulary. */
  tokenizer?: ModelSource;
  signal?: AbortSignal;
  /** Called as the weights arrive, with bytes. */
  onProgress?: (progress: { loaded: number; total: number }) => void;
}

export interface SamplingOptions {
  /** 0 takes the most probable token. Default 0.8. */
  temperature?: number;
  /** Keep the K most probable tokens; 0 keeps all. Default 40. */
  topK?: number;
  /** Keep the most probable tokens whose probabilities reach P. Default 0.95. */
  topP?: number;
  /** Keep tokens with at least this share of the largest probability. Default 0. */
  minP?: number;
  /** Divide positive (multiply negative) logits of tokens seen in the last `repeatLastN`. Default 1: off. */
  repeatPenalty?: number;
  /** Subtracted per occurrence. Default 0. */
  frequencyPenalty?: number;
  /** Subtracted once a token has occurred. Default 0. */
  presencePenalty?: number;
  /** How many of the last tokens, the prompt's included, the penalties look at. Default 64; 0 none, -1 all. */
  repeatLastN?: number;
  /** Added to the logits of these ids; −100 all but forbids. */
  logitBias?: Record<number, number>;
  /** An integer in 0 .. 2^53−1. Default: random, and reported in the result. */
  seed?: number;
}

export interface GenerateOptions extends SamplingOptions {
  /** Default: to the end of the context. */
  maxTokens?: number;
  /** Generation ends before any of these texts; it is not part of the output. */
  stop?: string | string[];
  /** Generation ends when one of these ids is drawn; it is not part of the output. EOS and BOS always end it. */
  stopIds?: number[];
  signal?: AbortSignal;
}

export interface TokenOptions extends GenerateOptions {
  /** Report the log-probability of each token and of the `logprobs` most probable ones (0: only its own). */
  logprobs?: number;
}

/** One generated token. */
export interface TokenEvent {
  id: number;
  /** The text that became certain with this token: empty while a UTF-8 sequence is incomplete or inside a stop text. */
  piece: string;
  /** Natural log of its probability under the model, before temperature, cuts, penalties and biases. */
  logprob?: number;
  top?: { id: number; logprob: number }[];
}

/** Milliseconds unless the name says otherwise. */
export interface Timing {
  loadMs: number;
  promptMs: number;
  decodeMs: number;
  promptTokensPerSecond: number;
  decodeTokensPerSecond: number;
  timeToFirstTokenMs: number;
}

/** What `tokens` returns when the text is complete. */
export interface Completion {
  /** EOS (or BOS) drawn; a stop text or id met; maxTokens or the context's end reached. */
  done: 'eos' | 'stop' | 'length';
  usage: { promptTokens: number; completionTokens: number };
  timing: Timing;
  seed: number;
}

export interface ChatMessage {
  role: 'system' | 'user' | 'assistant';
  content: string;
}

export interface EncodeOptions {
  /** Begin with BOS, end with EOS. Default: as the vocabulary says. */
  bos?: boolean;
  eos?: boolean;
  /** Recognise control pieces such as `</s>` in the text; otherwise they are ordinary text. Default false. */
  special?: boolean;
}

export interface Perplexity {
  /** exp(nll) */
  perplexity: number;
  /** Mean negative log-likelihood of a token in nats. */
  nll: number;
  /** Predicted tokens. */
  tokens: number;
  windows: number;
}

export interface PerplexityOptions {
  /** Inputs per window; each window starts with an empty cache. Default: the context. */
  window?: number;
  /** Stop after so many windows. Default: all. */
  windows?: number;
  signal?: AbortSignal;
  onProgress?: (progress: { windows: number; total: number; perplexity: number }) => void;
}

export interface ModelInfo {
  architecture: string;
  name: string | undefined;
  format: 'gguf' | 'llama2.c';
  backend: 'wasm' | 'reference';
  dim: number;
  hiddenDim: number;
  nLayers: number;
  nHeads: number;
  nKvHeads: number;
  headDim: number;
  vocabSize: number;
  /** Tokens that this opened model can hold, and those that it was trained for. */
  contextLength: number;
  trainedContextLength: number;
  normEps: number;
  ropeTheta: number;
  /** Number of weights. */
  parameters: number;
  /** Bytes of weights in memory, of the kv cache, and of everything the backend took. */
  bytes: { weights: number; cache: number; total: number };
  /** How many tensors are stored in each format. */
  dtypes: Partial<Record<DType, number>>;
  metadata: Metadata;
}
