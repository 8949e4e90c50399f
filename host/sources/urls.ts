import { FileError } from '../errors.ts';
import type { Source } from '../source.ts';
import { blobSource } from './bytes.ts';

/**
 * The URL that a name is; undefined for a path.
 * @throws FileError 'file-not-found'
 */
export function urlOf(name: string | URL): URL | undefined {
  if (name instanceof URL) return name;
  if (!/^(https?|blob|data|file):/i.test(name)) return undefined;
  try {
    return new URL(name);
  } catch (cause) {
    throw new FileError('file-not-found', {
      where: JSON.stringify(name.slice(0, 100)),
      expected: 'an address',
      got: 'a text that is none',
      hint: 'Check its spelling.',
      cause,
    });
  }
}

/**
 * @param window of what is read from a server: see HttpOptions
 * @throws FileError as `http` does; the signal's reason
 */
export async function openUrl(url: URL, signal?: AbortSignal, window?: number): Promise<Source> {
  if (url.protocol.startsWith('http')) {
    const { http } = await import('./http.ts');
    return http(url, { ...(signal && { signal }), ...(window !== undefined && { window }) });
  }
  const name = url.protocol === 'data:' ? 'data: URL' : url.href;
  try {
    return blobSource(await (await fetch(url, { signal: signal ?? null })).blob(), name);
  } catch (cause) {
    signal?.throwIfAborted();
    throw new FileError('file-unreadable', {
      where: name,
      expected: 'bytes that it holds or stands for',
      got: String(cause),
      hint: 'Check the URL; one of a Blob ends with the page that made it.',
      cause,
    });
  }
}

/** The URL of a file in the same folder as another. */
export const urlBeside = (url: URL, name: string): URL => new URL(encodeURIComponent(name), url);
