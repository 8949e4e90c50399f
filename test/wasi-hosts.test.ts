// The WASI command under real hosts, each in a process of its own: this Node always, the others where test/runtimes has
// them installed. The same bits, the same text, the same exit codes.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { open } from '../host/index.ts';
import { GOLDEN, GOLDEN_IDS } from './support/golden.ts';
import { projectRoot } from './support/shared.ts';
import { tinyModel } from './support/tiny-model.ts';

const runtimes = join(projectRoot, 'test', 'runtimes');
const installed = (path: string) => join(runtimes, 'node_modules', path);
const wasm = join(projectRoot, 'dist', 'wasm', 'cria.wasm');
const folder = mkdtempSync(join(tmpdir(), 'cria-wasi-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

interface Host {
  name: string;
  /** The program, and what must be there for it. */
  program: string;
  needs?: string;
  /** What comes before the command's arguments. */
  before: string[];
  /** Wasmtime inside Wizer takes no arguments, and ends with 1 for any exit code but 0. */
  onlyEnvironment?: boolean;
}

const underNode = [join(runtimes, 'wasi-node.mjs'), wasm, folder];
const node = (name: string): Host => {
  const program = installed(`${name}/bin/node`);
  return { name, program, before: ['--no-warnings', ...underNode] };
};
const deno = installed('@deno/linux-x64-glibc/deno');
const bun = installed('@oven/bun-linux-x64/bin/bun');
const HOSTS: Host[] = [
  {
    name: `node ${process.versions.node}`,
    program: process.execPath,
    before: ['--no-warnings', ...underNode],
  },
  ...['node20', 'node22', 'node24', 'node26'].map(node),
  { name: 'deno', program: deno, before: ['run', '--quiet', '--allow-all', ...underNode] },
  { name: 'bun', program: bun, before: underNode },
  { name: 'bun run', program: bun, before: ['run', wasm] },
  {
    name: 'wasmtime',
    program: installed('@bytecodealliance/wizer-linux-x64/wizer'),
    before:
      `-f _start --allow-wasi --inherit-env true --inherit-stdio true --dir . ${wasm} -o /dev/null`.split(
        ' ',
      ),
    onlyEnvironment: true,
  },
  {
    name: 'browser_wasi_shim',
    program: process.execPath,
    needs: installed('@bjorn3/browser_wasi_shim'),
    before: [join(runtimes, 'wasi-browser.mjs'), wasm, folder],
  },
];

interface Ended {
  code: number | null;
  stdout: Buffer;
  stderr: string;
  ms: number;
}

/** Runs the command under a host. Options go through the environment where there are no arguments. */
function run(host: Host, options: Record<string, string>): Ended {
  const args = Object.entries(options).flatMap(([name, value]) => {
    return name === 'model' || name === 'prompt'
      ? [value]
      : value === ''
        ? [`--${name}`]
        : [`--${name}`, value];
  });
  const env = { ...process.env };
  for (const [name, value] of Object.entries(options)) {
    if (host.onlyEnvironment) env[`CRIA_${name.toUpperCase().replaceAll('-', '_')}`] = value || '1';
  }
  const started = performance.now();
  const { status, stdout, stderr, error } = spawnSync(
    host.program,
    [...host.before, ...(host.onlyEnvironment ? [] : args)],
    { cwd: folder, env, input: '', maxBuffer: 2 ** 26 },
  );
  if (error) throw error;
  return { code: status, stdout, stderr: stderr.toString(), ms: performance.now() - started };
}

const F32_CACHE = GOLDEN.filter(({ cache = 'f32' }) => cache === 'f32');
const DTYPES = ['F32', 'Q8_0', 'Q4_0', 'Q4_K'] as const;
const PROMPT = 'the sand and the';
/** Seeds of the samples. */
const SEEDS = [1, 2, 3];

const expected = new Map<string, string>();
for (const dtype of DTYPES) {
  const file = tinyModel(F32_CACHE.find(({ options }) => options.dtype === dtype)!.options);
  writeFileSync(join(folder, `${dtype}.gguf`), file);
  const model = await open(file, { threads: 0 });
  for (const seed of SEEDS) {
    let text = '';
    for await (const piece of model.generate(PROMPT, { seed, maxTokens: 40 })) text += piece;
    expected.set(`${dtype} ${seed}`, text);
  }
  await model.close();
}
writeFileSync(join(folder, 'page.gguf'), '<html>404 not found</html>');

const figures: string[] = [];
for (const host of HOSTS) {
  const lacking = [host.program, host.needs ?? host.program].find(path => !existsSync(path));
  if (lacking !== undefined) {
    console.log(`skipped: the WASI command under ${host.name} (test/runtimes has not installed it)`);
    continue;
  }
  test(`${host.name}: logits, texts and exit codes`, () => {
    for (const { options, hash } of F32_CACHE.filter(({ options }) =>
      DTYPES.includes(options.dtype as never),
    )) {
      const model = `${options.dtype}.gguf`;
      const { code, stdout, stderr } = run(host, {
        model,
        prompt: GOLDEN_IDS.join(),
        ids: '',
        logits: '',
      });
      assert.is(code, 0, stderr);
      assert.is(createHash('sha256').update(stdout).digest('hex'), hash, model);
    }
    let fastest = Number.POSITIVE_INFINITY;
    for (const [sample, text] of expected) {
      const [dtype, seed] = sample.split(' ') as [string, string];
      const ended = run(host, { model: `${dtype}.gguf`, prompt: PROMPT, seed, 'max-tokens': '40' });
      assert.is(ended.stdout.toString(), text, sample);
      fastest = Math.min(fastest, ended.ms);
    }
    const bad = run(host, { model: 'page.gguf', prompt: PROMPT });
    assert.match(bad.stderr, 'cria: bad-magic: "page.gguf"');
    assert.is(bad.code, 1);
    const none = run(host, { model: 'none.gguf', prompt: PROMPT });
    assert.match(none.stderr, 'cria: file-not-found: "none.gguf"');
    const usage = run(host, { model: 'F32.gguf', prompt: PROMPT, 'top-k': 'many' });
    assert.is(usage.code, host.onlyEnvironment ? 1 : 2);
    figures.push(`${host.name.padEnd(18)} ${fastest.toFixed(0).padStart(5)} ms`);
  });
}

test('figures', () => {
  console.log(`figures: a process that says 40 tokens of a tiny model, at best\n${figures.join('\n')}`);
});

test.run();
