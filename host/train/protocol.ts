// What the trainer and the threads of the other ranks say to each other.

import type { LlamaConfig } from '../model-file.ts';
import type { PlainError } from '../workers/plain-error.ts';
import type { TrainLlamaOptions } from './llama.ts';
import type { MicroBatch } from './micro-batch.ts';

export type ToRank =
  | { kind: 'start'; config: LlamaConfig; options: TrainLlamaOptions; module: WebAssembly.Module }
  | { kind: 'weights'; weights: Float32Array<ArrayBuffer> }
  /** A gradient is wanted, or losses alone. */
  | { kind: 'backward' | 'losses'; batch: MicroBatch };

/** Answers come in the order of the questions. */
export type FromRank =
  | { kind: 'ready'; bytes: number }
  | { kind: 'done'; losses: Float32Array<ArrayBuffer>; gradient: Float32Array<ArrayBuffer> | undefined }
  | { kind: 'failed'; error: PlainError };
