import type { CacheDType, DType } from './dtype.ts';
import type { Metadata } from './model-file.ts';
import type { ByteSource } from './source.ts';

/**
 * A path, a URL (file:, http:, https:, blob:, data:), the bytes themselves, or a source of one's own. A path or URL may also
 * lead to the manifest of a model in parts, which lie beside it.
 */
export type ModelSource = string | URL | ArrayBuffer | Uint8Array | Blob | ByteSource;

export interface OpenOptions {
  /**
   * 'wasm' computes in SIMD kernels, the same bits everywhere; 'cuda' on an NVIDIA GPU, with the package cria-cuda and within
   * an error bound; 'reference' in plain f64 loops, slowly, as the specification. 'auto' is 'cuda' where cria-cuda is
   * installed and finds a GPU, unless `threads` or `memoryLimit` speak of the CPU, and 'wasm' elsewhere: `info.backend`
   * says which.
   */
  backend?: 'auto' | 'wasm' | 'cuda' | 'reference';
  /**
   * GPUs of backend 'cuda' that share the model: each holds and computes a part of its rows. More than one need NCCL. Default 1.
   */
  gpus?: number;
  /** Tokens that a sequence may hold: memory for its keys and values is taken at once. Default and limit: the model's. */
  contextLength?: number;
  /** Sequences held at once: `generateBatch` runs so many together. Default 1; memory is taken for each. */
  sequences?: number;
  /** Format of the keys and values: 'f16' takes half the memory of 'f32', 'q8_0' a quarter. Default 'f32'. */
  kvCache?: CacheDType;
  /**
   * Threads that compute, each with a part of the weights in a memory of its own; the calling thread stays free. 'auto'
   * takes as many as pay off and leaves a processor to the caller. 0 computes in the calling thread. Any number gives
   * the same bits. Default 'auto'.
   */
  threads?: number | 'auto';
  /** Bytes that the model may take, loading included: what needs more is refused before anything is allocated. */
  memoryLimit?: number;
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
  /** `cachedTokens` of the prompt had been computed by an earlier call and were not again. */
  usage: { promptTokens: number; cachedTokens: number; completionTokens: number };
  timing: Timing;
  seed: number;
}

export interface BatchOptions extends TokenOptions {
  /** Continuations of each prompt. Default 1. */
  samples?: number;
  /** Called with every token as it comes, and the index of its result. */
  onToken?: (event: TokenEvent, index: number) => void;
}

/** One finished continuation. */
export interface Generation extends Completion {
  /** Which prompt it continues. */
  prompt: number;
  ids: number[];
  text: string;
  /** Sum of the natural log-probabilities of `ids` under the model, where `logprobs` was asked for. */
  logprob?: number;
}

export interface BestOptions extends GenerateOptions {
  /** Continuations to choose from. */
  samples: number;
  /** The higher the better. Default: the mean log-probability of a token. */
  score?: (generation: Generation) => number | Promise<number>;
}

export interface Best extends Generation {
  score: number;
  /** Of all continuations. */
  scores: number[];
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
  format: 'gguf' | 'llama2.c' | 'safetensors' | 'pth';
  backend: 'wasm' | 'reference' | 'cuda';
  /** Threads that compute; 0 is the calling one. */
  threads: number;
  /** Sequences held at once, and the format of their keys and values. */
  sequences: number;
  kvCache: CacheDType;
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
