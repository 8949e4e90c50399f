import { openPath, pathBeside } from '#runtime';
import type { ModelSource } from './api.ts';
import { CriaError, FileError, OptionError } from './errors.ts';
import type { ByteSource, Source } from './source.ts';
import { blobSource, bytesSource, readAll, truncated } from './sources/bytes.ts';

export { readAll };

/** A larger file is no manifest; one of 20,000 parts is. */
const MANIFEST_BYTES = 2 ** 22;
const BRACE = 0x7b;

/**
 * Opens whatever a user names as a model. A path or URL may lead to a manifest: it is opened as the file whose parts the
 * manifest lists.
 * @throws OptionError 'option-type'; FileError 'file-not-found', 'file-unreadable', 'bad-manifest', or as `http` does.
 */
export async function openSource(source: ModelSource, signal?: AbortSignal): Promise<Source> {
  const isAddress = typeof source === 'string' || source instanceof URL;
  const opened = await openOne(source, signal);
  if (!isAddress || opened.size > MANIFEST_BYTES || opened.size === 0) return opened;
  try {
    const first = new Uint8Array(1);
    await opened.readInto(first, 0, signal);
    if (first[0] !== BRACE) return opened;
    const { isManifest, openParts } = await import('./sources/parts.ts');
    const bytes = await readAll(opened, signal);
    if (!isManifest(bytes)) return opened;
    const parts = openParts(bytes, opened.name, part => openOne(beside(source, part), signal, 0));
    await opened.close();
    return parts;
  } catch (error) {
    await opened.close();
    throw error;
  }
}

/** @param window of what is read from a server: see HttpOptions */
async function openOne(source: ModelSource, signal?: AbortSignal, window?: number): Promise<Source> {
  if (typeof source === 'string') {
    return isUrl(source) ? openUrl(parseUrl(source), signal, window) : openPath(source);
  }
  if (source instanceof URL) return openUrl(source, signal, window);
  if (source instanceof ArrayBuffer) return bytesSource(new Uint8Array(source), 'ArrayBuffer');
  if (source instanceof Uint8Array) return bytesSource(source, 'Uint8Array');
  if (typeof Blob === 'function' && source instanceof Blob) return blobSource(source);
  if (isByteSource(source)) return givenSource(source);
  throw new OptionError('option-type', {
    where: 'source',
    expected: 'a path, URL, ArrayBuffer, Uint8Array, Blob, or an object with size and readInto',
    got: source === null ? 'null' : typeof source,
    hint: 'Pass the path of a GGUF or llama2.c file.',
  });
}

function isUrl(text: string): boolean {
  return /^(https?|blob|data|file):/i.test(text);
}

/** A file in the same folder as another. */
function beside(source: string | URL, name: string): string | URL {
  if (typeof source === 'string' && !isUrl(source)) return pathBeside(source, name);
  return new URL(encodeURIComponent(name), source);
}

/** @throws FileError 'file-not-found' */
function parseUrl(text: string): URL {
  try {
    return new URL(text);
  } catch (cause) {
    throw new FileError('file-not-found', {
      where: JSON.stringify(text.slice(0, 100)),
      expected: 'an address',
      got: 'a text that is none',
      hint: 'Check its spelling.',
      cause,
    });
  }
}

async function openUrl(
  url: URL,
  signal: AbortSignal | undefined,
  window: number | undefined,
): Promise<Source> {
  if (url.protocol === 'file:') return openPath(url);
  if (url.protocol.startsWith('http')) {
    const { http } = await import('./sources/http.ts');
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

function isByteSource(source: unknown): source is ByteSource {
  const { size, readInto } = Object(source) as Partial<ByteSource>;
  return typeof readInto === 'function' && Number.isSafeInteger(size) && size! >= 0;
}

/** A caller's source, its errors made ours. */
function givenSource(source: ByteSource): Source {
  const { size, name = 'source', ordered = false, held = 0 } = source;
  return {
    name,
    size,
    ordered,
    held,
    async readInto(view, offset, signal) {
      if (offset + view.length > size) throw truncated(name, offset, view.length, size);
      try {
        await source.readInto(view, offset, signal);
      } catch (cause) {
        signal?.throwIfAborted();
        if (cause instanceof CriaError) throw cause;
        throw new FileError('file-unreadable', {
          where: `${name}: byte ${offset}`,
          expected: `${view.length} bytes`,
          got: String(cause),
          hint: 'The source that was passed failed; its error is the cause.',
          cause,
        });
      }
    },
    async close() {
      await source.close?.();
    },
  };
}
