import { FileError } from '../errors.ts';
import type { Source } from '../source.ts';
import { Broken, networkFailed, reasonOf } from './flow.ts';
import { answerOf, type HttpOptions, http } from './http.ts';

/** What is used of a `Cache` of the Cache API. */
export interface CacheLike {
  match(request: string | Request): Promise<Response | undefined>;
  put(request: string, response: Response): Promise<void>;
}

export interface CachedOptions
  extends Pick<HttpOptions, 'headers' | 'fetch' | 'window' | 'bufferLimit' | 'signal'> {
  /** Default: the one called 'cria' of the runtime's `caches`. */
  cache?: CacheLike;
  /** Called as the file is downloaded into the cache; not at all if it is there. `total` is undefined where no length is told. */
  onProgress?: (progress: { loaded: number; total: number | undefined }) => void;
}

/**
 * A file that is kept in the Cache API: downloaded into it at first, whole or not at all, and read from there.
 * @throws as `http`; 'file-unwritable' if the cache has no room
 */
export async function cached(url: string | URL, options: CachedOptions = {}): Promise<Source> {
  const name = String(url);
  const { onProgress, cache = await caches.open('cria'), ...rest } = options;
  if (!(await cache.match(name))) await download(name, cache, options, onProgress);
  options.signal?.throwIfAborted();
  return http(url, {
    ...rest,
    retries: 0,
    fetch: async (url, { headers }) => {
      const found = await cache.match(new Request(url, { headers: headers ?? {} }));
      return found ?? new Response(null, { status: 404 });
    },
  });
}

async function download(
  url: string,
  cache: CacheLike,
  { headers, fetch: other, signal }: CachedOptions,
  onProgress: CachedOptions['onProgress'],
): Promise<void> {
  const init = { headers: headers ?? {}, ...(signal && { signal }) };
  try {
    const response = await (other ?? fetch)(url, init);
    if (response.status !== 200) await answerOf(response, url);
    await cache.put(url, counted(response, onProgress));
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof FileError) throw error;
    if (!(error instanceof Error && error.name === 'QuotaExceededError')) {
      throw networkFailed(url, new Broken(reasonOf(error), { cause: error }), 1);
    }
    throw new FileError('file-unwritable', {
      where: url,
      expected: 'room in the cache',
      got: reasonOf(error),
      hint: 'Free some storage, or open the address without a cache.',
      cause: error,
    });
  }
}

/** The response, with its bytes counted as they pass. */
function counted(response: Response, onProgress: CachedOptions['onProgress']): Response {
  const headers = new Headers(response.headers);
  const told = headers.get('content-length');
  const total = told === null ? undefined : Number(told);
  if (headers.has('content-encoding')) {
    // they have been decoded
    headers.delete('content-encoding');
    headers.delete('content-length');
  }
  let loaded = 0;
  const counter = new TransformStream<Uint8Array, Uint8Array>({
    transform(piece, out) {
      loaded += piece.length;
      onProgress?.({ loaded, total });
      out.enqueue(piece);
    },
  });
  return new Response(response.body?.pipeThrough(counter) ?? null, { headers });
}
