/** Why the program was asked to end; the exit code is the one that shells give to the signal. */
export class Interrupted extends Error {
  readonly exitCode: number;

  constructor(signal: string, exitCode: number) {
    super(`ended by ${signal}`);
    this.exitCode = exitCode;
  }
}

/** SIGINT and SIGTERM as an abort signal. */
export class Interrupts {
  readonly #controller = new AbortController();
  #onInterrupt: (() => void) | undefined;

  constructor() {
    process.on('SIGINT', this.#interrupt);
    process.on('SIGTERM', this.#terminate);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Until `work` is settled, Ctrl-C aborts the signal given to it and not the program. */
  async during<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const controller = new AbortController();
    const forward = () => controller.abort(this.signal.reason);
    this.signal.throwIfAborted();
    this.signal.addEventListener('abort', forward);
    this.#onInterrupt = () => controller.abort(new Interrupted('SIGINT', 130));
    try {
      return await work(controller.signal);
    } finally {
      this.#onInterrupt = undefined;
      this.signal.removeEventListener('abort', forward);
    }
  }

  /** Gives the signals back their default effect: they end the program at once. */
  dispose(): void {
    process.off('SIGINT', this.#interrupt);
    process.off('SIGTERM', this.#terminate);
  }

  readonly #interrupt = (): void => {
    if (this.#onInterrupt) this.#onInterrupt();
    else this.#end(new Interrupted('SIGINT', 130));
  };

  readonly #terminate = (): void => this.#end(new Interrupted('SIGTERM', 143));

  #end(reason: Interrupted): void {
    this.dispose();
    this.#controller.abort(reason);
  }
}
