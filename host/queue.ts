import { StateError } from './errors.ts';

/** A call's turn on the model. */
export interface Turn {
  /** Aborted with the caller's reason, or with StateError 'closed' when the model is closed. */
  signal: AbortSignal;
  /** Must be called when the call is over. */
  leave(): void;
}

/**
 * Lets the calls on one model go one after another, and ends them when the model is closed. A call may be
 * computing or resting (its caller holds the generator and has not asked for more).
 */
export class Queue {
  #last: Promise<unknown> = Promise.resolve();
  #computing: Promise<unknown> | undefined;
  readonly #closing = new AbortController();

  /**
   * Waits for the calls before.
   * @throws the signal's reason, or StateError 'closed'
   */
  async enter(signal?: AbortSignal): Promise<Turn> {
    const link = new Link([signal, this.#closing.signal]);
    const before = this.#last;
    let end = () => {};
    const over = new Promise<void>(resolve => {
      end = resolve;
    });
    this.#last = before.then(() => over);
    const leave = () => {
      link.cut();
      end();
    };
    try {
      await Promise.race([before, aborted(link.signal)]);
      link.signal.throwIfAborted();
    } catch (error) {
      leave();
      throw error;
    }
    return { signal: link.signal, leave };
  }

  /** While the promise is pending the backend is in use: `close` waits for it. */
  async computing<T>(work: Promise<T>): Promise<T> {
    const settled = work.then(
      () => {},
      () => {},
    );
    this.#computing = settled;
    try {
      return await work;
    } finally {
      if (this.#computing === settled) this.#computing = undefined;
    }
  }

  /** Ends all calls with an error; settles when none computes any more. */
  async close(): Promise<void> {
    this.#closing.abort(
      new StateError('closed', {
        where: 'model',
        expected: 'an open model',
        got: 'one that was closed',
        hint: 'Open it again, or let calls finish before close().',
      }),
    );
    await this.#computing;
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

/** A signal that follows others until it is cut off: long-lived ones keep no trace of it then. */
class Link {
  readonly #controller = new AbortController();
  readonly #signals: AbortSignal[];

  constructor(signals: (AbortSignal | undefined)[]) {
    this.#signals = signals.filter(signal => signal !== undefined);
    for (const signal of this.#signals) {
      if (signal.aborted) this.#controller.abort(signal.reason);
      signal.addEventListener('abort', this.#follow);
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  cut(): void {
    for (const signal of this.#signals) signal.removeEventListener('abort', this.#follow);
  }

  readonly #follow = (event: Event): void => {
    this.#controller.abort((event.target as AbortSignal).reason);
  };
}
