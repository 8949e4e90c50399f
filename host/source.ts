/** Bytes that can be read anywhere: a file, a Blob, an array, an HTTP resource. */
export interface Source {
  /** For messages: a path, a URL, or what kind of object it is. */
  readonly name: string;
  /** Length in bytes. */
  readonly size: number;
  /**
   * Fills `view` from `offset`. Reads exactly `view.length` bytes.
   * @throws FileError 'file-truncated' if the bytes end early, 'file-unreadable' if the system refuses.
   */
  readInto(view: Uint8Array, offset: number, signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;
}
