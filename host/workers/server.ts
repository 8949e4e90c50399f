import type { Runner } from '../runner.ts';
import { toPlain } from './plain-error.ts';
import type { FromWorker, ToWorker } from './protocol.ts';

/**
 * Results that are made before they are asked for hide the way between the threads, and the other work of the caller.
 * What a caller does not want in the end was made for nothing: so many milliseconds of it, or so many results.
 */
const AHEAD_MS = 20;
const AHEAD = 2;

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

  async #make({ id, method, args }: Extract<Heard, { kind: 'call' }>): Promise<void> {
    const call = new Call();
    this.#calls.set(id, call);
    try {
      // the calls of a runner differ in what they take and give; the caller's side has their types
      const make = this.#runner[method] as (...args: unknown[]) => AsyncGenerator<unknown, void, unknown>;
      const results = make.call(this.#runner, ...args, call.signal);
      for (;;) {
        const from = performance.now();
        const { value, done } = await results.next(call.take());
        if (done) break;
        this.#post({ kind: 'value', id, value });
        await call.made(performance.now() - from);
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
  /** Results made that were not asked for yet. */
  #ahead = 0;
  #values: unknown[] = [];
  #wake = () => {};

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  allow(value: unknown): void {
    this.#ahead--;
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

  /** Takes note of a result that took so long, and waits until the next one may be made. */
  async made(ms: number): Promise<void> {
    this.#ahead++;
    const most = Math.max(AHEAD, AHEAD_MS / ms);
    while (this.#ahead > most && !this.signal.aborted) {
      await new Promise<void>(resolve => {
        this.#wake = resolve;
      });
    }
  }
}
