// The page of examples/page, worked as a person does: opened by its address, written with, stopped, closed and opened again
// from what is kept. It must never freeze.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { equal } from '../conformance/check.ts';
import { tinyModel } from '../support/tiny-model.ts';
import { askBrowser, type Browser } from './browsers.ts';
import { PageServer, pageOf } from './page-server.ts';

interface Seen {
  isolated: boolean;
  /** The texts of two runs with the same seed. */
  texts: [string, string];
  stopped: string;
  kept: string[];
  /** Elements in the text that the page did not make itself. */
  foreign: number;
  problem: string;
  /** Milliseconds of the longest task of the page's thread while it loaded and while it generated; 0 if all were below 50. */
  longest: { loading: number; generating: number };
}

/** A vocabulary of the size that models have: reading it is the longest that the page's thread does. */
const MODEL = { dtype: 'Q8_0', dim: 128, vocabSize: 32_000, contextLength: 1024, seed: 2 } as const;

const USE = `async function used() {
  const frame = document.createElement('iframe');
  frame.src = '/examples/page/';
  document.body.append(frame);
  await new Promise(resolve => (frame.onload = resolve));
  const page = frame.contentDocument;
  const $ = id => page.getElementById(id);
  const tasks = [];
  new PerformanceObserver(list => tasks.push(...list.getEntries())).observe({ entryTypes: ['longtask'] });
  const longest = async () => {
    await new Promise(resolve => setTimeout(resolve, 100));
    return Math.max(0, ...tasks.splice(0).map(({ duration }) => duration));
  };
  const until = async (what, test) => {
    for (let i = 0; !test(); i++) {
      if (i > 3000) throw new Error('no ' + what + ': ' + $('status').textContent + $('problem').textContent);
      await new Promise(resolve => setTimeout(resolve, 10));
    }
  };
  const done = () => / tokens/.test($('status').textContent);
  const write = async () => {
    $('write').click();
    await until('text', done);
    return $('text').textContent;
  };

  await until('chooser', () => $('kept').hidden);
  await longest();
  $('url').value = location.origin + '/page-model.gguf';
  $('address').requestSubmit();
  await until('model', () => !$('sheet').hidden);
  const loading = await longest();
  $('length').value = 500;
  $('seed').value = 7;
  const texts = [await write(), await write()];
  const generating = await longest();
  const foreign = $('text').querySelectorAll(':not(span)').length;

  $('length').value = 500;
  $('write').click();
  await until('first piece', () => $('text').childNodes.length > 1 && $('text').lastChild.textContent !== '');
  page.dispatchEvent(new frame.contentWindow.KeyboardEvent('keydown', { key: 'Escape' }));
  await until('stop', () => /Stopped/.test($('status').textContent));
  const stopped = $('status').textContent;
  $('change').click();
  await until('list', () => !$('kept').hidden);
  const kept = [...page.querySelectorAll('#models button:first-child')].map(button => button.textContent);
  page.querySelector('#models button').click();
  await until('model again', () => !$('sheet').hidden);
  $('change').click();
  $('url').value = location.origin + '/nothing.gguf';
  $('address').requestSubmit();
  await until('problem', () => !$('problem').hidden);
  const problem = $('problem').textContent;
  return { isolated: crossOriginIsolated, texts, stopped, kept, foreign, problem, longest: { loading, generating } };
}`;

/** @param folder with the examples in `examples/` and the package in `node_modules/` */
export async function pageExample(folder: string, browser: Browser, isolated: boolean): Promise<string> {
  writeFileSync(
    join(folder, 'page-model.gguf'),
    tinyModel({
      ...MODEL,
      edit: metadata => {
        // what a page that took text for HTML would run
        const tokens = metadata.get('tokenizer.ggml.tokens') as unknown as { value: string[] };
        tokens.value = tokens.value.map(piece =>
          piece.replace('<unused', '<img src=x onerror=alert(1) class=unused'),
        );
        const types = metadata.get('tokenizer.ggml.token_type') as unknown as { value: number[] };
        types.value = types.value.map(type => (type === 5 ? 1 : type));
      },
    }),
  );
  writeFileSync(join(folder, 'use.html'), pageOf('used()', { imports: USE }));
  const server = new PageServer({ '/dist/': join(folder, 'node_modules/cria/dist'), '/': folder }, isolated);
  try {
    const url = `${await server.listen()}/use.html`;
    const seen = (await askBrowser(browser, server, url, folder)).value as Seen;
    equal(seen.isolated, isolated, 'isolated');
    equal(seen.texts[1], seen.texts[0], 'the text of the same seed');
    if (!seen.texts[0].includes('<img src=x')) throw new Error('no text that looks like HTML');
    equal([seen.foreign, seen.kept], [0, ['page-model.gguf']], 'foreign elements, models kept');
    if (!/nothing\.gguf.*404/.test(seen.problem)) throw new Error(`the problem told is ${seen.problem}`);
    const { loading, generating } = seen.longest;
    const told = (ms: number) => (ms === 0 ? 'below 50 ms' : `${ms.toFixed(0)} ms`);
    return `longest task while it loads ${told(loading)}, while it generates ${told(generating)}`;
  } finally {
    server.close();
  }
}
