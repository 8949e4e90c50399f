import { StateError } from '../errors.ts';
import type { LlamaLimits } from '../llama.ts';
import { threadDied } from '../model-errors.ts';
import type { ModelFile } from '../model-file.ts';
import type { LoadCalls, Place } from '../place.ts';
import { type Shared, share } from '../ranks/exchange.ts';
import { capacityFor } from '../ranks/share.ts';
import type { Draw, Runner, SequenceRequest } from '../runner.ts';
import type { Source } from '../source.ts';
import { InOrder } from './in-order.ts';
import { fromPlain } from './plain-error.ts';
import type { FromWorker, Method, ToWorker } from './protocol.ts';
import type { Thread } from './thread.ts';

interface Caller {
  take(message: Extract<FromWorker, { kind: 'value' | 'done' | 'error' }>): void;
  fail(error: Error): void;
}

/** A model whose ranks compute in threads of their own; this one stays free. */
export class RemoteRunner implements Place, Runner {
  readonly backend = 'wasm';
  bytes = 0;
  readonly #threads: Thread[] = [];
  readonly #module: Promise<WebAssembly.Module>;
  #callers = new Map<number, Caller>();
  #next = 0;
  /** Settles when the call before has ended in the thread. */
  #idle: Promise<void> = Promise.resolve();
  #failure: Error | undefined;
  #closed = false;
  /** While loading: takes the ranks' messages. */
  #loading: { take(message: FromWorker, rank: number): void; fail(error: Error): void } | undefined;

  /**
   * Threads whose programs have begun; the kernels are compiled meanwhile. The first begins at once, before it is known
   * whether there will be more.
   * @throws what `count` rejects with; StateError 'thread-died' if a program is not found, or the system has no more threads
   */
  static async start(
    count: Promise<number>,
    startThread: () => Thread,
    kernels: () => Promise<WebAssembly.Module>,
  ): Promise<RemoteRunner> {
    const runner = new RemoteRunner(kernels());
    const beginning = [runner.#begin(startThread)];
    beginning[0]!.catch(() => {}); // heard below
    const ranks = await count.catch(async reason => {
      await runner.close();
      throw reason;
    });
    try {
      while (beginning.length < ranks) beginning.push(runner.#begin(startThread));
      await Promise.all(beginning);
      return runner;
    } catch (cause) {
      await runner.close();
      throw new StateError('thread-died', {
        where: 'open: threads',
        expected: `${ranks} threads that begin`,
        got: String(cause),
        hint: "Take fewer, or 0; a bundle must keep the package's files beside each other.",
        cause,
      });
    }
  }

  private constructor(module: Promise<WebAssembly.Module>) {
    this.#module = module;
    module.catch(() => {}); // heard when it is needed
  }

  /** Starts one more rank; settles when its program has begun. */
  async #begin(startThread: () => Thread): Promise<void> {
    const thread = startThread();
    const rank = this.#threads.push(thread) - 1;
    await new Promise<void>((resolve, reject) => {
      thread.listen(
        message => {
          if ((message as FromWorker).kind === 'started') resolve();
          else this.#hear(message as FromWorker, rank);
        },
        why => {
          const error = threadDied(rank, why);
          reject(error);
          this.#fail(error);
        },
      );
    });
  }

  get threads(): number {
    return this.#threads.length;
  }

  /** Has every rank load its share. */
  async load(
    file: Pick<ModelFile, 'config' | 'tensors'>,
    source: Source,
    limits: LlamaLimits,
    { signal, onLoaded }: LoadCalls,
  ): Promise<Runner> {
    const { config, tensors } = file;
    const module = await this.#module;
    signal?.throwIfAborted();
    const shared: Shared | undefined =
      this.threads > 1 ? share(this.threads, capacityFor(config, limits)) : undefined;
    this.bytes = shared?.buffer.byteLength ?? 0;
    const inOrder = source.ordered ? new InOrder(this.threads) : undefined;
    let ready = 0;
    const abort = () => this.#fail(signal!.reason as Error);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#loading = {
          fail: reject,
          take: (message, rank) => {
            const { kind } = message;
            if (kind === 'read') {
              const answer = () => serve(source, message, this.#threads[rank]!, signal).catch(reject);
              if (inOrder) inOrder.ask(rank, message.offset, answer);
              else void answer();
            } else if (kind === 'loaded') attempt(() => onLoaded(message.bytes), reject);
            else if (kind === 'failed') reject(fromPlain(message.error));
            else if (kind === 'ready') {
              inOrder?.finish(rank);
              this.bytes += message.bytes;
              if (++ready === this.threads) resolve();
            }
          },
        };
        if (this.#failure) reject(this.#failure);
        signal?.addEventListener('abort', abort);
        const { name, size } = source;
        for (const [rank, thread] of this.#threads.entries()) {
          post(thread, {
            kind: 'load',
            file: { config, tensors },
            source: { name, size },
            limits,
            rank,
            shared,
            module,
          });
        }
      });
    } finally {
      signal?.removeEventListener('abort', abort);
      this.#loading = undefined;
    }
    for (const thread of this.#threads) thread.hold(false);
    return this;
  }

  generate(
    requests: SequenceRequest[],
    signal: AbortSignal,
  ): AsyncGenerator<Draw[], void, number[] | undefined> {
    return this.#call<Draw[], number[] | undefined>('generate', [requests], signal);
  }

  logits(ids: number[], signal: AbortSignal): AsyncGenerator<Float32Array, void, undefined> {
    return this.#call<Float32Array>('logits', [ids], signal);
  }

  losses(ids: number[], signal: AbortSignal): AsyncGenerator<Float32Array, void, undefined> {
    return this.#call<Float32Array>('losses', [ids], signal);
  }

  save(signal: AbortSignal): AsyncGenerator<number[] | Uint8Array, void, undefined> {
    return this.#call<number[] | Uint8Array>('save', [], signal);
  }

  restore(tokens: number[], rows: Uint8Array, signal: AbortSignal): AsyncGenerator<number, void, undefined> {
    return this.#call<number>('restore', [tokens, rows], signal);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#threads.map(thread => thread.end()));
  }

  async *#call<T, N = undefined>(
    method: Method,
    args: unknown[],
    signal: AbortSignal,
  ): AsyncGenerator<T, void, N> {
    await this.#held(this.#idle);
    signal.throwIfAborted();
    if (this.#failure) throw this.#failure;
    const leader = this.#threads[0]!;
    const id = this.#next++;
    const inbox = new Inbox();
    post(leader, { kind: 'call', id, method, args });
    let ended = () => {};
    this.#idle = new Promise(resolve => {
      ended = resolve;
    });
    this.#callers.set(id, {
      take: message => {
        if (message.kind !== 'value') this.#forget(id, ended);
        inbox.put(message);
        if (message.kind === 'error' && message.error.code === 'thread-died')
          this.#fail(fromPlain(message.error));
      },
      fail: error => {
        this.#forget(id, ended);
        inbox.fail(error);
      },
    });
    const abort = () => inbox.fail(signal.reason as Error);
    signal.addEventListener('abort', abort);
    try {
      for (;;) {
        const message = await this.#held(inbox.next());
        if (message.kind === 'done') return;
        if (message.kind === 'error') throw fromPlain(message.error);
        const value = yield message.value as T;
        post(leader, { kind: 'next', id, value });
      }
    } finally {
      signal.removeEventListener('abort', abort);
      if (this.#callers.has(id)) post(leader, { kind: 'end', id });
    }
  }

  /** The process must not end while somebody waits for the first rank; a caller who holds a token does not. */
  async #held<T>(answer: Promise<T>): Promise<T> {
    this.#threads[0]!.hold(true);
    try {
      return await answer;
    } finally {
      this.#threads[0]!.hold(false);
    }
  }

  #forget(id: number, ended: () => void): void {
    this.#callers.delete(id);
    ended();
  }

  #hear(message: FromWorker, rank: number): void {
    if (message.kind === 'value' || message.kind === 'done' || message.kind === 'error') {
      this.#callers.get(message.id)?.take(message);
    } else if (this.#loading) this.#loading.take(message, rank);
    else if (message.kind === 'failed') this.#fail(threadDied(rank, fromPlain(message.error).message));
  }

  /** Ends everything: no rank can go on without another. */
  #fail(error: Error): void {
    if (this.#failure || this.#closed) return;
    this.#failure = error;
    this.#loading?.fail(error);
    for (const caller of this.#callers.values()) caller.fail(error);
    void this.close();
  }
}

/** Messages of one call, in order. */
class Inbox {
  #messages: Extract<FromWorker, { kind: 'value' | 'done' | 'error' }>[] = [];
  #error: Error | undefined;
  #wake = () => {};

  put(message: Extract<FromWorker, { kind: 'value' | 'done' | 'error' }>): void {
    this.#messages.push(message);
    this.#wake();
  }

  fail(error: Error): void {
    this.#error = error;
    this.#wake();
  }

  async next() {
    for (;;) {
      if (this.#error) throw this.#error;
      const message = this.#messages.shift();
      if (message) return message;
      await new Promise<void>(resolve => {
        this.#wake = resolve;
      });
    }
  }
}

async function serve(
  source: Source,
  { id, offset, bytes }: Extract<FromWorker, { kind: 'read' }>,
  thread: Thread,
  signal: AbortSignal | undefined,
): Promise<void> {
  await source.readInto(bytes, offset, signal);
  post(thread, { kind: 'bytes', id, bytes }, [bytes.buffer]);
}

/** Calls what is the caller's and may throw. */
function attempt(call: () => void, fail: (error: unknown) => void): void {
  try {
    call();
  } catch (error) {
    fail(error);
  }
}

function post(thread: Thread, message: ToWorker, transfer?: ArrayBuffer[]): void {
  thread.post(message, transfer);
}
