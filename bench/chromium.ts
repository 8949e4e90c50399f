// Runs a page of rivals/pages in headless Chromium as a contender.

import { createReadStream, existsSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { pathToFileURL } from 'node:url';
import { familyMemory } from './family-memory.ts';
import { cacheFolder, projectFolder, rivalFile, rivalsFolder } from './paths.ts';
import type { Engine, Generated, Prompt, Task } from './protocol.ts';

/** The part of playwright-core that is used here. */
interface Playwright {
  chromium: { launch(options: object): Promise<Browser> };
}
interface Browser {
  newPage(): Promise<Page>;
  close(): Promise<void>;
}
interface Page {
  goto(url: string): Promise<unknown>;
  waitForFunction(expression: string): Promise<unknown>;
  evaluate<T>(expression: string): Promise<T>;
  on(event: 'console', listener: (message: { type(): string; text(): string }) => void): void;
  on(event: 'pageerror', listener: (error: Error) => void): void;
}

const CHROMIUMS = [
  process.env['CHROMIUM'] ?? '',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
];

/** The browser's program, or undefined. The environment variable CHROMIUM comes first. */
export const findChromium = (): string | undefined => CHROMIUMS.find(path => path !== '' && existsSync(path));

const FLAGS = [
  '--no-sandbox', // the sandbox does not start as root
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const CONTENT_TYPES: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
};

/** Serves pages, rivals, models and Cria itself on a free port, isolated so that pages may share memory. */
async function serve(): Promise<{ server: Server; origin: string }> {
  const roots: [prefix: string, folder: string][] = [
    ['/rivals/', join(rivalsFolder(), 'node_modules')],
    ['/models/', join(cacheFolder(), 'models')],
    ['/dist/', join(projectFolder(), 'dist')],
    ['/', join(rivalsFolder(), 'pages')],
  ];
  const server = createServer((request, response) => {
    const url = decodeURIComponent((request.url ?? '/').split('?')[0]!);
    const [prefix, folder] = roots.find(([prefix]) => url.startsWith(prefix))!;
    const path = join(folder, normalize(`/${url.slice(prefix.length)}`));
    response.setHeader('cross-origin-opener-policy', 'same-origin');
    response.setHeader('cross-origin-embedder-policy', 'require-corp');
    response.setHeader('cache-control', 'no-store');
    const stat = statSync(path, { throwIfNoEntry: false });
    if (!stat?.isFile()) {
      response.writeHead(url === '/favicon.ico' ? 204 : 404).end();
      return;
    }
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const start = Number(range?.[1] ?? 0);
    const end = Math.min(Number(range?.[2] || stat.size - 1), stat.size - 1);
    response.writeHead(range ? 206 : 200, {
      'content-type': CONTENT_TYPES[extname(path)] ?? 'application/octet-stream',
      'content-length': end - start + 1,
      'accept-ranges': 'bytes',
      ...(range ? { 'content-range': `bytes ${start}-${end}/${stat.size}` } : {}),
    });
    if (request.method === 'HEAD') response.end();
    else createReadStream(path, { start, end }).pipe(response);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return { server, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

/**
 * Loads `page`, which sets `window.contender` to { load(task) → version, generate(prompt, n) → Generated }. `task` gets
 * the model's path as a URL.
 */
export async function startPage(page: string, task: Task): Promise<Engine> {
  const { chromium } = (await import(
    pathToFileURL(rivalFile('playwright-core', 'index.mjs')!).href
  )) as Playwright;
  const { server, origin } = await serve();
  const browser = await chromium.launch({ executablePath: findChromium(), headless: true, args: FLAGS });
  const tab = await browser.newPage();
  tab.on('console', message => console.error(`${message.type()}: ${message.text()}`));
  tab.on('pageerror', error => console.error(String(error)));

  let peak = 0;
  const sample = (): void => {
    peak = Math.max(peak, familyMemory() ?? 0);
  };
  const timer = setInterval(sample, 500); // while loading only: it would disturb what is timed
  const startMs = performance.now();
  await tab.goto(`${origin}/${page}`);
  await tab.waitForFunction('window.contender');
  const version = await tab.evaluate<string>(
    `contender.load(${JSON.stringify({ ...task, path: `/models/${task.model}.gguf` })})`,
  );
  clearInterval(timer);
  return {
    version,
    startMs,
    async generate(prompt: Prompt, n: number): Promise<Generated> {
      return tab.evaluate<Generated>(`contender.generate(${JSON.stringify(prompt)}, ${n})`);
    },
    peakMemoryBytes() {
      sample();
      return peak === 0 ? undefined : peak;
    },
    async close() {
      await browser.close();
      server.close();
      server.closeAllConnections();
    },
  };
}
