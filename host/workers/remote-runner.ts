import { startThread } from '#runtime';
import { StateError } from '../errors.ts';
import { kernels } from '../inlined.ts';
import type { LlamaLimits } from '../llama.ts';
import type { ModelFile } from '../model-file.ts';
import type { LoadCalls, Place } from '../place.ts';
import { type Shared, share } from '../ranks/exchange.ts';
import { capacityFor } from '../ranks/share.ts';
import type { Draw, Runner, SequenceRequest } from '../runner.ts';
import type { Source } from '../source.ts';
import { InOrder } from './in-order.ts';
import { fromPlain, toPlain } from './plain-error.ts';
import type { FromWorker, Method, ToWorker } from './protocol.ts';
import type { Thread } from './thread.ts';

interface Caller {
  take(message: Extract<FromWorker, { kind: 'value' | 'done' | 'error' }>): void;
  fail(error: Error): void;
}

/** A model whose ranks compute in threads of their own; this one stays free. */
export class RemoteRunner implements Place, Runner {
  readonly backend = 'wasm';
  readonly threads: number;
  bytes = 0;
  readonly #threads: Thread[];
  readonly #module = kernels();
  #callers = new Map<number, Caller>();
  #next = 0;
  /** Settles when the call before has ended in the thread. */
  #idle: Promise<void> = Promise.resolve();
  #failure: Error | undefined;
  #closed = false;
  /** While loading: takes the ranks' messages. */
  #loading: { take(message: FromWorker, thread: Thread): void; fail(error: Error): void } | undefined;

  /** Starts the threads, which prepare themselves while the file's header is read. */
  constructor(threads: number) {
    this.threads = threads;
    this.#threads = Array.from({ length: threads }, startThread);
    this.#module.catch(() => {}); // heard when it is needed
    for (const [rank, thread] of this.#threads.entries()) {
      thread.listen(
        message => this.#hear(message as FromWorker, thread),
        why => this.#fail(died(rank, why)),
      );
    }
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
          take: (message, thread) => {
            const rank = this.#threads.indexOf(thread);
            if (message.kind === 'read') {
              const answer = () => serve(source, message, thread, signal);
              if (inOrder) inOrder.ask(rank, message.offset, answer);
              else void answer();
            } else if (message.kind === 'loaded') onLoaded(message.bytes);
            else if (message.kind === 'failed') reject(fromPlain(message.error));
            else if (message.kind === 'ready') {
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
    await this.#idle;
    signal.throwIfAborted();
    if (this.#failure) throw this.#failure;
    const leader = this.#threads[0]!;
    const id = this.#next++;
    const inbox = new Inbox();
    let ended = () => {};
    this.#idle = new Promise(resolve => {
      ended = resolve;
    });
    this.#callers.set(id, {
      take: message => {
        if (message.kind !== 'value') this.#forget(id, ended);
        inbox.put(message);
      },
      fail: error => {
        this.#forget(id, ended);
        inbox.fail(error);
      },
    });
    const abort = () => inbox.fail(signal.reason as Error);
    signal.addEventListener('abort', abort);
    leader.hold(true);
    try {
      post(leader, { kind: 'call', id, method, args });
      for (;;) {
        const message = await inbox.next();
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

  #forget(id: number, ended: () => void): void {
    this.#callers.delete(id);
    if (this.#callers.size === 0) this.#threads[0]!.hold(false);
    ended();
  }

  #hear(message: FromWorker, thread: Thread): void {
    if (message.kind === 'value' || message.kind === 'done' || message.kind === 'error') {
      this.#callers.get(message.id)?.take(message);
    } else this.#loading?.take(message, thread);
  }

  /** One rank is gone: the others would wait for it forever. */
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
  try {
    await source.readInto(bytes, offset, signal);
    post(thread, { kind: 'bytes', id, bytes }, [bytes.buffer]);
  } catch (error) {
    post(thread, { kind: 'no-bytes', id, error: toPlain(error) });
  }
}

function post(thread: Thread, message: ToWorker, transfer?: ArrayBuffer[]): void {
  thread.post(message, transfer);
}

function died(rank: number, why: string): StateError {
  return new StateError('thread-died', {
    where: `thread ${rank} of the model`,
    expected: 'a thread that runs until the model is closed',
    got: why,
    hint: 'Open the model again; with fewer threads or a smaller contextLength if memory is short.',
  });
}
