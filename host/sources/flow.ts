import { FileError } from '../errors.ts';

/** Bytes that come one after another, from `offset` on. */
export interface Flow {
  readonly offset: number;
  /** The next bytes, which are then the caller's; undefined at the end. */
  read(): Promise<Uint8Array | undefined>;
  cancel(): Promise<void>;
}

/** What may pass by itself: a broken connection, a server that is overloaded. */
export class Broken extends Error {}

/** Room for one read from a byte stream. */
const CHUNK = 2 ** 18;

/**
 * A stream's bytes, as large pieces where its reader takes a buffer of ours ("bring your own buffer"), else as they come.
 * @throws Broken from `read` if the stream fails
 */
export function flowOf(body: ReadableStream<Uint8Array>, offset: number): Flow {
  const byob = byobReader(body);
  const reader = byob ?? body.getReader();
  return {
    offset,
    async read() {
      for (;;) {
        const { value, done } = await (byob
          ? byob.read(new Uint8Array(CHUNK))
          : (reader as ReadableStreamDefaultReader<Uint8Array>).read()
        ).catch(cause => {
          throw new Broken(reasonOf(cause), { cause });
        });
        if (value !== undefined && value.byteLength > 0) return value;
        if (done) return undefined;
      }
    },
    async cancel() {
      await reader.cancel().catch(() => {});
    },
  };
}

function byobReader(body: ReadableStream<Uint8Array>): ReadableStreamBYOBReader | undefined {
  try {
    return body.getReader({ mode: 'byob' });
  } catch (error) {
    // not a byte stream, or an engine without such readers
    if (body.locked) throw error;
    return undefined;
  }
}

/** An error's own words and its cause's: those of `fetch` say nothing themselves. */
export function reasonOf(error: unknown): string {
  const said = error instanceof Error ? error.message : String(error);
  const { cause } = Object(error) as { cause?: unknown };
  return cause instanceof Error && cause.message !== '' ? `${said} (${cause.message})` : said;
}

/** How often and how soon to try again. */
export interface Patience {
  /** Further attempts after one that came to nothing. */
  retries: number;
  /** Milliseconds before the first of them; each waits twice as long as the one before. */
  delay: number;
}

export const PATIENCE: Patience = { retries: 4, delay: 250 };

/** @throws FileError 'network-failed' when patience is at its end; the signal's reason */
export async function persist<T>(
  name: string,
  { retries, delay }: Patience,
  signal: AbortSignal | undefined,
  attempt: () => Promise<T>,
): Promise<T> {
  for (let failures = 0; ; failures++) {
    try {
      return await unlessAborted(attempt(), signal);
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof Broken)) throw error;
      if (failures === retries) throw networkFailed(name, error, failures + 1);
      await pause(delay * 2 ** failures, signal);
    }
  }
}

export function networkFailed(name: string, cause: Error, attempts: number): FileError {
  return new FileError('network-failed', {
    where: name,
    expected: 'the bytes of the file',
    got: `${cause.message}${attempts > 1 ? `, ${attempts} times in a row` : ''}`,
    hint: 'Check the address and the network, and in a browser that the server allows other origins (CORS); then try again.',
    cause,
  });
}

/** @throws the signal's reason as soon as it is aborted */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  signal.throwIfAborted();
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop);
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
    work.catch(() => {});
  }
}

export async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    await unlessAborted(new Promise(resolve => (timer = setTimeout(resolve, ms))), signal);
  } finally {
    clearTimeout(timer);
  }
}

/** All bytes of a flow. @throws FileError 'unknown-size' beyond `limit` */
export async function gather(flow: Flow, name: string, limit: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for (let piece = await flow.read(); piece; piece = await flow.read()) {
    length += piece.length;
    if (length > limit) {
      await flow.cancel();
      throw new FileError('unknown-size', {
        where: name,
        expected: `a length that is told, or at most ${limit} bytes, which are held in memory`,
        got: 'more, and no length: none was sent, or the bytes are compressed on their way',
        hint: 'Have the server send Content-Length and no Content-Encoding, give the size, or raise bufferLimit.',
      });
    }
    pieces.push(piece);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
