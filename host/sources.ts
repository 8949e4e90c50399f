import { openPath } from '#runtime';
import type { ModelSource } from './api.ts';
import { FileError, OptionError } from './errors.ts';
import type { Source } from './source.ts';

/**
 * Opens whatever a user names as a model.
 * @throws OptionError 'option-type'; FileError 'file-not-found' or 'file-unreadable'.
 */
export async function openSource(source: ModelSource, signal?: AbortSignal): Promise<Source> {
  if (typeof source === 'string') {
    return /^(https?|blob|data|file):/i.test(source) ? openUrl(parseUrl(source), signal) : openPath(source);
  }
  if (source instanceof URL) return openUrl(source, signal);
  if (source instanceof ArrayBuffer) return bytesSource(new Uint8Array(source), 'ArrayBuffer');
  if (source instanceof Uint8Array) return bytesSource(source, 'Uint8Array');
  if (typeof Blob === 'function' && source instanceof Blob) return blobSource(source);
  throw new OptionError('option-type', {
    where: 'source',
    expected: 'a path, URL, ArrayBuffer, Uint8Array or Blob',
    got: source === null ? 'null' : typeof source,
    hint: 'Pass the path of a GGUF or llama2.c file.',
  });
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

/** The whole of a small file. */
export async function readAll(source: Source, signal?: AbortSignal): Promise<Uint8Array> {
  const bytes = new Uint8Array(source.size);
  await source.readInto(bytes, 0, signal);
  return bytes;
}

function truncated(name: string, offset: number, length: number, size: number): FileError {
  return new FileError('file-truncated', {
    where: `${name}: byte ${offset}`,
    expected: `${length} bytes`,
    got: `the end of the file at ${size}`,
    hint: 'The file changed or is incomplete; download it again.',
  });
}

function bytesSource(bytes: Uint8Array, name: string): Source {
  return {
    name,
    size: bytes.length,
    async readInto(view, offset) {
      if (offset + view.length > bytes.length) throw truncated(name, offset, view.length, bytes.length);
      view.set(bytes.subarray(offset, offset + view.length));
    },
    async close() {},
  };
}

function blobSource(blob: Blob): Source {
  const name = 'name' in blob && typeof blob.name === 'string' ? blob.name : 'Blob';
  return {
    name,
    size: blob.size,
    async readInto(view, offset) {
      if (offset + view.length > blob.size) throw truncated(name, offset, view.length, blob.size);
      view.set(new Uint8Array(await blob.slice(offset, offset + view.length).arrayBuffer()));
    },
    async close() {},
  };
}

/**
 * file: goes to the runtime; http(s) is read by ranges where the server allows it, else whole, as blob: and data: are:
 * the file is then held beside the weights while they load.
 */
async function openUrl(url: URL, signal?: AbortSignal): Promise<Source> {
  if (url.protocol === 'file:') return openPath(url);
  const name = url.protocol === 'data:' ? 'data: URL' : url.href;
  const http = url.protocol.startsWith('http');
  const response = await request(url, name, http ? 'bytes=0-0' : undefined, signal);
  const size = /^bytes 0-0\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1];
  if (response.status !== 206 || size === undefined) {
    return bytesSource(await bodyOf(response, name, signal), name);
  }
  await bodyOf(response, name, signal);
  return {
    name,
    size: Number(size),
    async readInto(view, offset, signal) {
      if (view.length === 0) return;
      const range = `bytes=${offset}-${offset + view.length - 1}`;
      const part = await request(url, name, range, signal);
      const bytes = await bodyOf(part, name, signal);
      if (part.status !== 206 || bytes.length !== view.length) {
        throw truncated(name, offset, view.length, offset + bytes.length);
      }
      view.set(bytes);
    },
    async close() {},
  };
}

/** @throws FileError 'file-unreadable' if the connection breaks; the signal's reason. */
async function bodyOf(response: Response, name: string, signal?: AbortSignal): Promise<Uint8Array> {
  try {
    return new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    signal?.throwIfAborted();
    throw new FileError('file-unreadable', {
      where: name,
      expected: 'the whole answer',
      got: 'a broken connection',
      hint: 'Try again.',
      cause,
    });
  }
}

async function request(
  url: URL,
  name: string,
  range: string | undefined,
  signal: AbortSignal | undefined,
): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, {
      headers: range === undefined ? {} : { range },
      signal: signal ?? null,
    });
  } catch (cause) {
    signal?.throwIfAborted();
    throw new FileError('file-unreadable', {
      where: name,
      expected: 'an answer',
      got: String(cause),
      hint: 'Check the address and the network.',
      cause,
    });
  }
  if (response.ok) return response;
  // a range of nothing cannot be satisfied
  if (response.status === 416 && range === 'bytes=0-0') return new Response(new Uint8Array(0));
  throw new FileError(response.status === 404 ? 'file-not-found' : 'file-unreadable', {
    where: name,
    expected: 'status 200 or 206',
    got: `status ${response.status}`,
    hint: 'Check the address and whether it needs a login.',
  });
}
