// The places where the conformance file runs: how each is started, given the installed package, and asked for a value.

import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { projectRoot } from '../support/shared.ts';
import { type Answer, answerOf, LIMIT } from './answer.ts';
import { askBrowser, BROWSERS, type Browser } from './browsers.ts';
import { esbuild, handedIn, installed } from './bundle.ts';
import { PageServer, pageOf } from './page-server.ts';
import { start } from './processes.ts';

/** What is asked of a host: everything, or the first token after its start. */
export type Question = 'conformance' | 'firstToken';

export interface Host {
  name: string;
  /** Why it cannot be used here. */
  missing?: string | undefined;
  version: string;
  ask(question: Question): Promise<Answer>;
}

/** What the questions are asked of; what a first token does not need is loaded later. */
const EDGE_PACKAGE = `import * as main from 'cria'; const cria = { ...main, sources: () => import('cria/sources') };`;
/** Where modules may be made from bytes there is training too. */
const PACKAGE = `${EDGE_PACKAGE} cria.train = () => import('cria/train');`;

const RUN = pathToFileURL(join(projectRoot, 'dist', 'test', 'conformance', 'run.js')).href;

function versionOf(program: string, from: [string, string[]] = [program, ['--version']]): string {
  const [command, args] = from;
  try {
    const said = execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    // behind a tab, dpkg-query's is: names of packages have digits too
    const told = said.split('\t').at(-1)!;
    return /(?<![\d.-])\d+([.-]\d+){2,}/.exec(told)?.[0] ?? told.trim();
  } catch {
    return '';
  }
}

/** Node, Deno and Bun: a program that prints. */
function commandHost(name: string, folder: string, command: string, args: string[] = []): Host {
  const program = join(folder, 'command.js');
  writeFileSync(
    program,
    `${PACKAGE}
import * as questions from '${RUN}';
console.log(JSON.stringify(await questions[process.argv[2]](cria)));
`,
  );
  return {
    name,
    missing: existsSync(command) ? undefined : 'not installed',
    version: versionOf(command),
    ask(question) {
      const from = performance.now();
      const started = start(
        command,
        [...args, program, question],
        { cwd: folder },
        question === 'conformance',
      );
      return answerOf(
        started,
        from,
        started.ended.then(output => JSON.parse(output) as unknown),
      );
    },
  };
}

/** One that nobody listens at now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise(resolve => server.close(resolve));
  return port;
}

/** Tries until the server is there. */
async function fetchOnceUp(url: string): Promise<unknown> {
  for (let tries = 0; ; tries++) {
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(LIMIT) });
      const text = await response.text();
      if (!response.ok) throw new SyntaxError(text);
      return JSON.parse(text) as unknown;
    } catch (error) {
      if (error instanceof SyntaxError || tries > 2000) throw error;
      await new Promise(resolve => setTimeout(resolve, 5));
    }
  }
}

/** Files of `folder` that make a Worker, the first of them its program; asks what it answers at `path`. */
export async function askWorkerd(
  folder: string,
  files: string[],
  path: string,
  watched = false,
): Promise<Answer> {
  const modules = files.map(file => {
    const kind = file.endsWith('.wasm') ? 'wasm' : 'esModule';
    return `(name = "${file}", ${kind} = embed "${file}")`;
  });
  writeFileSync(
    join(folder, 'workerd.capnp'),
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (modules = [${modules.join(', ')}], compatibilityDate = "2026-01-01"))],
  sockets = [(name = "http", service = "main")],
);
`,
  );
  const port = await freePort();
  const from = performance.now();
  const started = start(
    installed('@cloudflare/workerd-linux-64/bin/workerd'),
    ['serve', 'workerd.capnp', `--socket-addr=http=127.0.0.1:${port}`],
    { cwd: folder },
    watched,
  );
  return answerOf(started, from, fetchOnceUp(`http://127.0.0.1:${port}/${path}`));
}

async function workerd(folder: string): Promise<Host> {
  const out = join(folder, 'workerd');
  const worker = join(folder, 'worker.js');
  writeFileSync(
    worker,
    `${EDGE_PACKAGE}
import * as questions from '${join(projectRoot, 'dist/test/conformance/run.js')}';
export default {
  async fetch(request) {
    try {
      return Response.json(await questions[new URL(request.url).pathname.slice(1)](cria));
    } catch (error) {
      return new Response(error.stack, { status: 500 });
    }
  },
};
`,
  );
  await esbuild({
    entryPoints: [worker],
    outdir: out,
    conditions: ['workerd', 'worker', 'browser'],
    loader: { '.wasm': 'copy' },
    assetNames: '[name]',
  });
  const command = installed('@cloudflare/workerd-linux-64/bin/workerd');
  return {
    name: 'workerd',
    missing: existsSync(command) ? undefined : 'not installed',
    version: versionOf(command),
    ask: question =>
      askWorkerd(out, ['worker.js', 'simd.wasm', 'relaxed.wasm'], question, question === 'conformance'),
  };
}

/** Vercel's edge-runtime as production has it: nothing may be compiled, neither texts nor bytes. */
async function edgeRuntime(folder: string): Promise<Host> {
  const entry = join(folder, 'edge-entry.js');
  writeFileSync(
    entry,
    `${EDGE_PACKAGE}
import * as questions from '${join(projectRoot, 'dist/test/conformance/run.js')}';
globalThis.ask = async question => {
  const refused = await WebAssembly.compile(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])).then(() => false, () => true);
  if (!refused) throw new Error('this edge runtime compiles bytes');
  return JSON.stringify(await questions[question](cria));
};
`,
  );
  const bundle = join(folder, 'edge-bundle.js');
  await esbuild({
    entryPoints: [entry],
    outfile: bundle,
    format: 'iife',
    conditions: ['edge-light', 'worker', 'browser'],
    plugins: [handedIn],
  });
  const program = join(folder, 'edge.js');
  writeFileSync(
    program,
    `import { readFileSync } from 'node:fs';
import { EdgeRuntime } from '${pathToFileURL(installed('edge-runtime/dist/index.js')).href}';
const simd = await WebAssembly.compile(readFileSync('node_modules/cria/dist/wasm/simd.wasm'));
const runtime = new EdgeRuntime({
  codeGeneration: { strings: false, wasm: false },
  extend: context => Object.assign(context, { HANDED_IN: { simd } }),
});
runtime.evaluate(readFileSync('edge-bundle.js', 'utf8'));
console.log(await runtime.context.ask(process.argv[2]));
`,
  );
  const host = commandHost('edge-runtime', folder, installed('node24/bin/node'));
  const manifest = installed('edge-runtime/package.json');
  return {
    ...host,
    missing: host.missing ?? (existsSync(manifest) ? undefined : 'not installed'),
    version: existsSync(manifest)
      ? versionOf('', [process.execPath, ['-p', `require('${manifest}').version`]])
      : '',
    ask(question) {
      const from = performance.now();
      const started = start(
        installed('node24/bin/node'),
        [program, question],
        { cwd: folder },
        question === 'conformance',
      );
      return answerOf(
        started,
        from,
        started.ended.then(output => JSON.parse(output) as unknown),
      );
    },
  };
}

function browserHost(browser: Browser, folder: string): Host {
  const page = pageOf('questions[location.search.slice(1)](cria)', {
    imports: `${PACKAGE} import * as questions from '/dist/test/conformance/run.js';`,
    importMap: {
      cria: '/node_modules/cria/dist/lib/browser.js',
      'cria/sources': '/node_modules/cria/dist/lib/sources-web.js',
      'cria/train': '/node_modules/cria/dist/lib/train-web.js',
    },
  });
  writeFileSync(join(folder, 'page.html'), page);
  return {
    name: browser.name,
    missing: browser.command === undefined ? 'not installed' : undefined,
    version: browser.command === undefined ? '' : versionOf(browser.command, browser.versionFrom),
    async ask(question) {
      const server = new PageServer({ '/dist/': join(projectRoot, 'dist'), '/': folder });
      try {
        const origin = await server.listen();
        return await askBrowser(
          browser,
          server,
          `${origin}/page.html?${question}`,
          folder,
          question === 'conformance',
        );
      } finally {
        server.close();
      }
    },
  };
}

/** All hosts, for a folder in which the package is installed. */
export async function hostsIn(folder: string): Promise<Host[]> {
  const node = (name: string) => installed(`${name}/bin/node`);
  return [
    commandHost('Node 20', folder, node('node20')),
    commandHost('Node 22', folder, node('node22')),
    commandHost('Node 24', folder, node('node24')),
    commandHost('Node 26', folder, node('node26')),
    commandHost('Deno', folder, installed('@deno/linux-x64-glibc/deno'), [
      'run',
      '--allow-all',
      '--node-modules-dir=manual',
    ]),
    commandHost('Bun', folder, installed('@oven/bun-linux-x64/bin/bun')),
    await workerd(folder),
    await edgeRuntime(folder),
    ...BROWSERS.map(browser => browserHost(browser, folder)),
  ];
}
