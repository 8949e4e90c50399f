import { type ErrorCode, FileError } from '../errors.ts';
import type { Source } from '../source.ts';
import { bytesSource } from './bytes.ts';
import { Broken, type Flow, flowOf, gather, PATIENCE, persist, reasonOf } from './flow.ts';
import { FlowSource } from './flow-source.ts';

export interface HttpOptions {
  /** Sent with every request. */
  headers?: Record<string, string>;
  /** In place of the runtime's own: a service binding's, a cache's. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
  /** Further attempts after a broken connection or an answer of 500 and above that brought nothing new. Default 4. */
  retries?: number;
  /**
   * Milliseconds before the first further attempt, twice as many before each next one; a connection that gave something
   * before it broke is resumed at once. Default 250.
   */
  retryDelay?: number;
  /** Bytes kept behind the reading position. Default 8 MiB. */
  window?: number;
  /** The most bytes of a file held in memory where a server ignores Range or does not tell a length. Default 256 MiB. */
  bufferLimit?: number;
  signal?: AbortSignal;
}

export const BUFFER_LIMIT: number = 2 ** 28;

/** What a server answered. @internal */
export interface Answer {
  flow: Flow;
  /** Of the whole file, if it is told. */
  size: number | undefined;
  /** Whether a flow can begin anywhere. */
  ranges: boolean;
  /** ETag or Last-Modified. */
  version: string | undefined;
}

/**
 * A file on a server. It is read through one request as long as reads ascend; that is resumed with Range where it
 * breaks, and begun anew where a read lies elsewhere. A server that ignores Range must be read in order, or the file
 * is held in memory.
 *
 * @throws FileError 'file-not-found', 'access-denied', 'network-failed', 'unknown-size', 'bad-range'; when read also
 *   'file-changed' (told by ETag, Last-Modified or size: no If-Range is sent, which browsers would have to ask other
 *   origins' leave for) and 'needs-random-access'; the signal's reason
 */
export async function http(url: string | URL, options: HttpOptions = {}): Promise<Source> {
  const name = String(url);
  const { signal, bufferLimit = BUFFER_LIMIT } = options;
  const patience = {
    retries: options.retries ?? PATIENCE.retries,
    delay: options.retryDelay ?? PATIENCE.delay,
  };
  const begin = () => ask(name, 0, options, signal);
  const first = await persist(name, patience, signal, begin);
  const { size, ranges, version } = first;
  if (size === undefined) {
    let answer: Answer | undefined = first;
    const bytes = await persist(name, patience, signal, async () => {
      const { flow } = answer ?? (await begin());
      answer = undefined;
      return gather(flow, name, bufferLimit);
    });
    return bytesSource(bytes, name);
  }
  return new FlowSource({
    name,
    size,
    first: first.flow,
    patience,
    ...(options.window !== undefined && { window: options.window }),
    ...(!ranges && { rewindLimit: bufferLimit }),
    connect: async (offset, connection) => {
      const next = await ask(name, offset, options, connection);
      const other = next.version !== undefined && version !== undefined && next.version !== version;
      if (!other && (next.size === undefined || next.size === size)) return next.flow;
      await next.flow.cancel();
      throw changed(
        name,
        `${size} bytes${describeVersion(version)}`,
        `${next.size}${describeVersion(next.version)}`,
      );
    },
  });
}

/** Asks for the file from `offset` on. @throws Broken, FileError */
async function ask(
  url: string,
  offset: number,
  { headers, fetch: other }: HttpOptions,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  let response: Response;
  try {
    response = await (other ?? fetch)(url, {
      headers: { ...headers, range: `bytes=${offset}-` },
      ...(signal && { signal }),
    });
  } catch (cause) {
    signal?.throwIfAborted();
    const reason = reasonOf(cause);
    if (/redirect/i.test(reason)) {
      const hint = 'Open the address in a browser and pass the one where it ends.';
      throw refused('network-failed', url, 'a file', `redirects without end: ${reason}`, hint, cause);
    }
    throw new Broken(reason, { cause });
  }
  return answerOf(response, url, offset);
}

/** What a response to `bytes=OFFSET-` says. @throws Broken, FileError @internal */
export async function answerOf(response: Response, name: string, offset = 0): Promise<Answer> {
  const { status, headers, body } = response;
  const version = headers.get('etag')?.replace(/^W\//, '') ?? headers.get('last-modified') ?? undefined;
  // the length of what is sent, which is not the file's if that is compressed on the way
  const encoding = headers.get('content-encoding') ?? 'identity';
  const told = headers.get('content-length');
  const length = encoding === 'identity' && told !== null && /^\d+$/.test(told) ? Number(told) : undefined;
  const flow = (from: number) => (body ? flowOf(body, from) : flowOf(new Blob([]).stream(), from));
  if (status === 206) {
    const range = headers.get('content-range');
    const [, from, all] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(range ?? '') ?? [];
    if (encoding !== 'identity' || (range !== null && Number(from) !== offset)) {
      await body?.cancel();
      const got = encoding === 'identity' ? `the range ${JSON.stringify(range)}` : `bytes in ${encoding}`;
      const hint = 'The server answers Range wrongly: have it send the file uncompressed, or take another.';
      throw refused('bad-range', name, `the file's bytes from ${offset} on`, got, hint);
    }
    // a server of another origin may keep Content-Range from us
    const rest = length === undefined ? undefined : offset + length;
    const size = all === undefined || all === '*' ? rest : Number(all);
    return { flow: flow(offset), size, ranges: true, version };
  }
  if (status === 200) return { flow: flow(0), size: length, ranges: false, version };
  await body?.cancel();
  if (status === 416) {
    // of an empty file no range can be had
    const size = /^bytes \*\/(\d+)$/.exec(headers.get('content-range') ?? '')?.[1];
    if (offset === 0) return { flow: flowOf(new Blob([]).stream(), 0), size: 0, ranges: true, version };
    throw changed(name, `more than ${offset} bytes`, size === undefined ? 'fewer' : size);
  }
  if (status >= 500) throw new Broken(`status ${status}`);
  const [code, hint] = REFUSALS[status] ?? ['file-unreadable', 'Check the address.'];
  throw refused(code, name, 'status 200 or 206', `status ${status}`, hint);
}

const LOGIN = 'The server wants a login or a token: pass it in headers of http().';
const REFUSALS: Record<number, [code: ErrorCode, hint: string]> = {
  401: ['access-denied', LOGIN],
  403: ['access-denied', LOGIN],
  404: ['file-not-found', 'Check the address.'],
  410: ['file-not-found', 'It has been taken away: look for a newer address.'],
  429: ['file-unreadable', 'The server wants fewer requests: wait and try again.'],
};

function refused(
  code: ErrorCode,
  where: string,
  expected: string,
  got: string,
  hint: string,
  cause?: unknown,
): FileError {
  return new FileError(code, { where, expected, got, hint, cause });
}

/** @internal */
export function changed(name: string, before: string, now: string): FileError {
  return new FileError('file-changed', {
    where: name,
    expected: `the file as it was when reading began: ${before}`,
    got: now,
    hint: 'It was replaced meanwhile: open it again.',
  });
}

function describeVersion(version: string | undefined): string {
  return version === undefined ? '' : ` of version ${version.slice(0, 80)}`;
}
