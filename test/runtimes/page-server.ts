import { createReadStream, statSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';

const TYPES: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.wasm': 'application/wasm',
};

interface Posted {
  value: unknown;
  ms: number;
}

/** Serves a browser its page and takes what the page posts. */
export class PageServer {
  readonly #folders: Record<string, string>;
  readonly #isolated: boolean;
  readonly #server = createServer((request, response) => {
    if (request.method === 'POST') {
      void bodyOf(request).then(body => {
        response.end();
        this.#take(body);
      });
      return;
    }
    const path = decodeURIComponent(request.url!.split('?')[0]!);
    const prefix = Object.keys(this.#folders).find(prefix => path.startsWith(prefix))!;
    const under = path.slice(prefix.length);
    const file = join(
      this.#folders[prefix]!,
      normalize(`/${under}${path.endsWith('/') ? 'index.html' : ''}`),
    );
    if (this.#isolated) {
      response.setHeader('cross-origin-opener-policy', 'same-origin');
      response.setHeader('cross-origin-embedder-policy', 'require-corp');
    }
    response.setHeader('cache-control', 'no-store');
    if (!statSync(file, { throwIfNoEntry: false })?.isFile()) {
      response.writeHead(path === '/favicon.ico' ? 204 : 404).end();
      return;
    }
    response.setHeader('content-type', TYPES[extname(file)] ?? 'application/octet-stream');
    createReadStream(file).pipe(response);
  });
  #take: (body: string) => void = () => {};

  /**
   * @param folders by the beginning of their paths, the longest first
   * @param isolated from other origins, so that pages may share memory
   */
  constructor(folders: Record<string, string>, isolated = true) {
    this.#folders = folders;
    this.#isolated = isolated;
  }

  async listen(): Promise<string> {
    await new Promise<void>(resolve => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** What a page posts next: see `pageOf`. */
  posted(): Promise<Posted> {
    return new Promise((resolve, reject) => {
      this.#take = body => {
        const { error, ...posted } = JSON.parse(body) as Posted & { error?: string };
        if (error === undefined) resolve(posted);
        else reject(new Error(`in the page: ${error}`));
      };
    });
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = '';
  for await (const part of request) body += part;
  return body;
}

interface PageParts {
  /** A classic script that comes first. */
  script?: string;
  /** Statements that import what the expression uses. */
  imports?: string;
  importMap?: Record<string, string>;
}

/** A page that posts the value of an expression, and the milliseconds since its navigation began. */
export function pageOf(expression: string, { script, imports = '', importMap = {} }: PageParts): string {
  return `<!doctype html>
<meta charset="utf-8">
<script type="importmap">${JSON.stringify({ imports: importMap })}</script>
<script>
  const post = body => fetch('/posted', { method: 'POST', body: JSON.stringify(body) });
  const failed = error => post({ error: String(error?.stack ?? error) });
  addEventListener('error', event => failed(event.error ?? event.message ?? 'a file that is missing'), true);
  addEventListener('unhandledrejection', event => failed(event.reason));
</script>
${script ? `<script src="${script}"></script>` : ''}
<script type="module">
  ${imports}
  post({ value: await ${expression}, ms: performance.now() });
</script>
`;
}
