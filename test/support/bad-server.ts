import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';

/** What is wrong with a server of one file; nothing by default. Functions are asked for every answer. */
export interface Faults {
  /** Answers with the whole file, whatever range is asked for. */
  ignoresRange?: boolean;
  /** Bytes after which the connection is cut. */
  cutAfter?: () => number | undefined;
  /** Status instead of an answer. */
  status?: () => number | undefined;
  /** Content-Length, less or more than is sent; null for none. */
  length?: number | null;
  etag?: () => string;
  content?: () => Uint8Array;
  gzip?: boolean;
  redirect?: boolean;
  /** Milliseconds between pieces of 1000 bytes. */
  trickle?: number;
  /** Content-Range instead of the right one; null for none. */
  contentRange?: string | null;
  /** The most bytes of one answer. */
  most?: number;
}

export interface BadServer {
  url: string;
  /** The range of each request. */
  requests: string[];
  /** Connections that have an answer on its way. */
  open: () => number;
  close: () => Promise<void>;
}

/** Serves `content` on 127.0.0.1 as `faults` say. */
export async function badServer(content: Uint8Array, faults: Faults = {}): Promise<BadServer> {
  const requests: string[] = [];
  let answering = 0;
  const server = createServer((request, response) => {
    requests.push(request.headers.range ?? 'whole');
    answering++;
    response.on('close', () => answering--);
    void answer(request, response, faults.content?.() ?? content, faults);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/model.gguf`,
    requests,
    open: () => answering,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  content: Uint8Array,
  faults: Faults,
): Promise<void> {
  const status = faults.status?.();
  if (status !== undefined) return void response.writeHead(status).end('no');
  if (faults.redirect) return void response.writeHead(302, { location: `${request.url}x` }).end();
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const partial = range !== null && !faults.ignoresRange;
  const from = partial ? Number(range[1]) : 0;
  if (partial && from >= content.length) {
    return void response.writeHead(416, { 'content-range': `bytes */${content.length}` }).end();
  }
  const to = Math.min(content.length, from + (faults.most ?? content.length));
  let body = content.subarray(from, to);
  const headers: Record<string, string> = {};
  if (partial && faults.contentRange !== null) {
    headers['content-range'] = faults.contentRange ?? `bytes ${from}-${to - 1}/${content.length}`;
  }
  if (faults.gzip) {
    body = gzipSync(body);
    headers['content-encoding'] = 'gzip';
  }
  if (faults.length !== null) headers['content-length'] = String(faults.length ?? body.length);
  if (faults.etag) headers['etag'] = faults.etag();
  response.writeHead(partial ? 206 : 200, headers);
  const end = Math.min(body.length, faults.cutAfter?.() ?? body.length);
  const step = faults.trickle === undefined ? end || 1 : 1000;
  for (let at = 0; at < end && !response.destroyed; at += step) {
    response.write(body.subarray(at, Math.min(end, at + step)));
    if (faults.trickle !== undefined) await new Promise(resolve => setTimeout(resolve, faults.trickle));
  }
  if (end < body.length || (faults.length ?? 0) > body.length) {
    // so that what was written leaves before the connection does
    await new Promise(resolve => setTimeout(resolve, 2));
    response.destroy();
  } else response.end();
}
