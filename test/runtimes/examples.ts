// Every example where its runtime is installed, with the packed package and a seeded tiny model: all must give the same text,
// and in pieces. Servers must go on after somebody who left in the middle of an answer.

import { cpSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { open, split } from '../../host/index.ts';
import { equal } from '../conformance/check.ts';
import { projectRoot } from '../support/shared.ts';
import type { Steps } from '../support/steps.ts';
import { tinyModel } from '../support/tiny-model.ts';
import { askBrowser, type Browser } from './browsers.ts';
import { esbuild, handedIn, installed, toolsFolder } from './bundle.ts';
import { chatOnTheEdge } from './chat-example.ts';
import { freePort } from './hosts.ts';
import { pageExample } from './page-example.ts';
import { PageServer, pageOf } from './page-server.ts';
import { start } from './processes.ts';
import { NODE, type Streamed, served, streamed } from './served.ts';

/** Slow enough that its text comes in pieces, and one that does not end before 200 tokens. */
const MODEL = tinyModel({
  dtype: 'Q8_0',
  dim: 256,
  hiddenDim: 768,
  nLayers: 6,
  contextLength: 512,
  seed: 11,
});
const PROMPT = 'Once upon a time';
const OPTIONS = { maxTokens: 200, seed: 1 };

const DENO = installed('@deno/linux-x64-glibc/deno');
const BUN = installed('@oven/bun-linux-x64/bin/bun');
const WORKERD = installed('@cloudflare/workerd-linux-64/bin/workerd');

/** What an example does not bring itself: the options of Deno that a folder of packages needs. */
const DENO_ARGS = ['--quiet', '--allow-all', '--node-modules-dir=manual'];

async function textOf(kvCache: 'f32' | 'f16'): Promise<string> {
  const model = await open(MODEL, { threads: 0, kvCache });
  let text = '';
  for await (const piece of model.generate(PROMPT, OPTIONS)) text += piece;
  await model.close();
  return text;
}

/** @param folder where the package is installed */
export async function examples(folder: string, browser: Browser | undefined, steps: Steps): Promise<void> {
  const here = join(folder, 'examples');
  cpSync(join(projectRoot, 'examples'), here, { recursive: true });
  writeFileSync(join(here, 'model.gguf'), MODEL);
  const expected = { f32: await textOf('f32'), f16: await textOf('f16') };

  /** Runs an example that gives texts; `needs` are the files without which it cannot run. */
  const check = async (
    name: string,
    needs: string[],
    run: () => Promise<Streamed | Streamed[]>,
    kvCache: 'f32' | 'f16' = 'f32',
  ): Promise<void> => {
    const lacking = needs.find(path => !existsSync(path));
    if (lacking !== undefined) {
      steps.skip(`example ${name}`, 'its runtime is not installed');
      return;
    }
    await steps.run(`example ${name}`, async () => {
      const all = [await run()].flat();
      for (const { text } of all) equal(text, expected[kvCache], 'its text');
      const pieces = all.map(streamed => streamed.pieces);
      if (Math.max(...pieces) < 2) throw new Error('it came in one piece');
      return `${pieces.join(' and ')} pieces`;
    });
  };

  const node = (program: string) => () => served(NODE, () => [program], here);
  await check('node.js', [NODE], node('node.js'));
  await check('deno.js', [DENO], () =>
    served(DENO, port => ['serve', ...DENO_ARGS, `--port=${port}`, '--host=127.0.0.1', 'deno.js'], here),
  );
  await check('bun.js', [BUN], () => served(BUN, () => ['bun.js'], here));
  await check('cloudflare/worker.js', [WORKERD], () => cloudflare(here), 'f16');
  await check('lambda/index.js', [NODE], () => lambda(here));
  await check('vercel/route.js on Node', [NODE], () => {
    writeFileSync(join(here, 'route-server.js'), ROUTE_SERVER);
    return node('route-server.js')();
  });
  const edgeRuntime = installed('edge-runtime/dist/index.js');
  await check('edge/route.js', [NODE, edgeRuntime], () => edge(here, edgeRuntime), 'f16');

  for (const [name, command, before] of [
    ['Node 20', installed('node20/bin/node'), ['--no-warnings']],
    ['Node 24', NODE, ['--no-warnings']],
    ['Deno', DENO, ['run', ...DENO_ARGS]],
    ['Bun', BUN, []],
  ] as [string, string, string[]][]) {
    await check(`wasi.js on ${name}`, [command], () =>
      printed(command, [...before, 'wasi.js', 'model.gguf', PROMPT], here),
    );
  }

  for (const [name, version, command] of [
    ['ai6', '6', installed('node20/bin/node')],
    ['ai', '7', NODE],
  ] as [string, string, string][]) {
    await check(`ai-sdk.js with version ${version} of the AI SDK`, [command, installed(name)], () => {
      const link = join(folder, 'node_modules', 'ai');
      rmSync(link, { force: true });
      symlinkSync(installed(name), link);
      return printed(command, ['ai-sdk.js'], here);
    });
  }

  if (existsSync(installed('miniflare'))) {
    await steps.run('example cloudflare/chat.js', () => chatOnTheEdge(here));
  } else steps.skip('example cloudflare/chat.js', 'miniflare is not installed');

  for (const page of ['index.html', 'worker.html']) {
    if (browser) await check(`browser/${page} in ${browser.name}`, [], () => inPage(browser, here, page));
    else steps.skip(`example browser/${page}`, 'no browser is installed');
  }
  for (const isolated of [true, false]) {
    const name = `example page, ${isolated ? 'isolated' : 'not isolated'}`;
    if (browser) await steps.run(name, () => pageExample(folder, browser, isolated));
    else steps.skip(name, 'no browser is installed');
  }
}

/** Its output as it is printed; what it writes to stderr does not count. */
async function printed(command: string, args: string[], cwd: string): Promise<Streamed> {
  const all = { text: '', pieces: 0 };
  const program = start(command, args, { cwd }, false, piece => {
    all.pieces++;
    all.text += piece;
  });
  await program.ended;
  return all;
}

/** In workerd with the 128 MB of production, the model in parts among static assets. */
async function cloudflare(here: string): Promise<Streamed[]> {
  const out = join(here, 'worker-out');
  const assets = join(out, 'assets');
  mkdirSync(assets, { recursive: true });
  const files = new Map<string, Uint8Array[]>();
  await split(
    join(here, 'model.gguf'),
    name => {
      const pieces: Uint8Array[] = [];
      files.set(name, pieces);
      return { write: async bytes => void pieces.push(bytes) };
    },
    { part: 200_000 },
  );
  for (const [name, pieces] of files) writeFileSync(join(assets, name), Buffer.concat(pieces));
  await esbuild({
    entryPoints: [join(here, 'cloudflare/worker.js')],
    outdir: out,
    conditions: ['workerd', 'worker', 'browser'],
    loader: { '.wasm': 'copy' },
    assetNames: '[name]',
  });
  writeFileSync(
    join(out, 'workerd.capnp'),
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  v8Flags = ["--wasm-max-mem-pages=2048"],
  services = [
    (name = "main", worker = (
      modules = [
        (name = "worker.js", esModule = embed "worker.js"),
        (name = "simd.wasm", wasm = embed "simd.wasm"),
        (name = "relaxed.wasm", wasm = embed "relaxed.wasm"),
      ],
      bindings = [(name = "ASSETS", service = "assets")],
      compatibilityDate = "2026-01-01",
    )),
    (name = "assets", disk = "${assets}"),
  ],
  sockets = [(name = "http", service = "main")],
);
`,
  );
  return served(WORKERD, port => ['serve', 'workerd.capnp', `--socket-addr=http=127.0.0.1:${port}`], out);
}

/** The client asks this server for events and streams its answers to it, as it does in production. */
async function lambda(here: string): Promise<Streamed[]> {
  const ASKED = 2;
  const answers: Promise<Streamed>[] = [];
  let done: () => void;
  const all = new Promise<void>(resolve => (done = resolve));
  const server = createServer((request, response) => {
    if (request.url!.endsWith('/next')) {
      if (answers.length === ASKED) return; // it waits until there is something to do
      response.setHeader('lambda-runtime-aws-request-id', String(answers.length));
      response.end(JSON.stringify({ queryStringParameters: { prompt: PROMPT } }));
      return;
    }
    const answer = streamed(new Response(request as unknown as BodyInit));
    answers.push(answer);
    void answer.then(() => {
      response.writeHead(202).end();
      if (answers.length === ASKED) done();
    });
  });
  const port = await freePort();
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve));
  const env = { ...process.env, AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${port}` };
  const client = join(toolsFolder, 'lambda-client.mjs');
  const started = start(NODE, [client, join(here, 'lambda/index.js')], { cwd: here, env }, false);
  try {
    await Promise.race([all, started.ended]);
    return (await Promise.all(answers)).map(({ text, pieces }) => {
      const [head, body] = text.split('\0'.repeat(8));
      equal(JSON.parse(head!).statusCode, 200, 'its status');
      return { text: body!, pieces };
    });
  } finally {
    await started.stop();
    server.close();
    server.closeAllConnections();
  }
}

/** What Next.js does with a route handler on Node, without Next.js. */
const ROUTE_SERVER = `import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { GET } from './vercel/route.js';
createServer(async (request, response) => {
  const left = new AbortController();
  response.on('close', () => left.abort());
  const answer = await GET(new Request('http://localhost' + request.url, { signal: left.signal }));
  response.writeHead(answer.status, Object.fromEntries(answer.headers));
  await pipeline(Readable.fromWeb(answer.body), response).catch(() => {});
}).listen(process.env.PORT);
`;

/** As production has it: nothing may be compiled, neither texts nor bytes. The model comes from a server. */
async function edge(here: string, edgeRuntime: string): Promise<Streamed> {
  await esbuild({
    stdin: {
      contents: `import { GET } from './edge/route.js';
globalThis.ask = async url => {
  const reader = (await GET(new Request(url))).body.getReader();
  const all = { text: '', pieces: 0 };
  const decoder = new TextDecoder();
  for (let part = await reader.read(); !part.done; part = await reader.read(), all.pieces++) {
    all.text += decoder.decode(part.value, { stream: true });
  }
  return JSON.stringify(all);
};`,
      resolveDir: here,
    },
    outfile: join(here, 'edge-bundle.js'),
    format: 'iife',
    conditions: ['edge-light', 'worker', 'browser'],
    plugins: [handedIn],
  });
  writeFileSync(
    join(here, 'edge-host.js'),
    `import { readFileSync } from 'node:fs';
import { EdgeRuntime } from '${pathToFileURL(edgeRuntime).href}';
const simd = await WebAssembly.compile(readFileSync('../node_modules/cria/dist/wasm/simd.wasm'));
const runtime = new EdgeRuntime({
  codeGeneration: { strings: false, wasm: false },
  extend: context => Object.assign(context, { HANDED_IN: { simd } }),
});
runtime.evaluate(readFileSync('edge-bundle.js', 'utf8'));
console.log(await runtime.context.ask(process.argv[2]));
`,
  );
  const server = new PageServer({ '/': here });
  try {
    const host = start(NODE, ['edge-host.js', `${await server.listen()}/`], { cwd: here }, false);
    return JSON.parse(await host.ended) as Streamed;
  } finally {
    server.close();
  }
}

/** An example's page in a frame: its text when it has been still for a second, and how often it changed. */
const WATCH = `async function watched(page) {
  const frame = document.createElement('iframe');
  frame.src = page;
  document.body.append(frame);
  await new Promise(resolve => (frame.onload = resolve));
  const text = frame.contentDocument.querySelector('#text');
  const all = { text: '', pieces: 0 };
  for (let still = 0; still < 10 || all.pieces < 2; still++) {
    await new Promise(resolve => setTimeout(resolve, 100));
    if (text.textContent !== all.text) still = 0;
    all.text = text.textContent;
    all.pieces = text.childNodes.length;
  }
  return all;
}`;

async function inPage(browser: Browser, here: string, page: string): Promise<Streamed> {
  cpSync(join(here, 'model.gguf'), join(here, 'browser', 'model.gguf'));
  writeFileSync(join(here, 'watch.html'), pageOf(`watched('/browser/${page}')`, { imports: WATCH }));
  const server = new PageServer({ '/dist/': join(here, '../node_modules/cria/dist'), '/': here });
  try {
    const url = `${await server.listen()}/watch.html`;
    return (await askBrowser(browser, server, url, here)).value as Streamed;
  } finally {
    server.close();
  }
}
