import { StateError } from './errors.ts';

/**
 * Lets the calls on one model go one after another, and ends them when the model is closed. A call may be
 * computing or resting (its caller holds the generator and has not asked for more).
 */
export class Queue {
  #last: Promise<void> = Promise.resolve();
  #closed = false;
  #wake: () => void = () => {};
  readonly #closing: Promise<void> = new Promise(resolve => {
    this.#wake = resolve;
  });
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
    let aborted = () => {};
    const abort = new Promise<void>(resolve => {
      aborted = resolve;
    });
    signal?.addEventListener('abort', aborted, { once: true });
    await Promise.race([before, this.#closing, abort]);
    signal?.removeEventListener('abort', aborted);
    try {
      this.check(signal);
    } catch (error) {
      leave();
      throw error;
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
    this.#wake();
    await this.#computing;
  }
}
