// What the calling thread and the ranks' threads say to each other.

import type { LlamaLimits } from '../llama.ts';
import type { ModelFile } from '../model-file.ts';
import type { Shared } from '../ranks/exchange.ts';
import type { PlainError } from './plain-error.ts';

/** A runner's methods that give results one after another. */
export type Method = 'generate' | 'logits' | 'losses' | 'save' | 'restore';

/** The first message to a rank. */
export interface Task {
  kind: 'load';
  file: Pick<ModelFile, 'config' | 'tensors'>;
  source: { name: string; size: number };
  limits: LlamaLimits;
  rank: number;
  /** How several ranks exchange numbers. */
  shared: Shared | undefined;
  /** The kernels. */
  module: WebAssembly.Module;
}

export type ToWorker =
  | Task
  /** Bytes that were asked for. */
  | { kind: 'bytes'; id: number; bytes: Uint8Array<ArrayBuffer> }
  | { kind: 'call'; id: number; method: Method; args: unknown[] }
  /** One more result is wanted; the value goes to the generator. */
  | { kind: 'next'; id: number; value: unknown }
  /** Nothing more is wanted. */
  | { kind: 'end'; id: number };

export type FromWorker =
  | { kind: 'started' }
  | { kind: 'read'; id: number; offset: number; bytes: Uint8Array<ArrayBuffer> }
  | { kind: 'loaded'; bytes: number }
  | { kind: 'ready'; bytes: number }
  | { kind: 'failed'; error: PlainError }
  | { kind: 'value'; id: number; value: unknown }
  | { kind: 'done'; id: number }
  | { kind: 'error'; id: number; error: PlainError };
