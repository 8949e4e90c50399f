// The example of a chat whose cache lies in R2: three turns, each in a Worker that has just started.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import type { ChatMessage } from '../../host/index.ts';
import { esbuild, installed } from './bundle.ts';

/** The part of miniflare that is used here. */
interface Miniflare {
  ready: Promise<URL>;
  dispatchFetch(url: string, init: object): Promise<Response>;
  getR2Bucket(name: string): Promise<{ put(key: string, bytes: ArrayBuffer): Promise<unknown> }>;
  dispose(): Promise<void>;
}
type MiniflareModule = { Miniflare: new (options: object) => Miniflare };

const TURNS = 3;

/**
 * @param here the folder of the examples, with a model
 * @returns how many tokens of each turn had been computed
 */
export async function chatOnTheEdge(here: string): Promise<string> {
  const { Miniflare } = (await import(
    pathToFileURL(installed('miniflare/dist/src/index.js')).href
  )) as MiniflareModule;
  const out = join(here, 'chat-out');
  await esbuild({
    entryPoints: [join(here, 'cloudflare/chat.js')],
    outdir: out,
    conditions: ['workerd', 'worker', 'browser'],
    loader: { '.wasm': 'copy' },
    assetNames: '[name]',
  });
  const modules = ['chat.js', 'simd.wasm', 'relaxed.wasm'].map(name => ({
    type: name.endsWith('.js') ? 'ESModule' : 'CompiledWasm',
    path: join(out, name),
  }));

  const messages: ChatMessage[] = [];
  const said: string[] = [];
  for (let turn = 0; turn < TURNS; turn++) {
    let log = '';
    const worker = new Miniflare({
      modules,
      modulesRoot: out,
      compatibilityDate: '2026-01-01',
      r2Buckets: ['BUCKET'],
      r2Persist: join(here, 'r2'),
      handleRuntimeStdio(stdout: Readable, stderr: Readable) {
        for (const stream of [stdout, stderr]) stream.on('data', text => (log += text));
      },
    });
    try {
      if (turn === 0) {
        const bucket = await worker.getR2Bucket('BUCKET');
        await bucket.put('model.gguf', Uint8Array.from(readFileSync(join(here, 'model.gguf'))).buffer);
      }
      messages.push({ role: 'user', content: `and then, turn ${turn}` });
      const body = JSON.stringify({ id: 'secret', messages });
      const response = await worker.dispatchFetch('http://chat/', { method: 'POST', body });
      const content = await response.text();
      if (!response.ok) throw new Error(content);
      messages.push({ role: 'assistant', content });
      for (let i = 0; !/had been computed/.test(log) && i < 500; i++) {
        await new Promise(resolve => setTimeout(resolve, 10));
      }
    } finally {
      await worker.dispose();
    }
    const [, cached, all] = /(\d+) of (\d+) tokens had been computed/.exec(log) ?? [];
    if (cached === undefined) throw new Error(`turn ${turn}: ${log}`);
    said.push(`${cached} of ${all}`);
    const least = turn === 0 ? 0 : Number(said[turn - 1]!.split(' of ')[1]);
    // all of the turn before, but for its answer, whose words may come back as other tokens
    if (Number(cached) < least) throw new Error(`${said.join(', ')}, expected at least ${least}`);
  }
  return `${said.join(', ')} tokens had been computed`;
}
