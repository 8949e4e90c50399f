import type { Place } from '../place.ts';
import type { Sha256, Source } from '../source.ts';

/** What differs between the places where JavaScript runs. */
export interface Runtime {
  /** The build of the kernels that this engine runs best. All give the same bits. */
  kernels(): Promise<WebAssembly.Module>;
  names: Names;
  /**
   * SHA-256 of bytes that come in pieces.
   * @throws StateError 'unsupported-runtime' where only whole bytes are hashed
   */
  sha256(): Sha256;
  /**
   * The GPU as the place of a model: undefined where there is none that can be used. Absent where addons cannot be loaded.
   * @param wanted whether nothing else will do
   * @param count of GPUs that share the model; 1 by default
   * @throws StateError 'gpu-unavailable' if it is wanted and there is none
   */
  gpu?(wanted: boolean, count?: number): Promise<Place | undefined>;
  /** Absent where a model can only run in the calling thread. */
  threads?: Threads;
}

/** Paths and URLs. */
export interface Names {
  /** @param window of what is read from a server: see HttpOptions */
  open(name: string | URL, signal?: AbortSignal, window?: number): Promise<Source>;
  /** What names a file in the same folder as another. */
  beside(name: string | URL, file: string): string | URL;
}

/** A file system. */
export interface Files {
  /** @throws FileError 'file-not-found', 'file-unreadable' */
  open(path: string): Promise<Source>;
  /** The path of a file in a folder. */
  within(folder: string, name: string): string;
  /**
   * Writes a file whole or not at all; folders are made.
   * @throws FileError 'file-unwritable', or what `work` throws
   */
  replace(path: string, work: (write: (bytes: Uint8Array) => Promise<void>) => Promise<void>): Promise<void>;
  /** The names in a folder; none where there is no such folder. @throws FileError 'file-unreadable' */
  names(folder: string): Promise<string[]>;
  /** @throws FileError 'file-unwritable' */
  remove(path: string): Promise<void>;
}

export interface Threads {
  /** Processors that this process, page or worker may use; 0 where threads cannot be started. */
  processors(): number;
  /** Whether threads can share memory: pages must be isolated from other origins for it. */
  sharesMemory(): boolean;
  /**
   * Starts as many threads as there will be ranks, the first at once.
   * @throws what `count` rejects with; StateError 'thread-died' if the program of a thread cannot be loaded, or there are
   * no more
   */
  start(count: Promise<number>): Promise<Place>;
}
