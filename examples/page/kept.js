// Models that are kept on this device: in the Cache API, under their address or, for a file, under one of this page's own.
// Pages that are not served over https: or from localhost have no caches and keep nothing.

import { cached } from '../../dist/lib/sources-web.js';

const NAME = 'cria models';
const FILES = new URL('kept/', import.meta.url).href;

/** Not awaited here: a worker loses the messages that come before it listens. */
const opening = globalThis.caches?.open(NAME);

/** A model at an address, downloaded unless it is kept. */
export async function fromAddress(url, { signal, onProgress }) {
  const cache = await opening;
  return cache ? cached(url, { cache, signal, onProgress }) : url;
}

/** A file of this device, copied to be kept; where there is no room for a copy it is used all the same. */
export async function fromFile(file, { signal, onProgress }) {
  const cache = await opening;
  if (!cache) return file;
  let loaded = 0;
  const counter = new TransformStream({
    transform(piece, out) {
      loaded += piece.length;
      onProgress({ loaded, total: file.size });
      out.enqueue(piece);
    },
  });
  const headers = { 'content-length': String(file.size) };
  const copy = new Response(file.stream().pipeThrough(counter, { signal }), { headers });
  try {
    await cache.put(FILES + encodeURIComponent(file.name), copy);
  } catch {
    signal.throwIfAborted();
  }
  return file;
}

/** What is kept: address and what to call it. */
export async function kept() {
  const requests = (await (await opening)?.keys()) ?? [];
  return requests.map(({ url }) => ({ url, name: nameOf(url) }));
}

export async function forget(url) {
  await (await opening).delete(url);
}

function nameOf(url) {
  const last = new URL(url).pathname.split('/').at(-1);
  try {
    return decodeURIComponent(last) || url;
  } catch {
    return last;
  }
}
