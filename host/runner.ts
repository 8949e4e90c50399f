import type { SamplingOptions, TokenEvent } from './api.ts';

/** A sequence to be generated. Checked: the ids are the model's, and fit its context with `maxTokens`. */
export interface SequenceRequest {
  prompt: number[];
  /** At least 1. */
  maxTokens: number;
  /** Ids that end the sequence; one of them is its last draw then. */
  ends: number[];
  sampling: SamplingOptions & { seed: number };
  /** As in `TokenOptions`. */
  logprobs?: number | undefined;
}

/** A drawn token of one of the sequences asked for together. */
export interface Draw extends Pick<TokenEvent, 'id' | 'logprob' | 'top'> {
  /** Which of them. */
  sequence: number;
  /** Milliseconds computed for all of them so far: since the call began, without waiting for the caller. */
  ms: number;
  /** With the first draw: when the prompt was through, and how many of its tokens were in the cache before. */
  prompt?: { ms: number; cached: number };
}

/**
 * A model that computes, in this thread or in others: calls come one after another. An abort of the signal ends a
 * call with its reason.
 */
export interface Runner {
  /** Bytes taken in all memories. */
  readonly bytes: number;
  /** Draws tokens for sequences together, step by step; to `next`, ids of sequences that need no more. */
  generate(
    requests: SequenceRequest[],
    signal: AbortSignal,
  ): AsyncGenerator<Draw[], void, number[] | undefined>;
  /** Logits after each id of a sequence from position 0, some rows at a time. */
  logits(ids: number[], signal: AbortSignal): AsyncGenerator<Float32Array, void, undefined>;
  /** Cross-entropies of the ids after each, in nats: one fewer than ids, some at a time. */
  losses(ids: number[], signal: AbortSignal): AsyncGenerator<Float32Array, void, undefined>;
  /** The tokens in the cache of the sequence computed last, then its rows: for each layer keys, values; each head. */
  save(signal: AbortSignal): AsyncGenerator<number[] | Uint8Array, void, undefined>;
  /** Puts back what `save` gave, all rows in one array; gives the bytes done so far. */
  restore(tokens: number[], rows: Uint8Array, signal: AbortSignal): AsyncGenerator<number, void, undefined>;
  /** Frees everything; a call that is running ends somehow. */
  close(): Promise<void>;
}
