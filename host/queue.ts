import { StateError } from './errors.ts';

/**
 * Lets the calls on one model go one after another, and ends them when the model is closed. A call may be
 * computing or resting (its caller holds the generator and has not asked for more).
 */
export class Queue {
  #last: Promise<void> = Promise.resolve();
  #closed = false;
  /** Wakes each waiting call, to see that the model was closed. */
  readonly #waiting = new Set<() => void>();
  #computing: Promise<void> | undefined;
  #rest: () => void = () => {};

  /** Waits for the calls before; the function returned must be called when this one is over. */
  async enter(signal?: AbortSignal): Promise<() => void> {
    this.check(signal);
    const before = this.#last;
    let leave = () => {};
    const done = new Promise<void>(resolve => {
      leave = resolve;
    });
    this.#last = before.then(() => done);
    let wake = () => {};
    try {
      await new Promise<void>(resolve => {
        wake = resolve;
        this.#waiting.add(wake);
        signal?.addEventListener('abort', wake, { once: true });
        void before.then(wake);
      });
      this.check(signal);
    } catch (error) {
      leave();
      throw error;
    } finally {
      this.#waiting.delete(wake);
      signal?.removeEventListener('abort', wake);
    }
    this.compute();
    return () => {
      this.rest();
      leave();
    };
  }

  /** From here to `rest` the call uses the backend. */
  compute(): void {
    this.#computing = new Promise(resolve => {
      this.#rest = resolve;
    });
  }

  rest(): void {
    this.#rest();
    this.#computing = undefined;
  }

  /**
   * @throws the signal's reason, or StateError 'closed'
   */
  check(signal?: AbortSignal): void {
    signal?.throwIfAborted();
    if (!this.#closed) return;
    throw new StateError('closed', {
      where: 'model',
      expected: 'an open model',
      got: 'one that was closed',
      hint: 'Open it again, or let calls finish before close().',
    });
  }

  /** Ends all calls with an error; settles when none computes any more. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const wake of this.#waiting) wake();
    await this.#computing;
  }
}
