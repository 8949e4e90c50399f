/**
 * Bytes that can be read anywhere: implement it for a place that Cria does not know. `cria/sources` has some.
 * Reads may come before the last one has ended.
 */
export interface ByteSource {
  /** Length in bytes. */
  readonly size: number;
  /** For messages: a path, a URL, or what kind of object it is. */
  readonly name?: string;
  /** Whether reads in ascending order cost much less than others: threads then take turns in the file's order. */
  readonly ordered?: boolean;
  /** Most bytes that it keeps in memory to be read from. */
  readonly held?: number;
  /**
   * Fills `view` with the bytes from `offset` on, all of it, or rejects. The view is of ordinary memory and valid until
   * the promise settles.
   */
  readInto(view: Uint8Array, offset: number, signal?: AbortSignal): Promise<void>;
  /** Called when nothing more is wanted for now: lets go of connections. Reading may begin anew after it. */
  close?(): Promise<void> | void;
}

/** A source that Cria has opened: its errors are FileErrors or the signal's reason. */
export interface Source extends ByteSource {
  readonly name: string;
  /**
   * Opens a file that lies beside it, where it has a name.
   * @throws FileError 'file-not-found', as it is opened
   */
  beside?: (file: string) => Promise<Source>;
  /**
   * Fills `view` from `offset`. Reads exactly `view.length` bytes.
   * @throws FileError 'file-truncated' if the bytes end early, 'file-unreadable' if the system refuses; others by kind.
   */
  readInto(view: Uint8Array, offset: number, signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** A SHA-256 in the making. */
export interface Sha256 {
  update(bytes: Uint8Array): void;
  /** In hexadecimal digits. */
  digest(): string;
}
