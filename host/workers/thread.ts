/** A thread of the runtime, as the one that started it sees it. */
export interface Thread {
  post(message: unknown, transfer?: ArrayBuffer[]): void;
  /** Called with every message, and once with why the thread ended if nobody ended it. */
  listen(onMessage: (message: unknown) => void, onEnd: (why: string) => void): void;
  /** Whether it keeps the process alive. */
  hold(alive: boolean): void;
  end(): Promise<void>;
}

/** What a thread sees of the one that started it. */
export interface Starter {
  post(message: unknown, transfer?: ArrayBuffer[]): void;
  listen(onMessage: (message: unknown) => void): void;
}
