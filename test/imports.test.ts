// Dependencies point one way (CONTRIBUTING.md). This reads every import and checks it.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { projectRoot } from './support/shared.ts';

interface Import {
  from: string;
  to: string;
  typeOnly: boolean;
}

function sources(folder: string): string[] {
  return readdirSync(join(projectRoot, folder), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts'))
    .map(name => join(folder, name));
}

/** Imports of a file; local ones as paths from the project's root. */
function importsOf(file: string): Import[] {
  const text = readFileSync(join(projectRoot, file), 'utf8');
  const pattern =
    /^(?:import|export)\s+(type\s+)?(?:[\w*{][^'";]*?\sfrom\s+)?['"]([^'"]+)['"]|\bimport\(['"]([^'"]+)['"]\)/gm;
  return Array.from(text.matchAll(pattern), ([, type, by, dynamic]) => {
    const name = (by ?? dynamic)!;
    const to = name.startsWith('.') ? relative(projectRoot, resolve(projectRoot, dirname(file), name)) : name;
    return { from: file, to, typeOnly: type !== undefined };
  });
}

const host = sources('host');
const imports = host.flatMap(importsOf);
const under = (path: string, folder: string) => path.startsWith(`${folder}/`);
const show = ({ from, to }: Import) => `${from} imports ${to}`;

/** Asserts that no import matches; a pattern that looks at nothing is an error too. */
function none(rule: (i: Import) => boolean, looksAt: (i: Import) => boolean): void {
  assert.ok(imports.some(looksAt), 'the rule looks at no import at all');
  assert.equal(imports.filter(i => looksAt(i) && rule(i)).map(show), []);
}

test('the reader of imports sees them', () => {
  assert.ok(imports.length > 50);
  assert.ok(imports.some(i => i.from === 'host/llama.ts' && i.to === 'host/backend.ts' && i.typeOnly));
});

test('only host/runtime and host/cli touch node:, Deno or Bun', () => {
  none(
    i => !under(i.from, 'host/runtime') && !under(i.from, 'host/cli'),
    i => /^(node|bun|jsr|npm):/.test(i.to),
  );
  for (const file of host.filter(f => !under(f, 'host/runtime') && !under(f, 'host/cli'))) {
    const text = readFileSync(join(projectRoot, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
    assert.not.match(text, /\b(process|Buffer|Deno|Bun|__dirname|require)\b\s*[.(]/, file);
  }
});

/** Everything that a file loads, types aside. */
function reach(file: string): Set<string> {
  const seen = new Set([file]);
  for (const from of seen) {
    for (const i of imports) if (i.from === from && !i.typeOnly) seen.add(i.to);
  }
  return seen;
}

test('where nothing may be read or started, nothing is loaded that could', () => {
  const entries = ['core', 'workerd', 'edge-light'].map(name => `host/entries/${name}.ts`);
  assert.ok(reach('host/entries/browser.ts').has('host/workers/remote-runner.ts'));
  for (const entry of entries) {
    const loaded = [...reach(entry)];
    assert.ok(loaded.includes('host/llama.ts'), entry);
    assert.equal(
      loaded.filter(name => /^(node:|host\/(workers|ranks\/exchange|kernels|inlined|gpu|cuda))/.test(name)),
      [],
      entry,
    );
  }
  assert.not.ok(reach('host/entries/core.ts').has('host/sources/urls.ts'));
});

test('the core has no dependencies', () => {
  const { dependencies = {} } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8'));
  assert.equal(dependencies, {});
  // training may read Parquet by a package that is there or not
  const optional = (i: Import) => i.from === 'host/train/data/parquet.ts' && i.to === 'hyparquet';
  const built = (i: Import) => under(i.from, 'host/runtime') && i.to.startsWith('wasm/');
  none(
    i => !/^(host\/|node:)/.test(i.to) && !built(i) && !optional(i),
    () => true,
  );
});

test('the model knows backends by their contract alone', () => {
  none(
    i => /^host\/(reference|wasm|cuda)/.test(i.to),
    i => ['host/llama.ts', 'host/generate.ts', 'host/prefill.ts', 'host/sampler.ts'].includes(i.from),
  );
});

test('no backend imports another, or anything above it', () => {
  const below = [
    'host/backend.ts',
    'host/composed.ts',
    'host/dtype.ts',
    'host/errors.ts',
    'host/half.ts',
    'host/quantize/decode.ts',
    'host/quantize/floats.ts',
  ];
  const backend = (path: string) => /^host\/(reference|wasm|cuda)[\w-]*\.ts$/.exec(path)?.[1];
  none(
    i => !below.includes(i.to) && backend(i.from) !== backend(i.to),
    i => backend(i.from) !== undefined,
  );
});

test('inference never imports training', () => {
  const entries = ['entries/train', 'runtime/node-train-worker', 'runtime/browser-train-worker'];
  const trains = entries.map(name => `host/${name}.ts`);
  none(
    i => !under(i.from, 'host/train') && !under(i.from, 'host/cli') && !trains.includes(i.from),
    i => under(i.to, 'host/train'),
  );
});

const PUBLIC = ['host/index.ts', 'host/train/index.ts'];

test('the command line stands on the public interface', () => {
  none(
    i => !under(i.to, 'host/cli') && !i.to.startsWith('node:') && !PUBLIC.includes(i.to),
    i => under(i.from, 'host/cli'),
  );
  none(
    i => under(i.to, 'host/cli'),
    i => !under(i.from, 'host/cli'),
  );
});

test('readers of formats know nothing of models or backends', () => {
  none(
    i => /^host\/(llama|backend|wasm|reference|generate|model)\.ts$/.test(i.to),
    i => ['host/gguf.ts', 'host/llama2c.ts', 'host/tokenizer.ts', 'host/vocabulary.ts'].includes(i.from),
  );
});

test('no cycles', () => {
  const next = new Map<string, string[]>();
  for (const { from, to, typeOnly } of imports) {
    if (!typeOnly && to.startsWith('host/')) next.set(from, [...(next.get(from) ?? []), to]);
  }
  const done = new Set<string>();
  const visit = (file: string, path: string[]): void => {
    assert.not.ok(path.includes(file), [...path, file].join(' → '));
    if (done.has(file)) return;
    for (const to of next.get(file) ?? []) visit(to, [...path, file]);
    done.add(file);
  };
  for (const file of host) visit(file, []);
});

test.run();
