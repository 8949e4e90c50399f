import { threadDied } from '../model-errors.ts';
import type { LlamaConfig } from '../model-file.ts';
import { fromPlain } from '../workers/plain-error.ts';
import type { Thread } from '../workers/thread.ts';
import type { TrainLlamaOptions } from './llama.ts';
import type { MicroBatch } from './micro-batch.ts';
import type { FromRank, ToRank } from './protocol.ts';
import { trainModule } from './wasm.ts';

/** What a rank gives for a micro-batch. */
export interface Answer {
  losses: Float32Array;
  /** A buffer of parameters, where it was asked for. */
  gradient: Float32Array | undefined;
}

interface Waiting {
  resolve: (answer: Answer) => void;
  reject: (error: Error) => void;
}

/** A replica of the model in a thread of its own. */
export class Rank {
  /** Settles when it can compute, with the bytes of its memory. */
  readonly ready: Promise<number>;
  readonly #thread: Thread;
  readonly #waiting: Waiting[] = [];
  #failure: Error | undefined;

  /** @param number for messages; the calling thread is rank 0 */
  constructor(
    number: number,
    startThread: () => Thread,
    module: WebAssembly.Module,
    config: LlamaConfig,
    options: TrainLlamaOptions,
  ) {
    try {
      this.#thread = startThread();
    } catch (error) {
      throw threadDied(number, String(error));
    }
    this.ready = new Promise((resolve, reject) => {
      const fail = (error: Error) => {
        this.#failure = error;
        reject(error);
        for (const waiting of this.#waiting.splice(0)) waiting.reject(error);
      };
      this.#thread.listen(
        received => {
          const message = received as FromRank;
          if (message.kind === 'ready') resolve(message.bytes);
          else if (message.kind === 'done') this.#waiting.shift()!.resolve(message);
          else fail(fromPlain(message.error));
        },
        why => fail(threadDied(number, why)),
      );
    });
    this.ready.catch(() => {}); // heard by whoever waits for it, and by every call
    this.#post({ kind: 'start', config, options, module });
  }

  /** From now on it computes with these weights, a buffer of parameters. */
  setWeights(weights: Float32Array): void {
    this.#post({ kind: 'weights', weights: weights as Float32Array<ArrayBuffer> });
  }

  /** @throws StateError 'thread-died' */
  ask(kind: 'backward' | 'losses', batch: MicroBatch): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      this.#waiting.push({ resolve, reject });
      this.#post({ kind, batch });
    });
  }

  close(): Promise<void> {
    return this.#thread.end();
  }

  #post(message: ToRank): void {
    this.#thread.post(message);
  }
}

/**
 * Ranks 1 … ranks − 1, ready to compute.
 * @param startThread how threads that run `runTrainRank` are started
 * @throws StateError 'thread-died', 'out-of-memory'
 */
export async function startRanks(
  ranks: number,
  startThread: () => Thread,
  config: LlamaConfig,
  options: TrainLlamaOptions,
): Promise<Rank[]> {
  if (ranks <= 1) return [];
  const module = await trainModule();
  const others: Rank[] = [];
  try {
    for (let rank = 1; rank < ranks; rank++)
      others.push(new Rank(rank, startThread, module, config, options));
    await Promise.all(others.map(({ ready }) => ready));
    return others;
  } catch (error) {
    await Promise.all(others.map(rank => rank.close()));
    throw error;
  }
}
