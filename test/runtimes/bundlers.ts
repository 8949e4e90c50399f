// A program of ten lines through each bundler, with the installed package; what comes out must run, and draw the same
// token. Where a bundler keeps the workers, the threads must have survived; elsewhere the calling thread computes.

import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { open } from '../../host/index.ts';
import { output } from '../support/packed.ts';
import type { Steps } from '../support/steps.ts';
import { tinyModel } from '../support/tiny-model.ts';
import { askBrowser, type Browser } from './browsers.ts';
import { esbuild, installed } from './bundle.ts';
import { askWorkerd } from './hosts.ts';
import { PageServer, pageOf } from './page-server.ts';

interface Answer {
  id: number;
  threads: number;
}

/** The parts of the bundlers' interfaces that are used here. */
interface Vite {
  build(options: object): Promise<unknown>;
}
interface Webpack {
  default(
    options: object,
    done: (error: Error | null, stats?: { hasErrors(): boolean; toString(): string }) => void,
  ): void;
}

const MODEL = tinyModel();

const PROGRAM = `import { open } from 'cria';
import { base64 } from './model.js';

export async function answer() {
  const model = await open(Uint8Array.from(atob(base64), c => c.charCodeAt(0)));
  const { value } = await model.tokens('the', { temperature: 0, maxTokens: 1 }).next();
  await model.close();
  return { id: value.id, threads: model.info.threads };
}
`;

const MAIN = `import { answer } from './program.js';

globalThis.answer = answer();
globalThis.answer.then(value => console.log(JSON.stringify(value)));
`;

const WORKER = `import { answer } from './program.js';

export default { fetch: async () => Response.json(await answer()) };
`;

const load = async <T>(path: string): Promise<T> => (await import(pathToFileURL(installed(path)).href)) as T;

/** @param folder where the package is installed */
export async function bundlers(folder: string, browser: Browser | undefined, steps: Steps): Promise<void> {
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
  write('model.js', `export const base64 = '${Buffer.from(MODEL).toString('base64')}';\n`);
  write('program.js', PROGRAM);
  write('main.js', MAIN);
  write('bundled-worker.js', WORKER);
  const main = join(folder, 'main.js');
  const page = pageOf('globalThis.answer', { imports: `import './main.js';` });

  const model = await open(MODEL, { threads: 0 });
  const { value } = await model.tokens('the', { temperature: 0, maxTokens: 1 }).next();
  const { id } = value as { id: number };
  await model.close();

  const check = (name: string, threads: boolean, run: (out: string) => Promise<unknown>) =>
    steps.run(`bundled by ${name}`, async () => {
      const out = join(folder, `out-${name.replace(/\W+/g, '-')}`);
      mkdirSync(out);
      const answer = (await run(out)) as Answer;
      if (answer.id !== id) throw new Error(`expected id ${id}, got ${answer.id}`);
      if (answer.threads > 0 !== threads) throw new Error(`${answer.threads} threads`);
      return threads ? 'in a thread' : 'in the calling thread';
    });

  const inPage = async (served: string): Promise<unknown> => {
    const server = new PageServer({ '/': served });
    try {
      return (await askBrowser(browser!, server, `${await server.listen()}/index.html`, folder)).value;
    } finally {
      server.close();
    }
  };

  if (browser) {
    await check('vite', true, async out => {
      const { build } = await load<Vite>('vite/dist/node/index.js');
      write('index.html', page);
      await build({
        ...{ root: folder, base: './', configFile: false, logLevel: 'error' },
        build: { outDir: out, emptyOutDir: false, target: 'esnext' },
      });
      return inPage(out);
    });

    await check('webpack', true, async out => {
      const { default: webpack } = await load<Webpack>('webpack/lib/index.js');
      const options = {
        mode: 'production',
        context: folder,
        entry: main,
        output: { path: out, filename: 'main.js' },
      };
      await new Promise<void>((resolve, reject) =>
        webpack(options, (error, stats) => {
          if (error || stats!.hasErrors()) reject(error ?? new Error(String(stats)));
          else resolve();
        }),
      );
      writeFileSync(join(out, 'index.html'), pageOf('globalThis.answer', { script: 'main.js' }));
      return inPage(out);
    });

    await check('esbuild', false, async out => {
      await esbuild({ entryPoints: [main], outfile: join(out, 'main.js') });
      writeFileSync(join(out, 'index.html'), page);
      return inPage(out);
    });
  } else
    for (const name of ['vite', 'webpack', 'esbuild'])
      steps.skip(`bundled by ${name}`, 'no browser to run it');

  await check('esbuild for Node', false, async out => {
    const outfile = join(out, 'main.mjs');
    await esbuild({ entryPoints: [main], outfile, platform: 'node' });
    return JSON.parse(output(process.execPath, [outfile], out));
  });

  const bun = installed('@oven/bun-linux-x64/bin/bun');
  if (existsSync(bun)) {
    await check('bun build', false, async out => {
      const outfile = join(out, 'main.js');
      output(bun, ['build', main, '--target=bun', `--outfile=${outfile}`], folder);
      return JSON.parse(output(bun, [outfile], out));
    });
  } else steps.skip('bundled by bun build', 'not installed');

  const wrangler = installed('wrangler/bin/wrangler.js');
  if (existsSync(wrangler)) {
    await check('wrangler', false, async out => {
      const args = ['deploy', 'bundled-worker.js', '--dry-run', `--outdir=${out}`, '--name=cria'];
      output(process.execPath, [wrangler, ...args, '--compatibility-date=2026-01-01'], folder, {
        WRANGLER_SEND_METRICS: 'false',
        HOME: folder,
      });
      const wasm = readdirSync(out).filter(name => name.endsWith('.wasm'));
      return (await askWorkerd(out, ['bundled-worker.js', ...wasm], '')).value;
    });
  } else steps.skip('bundled by wrangler', 'not installed');
}
