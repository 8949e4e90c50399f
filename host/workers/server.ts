import type { Runner } from '../runner.ts';
import { toPlain } from './plain-error.ts';
import type { FromWorker, ToWorker } from './protocol.ts';

type Heard = Extract<ToWorker, { kind: 'call' | 'next' | 'end' }>;

/** Makes a runner's calls for another thread, a few results ahead of what it has asked for. */
export class Server {
  readonly #runner: Runner;
  readonly #post: (message: FromWorker, transfer?: ArrayBuffer[]) => void;
  readonly #calls = new Map<number, Call>();

  constructor(runner: Runner, post: (message: FromWorker, transfer?: ArrayBuffer[]) => void) {
    this.#runner = runner;
    this.#post = post;
  }

  hear(message: Heard): void {
    if (message.kind === 'call') void this.#make(message);
    else if (message.kind === 'next') this.#calls.get(message.id)?.allow(message.value);
    else this.#calls.get(message.id)?.end();
  }

  async #make({ id, method, args, ahead }: Extract<Heard, { kind: 'call' }>): Promise<void> {
    const call = new Call(ahead);
    this.#calls.set(id, call);
    try {
      // the calls of a runner differ in what they take and give; the caller's side has their types
      const make = this.#runner[method] as (...args: unknown[]) => AsyncGenerator<unknown, void, unknown>;
      const results = make.call(this.#runner, ...args, call.signal);
      for (;;) {
        const { value, done } = await results.next(call.take());
        if (done) break;
        this.#post({ kind: 'value', id, value });
        await call.allowed();
        if (call.signal.aborted) await results.return();
      }
      this.#post({ kind: 'done', id });
    } catch (error) {
      this.#post({ kind: 'error', id, error: toPlain(error) });
    } finally {
      this.#calls.delete(id);
    }
  }
}

/** How far a call may go. */
class Call {
  readonly #controller = new AbortController();
  #allowed: number;
  #values: unknown[] = [];
  #wake = () => {};

  constructor(ahead: number) {
    this.#allowed = ahead;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  allow(value: unknown): void {
    this.#allowed++;
    if (Array.isArray(value)) this.#values.push(...value);
    this.#wake();
  }

  end(): void {
    this.#controller.abort();
    this.#wake();
  }

  /** What the caller has said since the last time. */
  take(): unknown[] {
    const values = this.#values;
    this.#values = [];
    return values;
  }

  /** Waits until another result may be made; takes note of it. */
  async allowed(): Promise<void> {
    while (this.#allowed === 0 && !this.signal.aborted) {
      await new Promise<void>(resolve => {
        this.#wake = resolve;
      });
    }
    this.#allowed--;
  }
}
