// Runs every test file in a process of its own, two at a time, and adds up what they report.
//
//     npm test [-- NAME...]       files whose names contain one of the given words; without words, all
//     npm run test:full           the long forms too
//     npm run test:runtimes       the numeric tests on other versions of Node (installs them); then test/runtimes/main.ts

import { execFileSync, spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const dist = dirname(dirname(fileURLToPath(import.meta.url)));
const root = dirname(dist);
const AT_ONCE = 2;
/** A file that takes longer hangs. Milliseconds. */
const LIMIT = 15 * 60_000;
/** Tests whose numbers must be the same on every engine, and that run the builds which only some engines have. */
const NUMERIC = [
  'builds',
  'data',
  'debug-build',
  'model',
  'ops',
  'ranks',
  'red-zones',
  'sampler',
  'snapshot',
  'stories',
  'synth',
  'tokenizer-train',
  'train-loop',
  'train-model',
  'train-ops',
  'wasi',
];

/** Those of them that hold whole models, texts and files to golden hashes. */
const PINNED = ['builds', 'data', 'snapshot', 'synth', 'train-loop', 'wasi'];

const { values, positionals: words } = parseArgs({
  options: { full: { type: 'boolean' }, runtimes: { type: 'boolean' } },
  allowPositionals: true,
});
const env = {
  ...process.env,
  FORCE_COLOR: '0',
  ...(values.full && { CRIA_FULL: '1' }),
  ...(values.runtimes && { CRIA_ENGINES: '1' }),
};

interface Job {
  node: string;
  /** The name without `.test.ts`. */
  name: string;
}

interface Result {
  passed: number;
  failed: number;
  skipped: number;
}

function run({ node, name }: Job): Promise<Result> {
  const started = performance.now();
  const child = spawn(node, [join(dist, 'test', `${name}.test.js`)], { cwd: root, env, timeout: LIMIT });
  let output = '';
  child.stdout.on('data', text => (output += text));
  child.stderr.on('data', text => (output += text));
  return new Promise(resolve => {
    child.on('close', (code, signal) => {
      const count = (label: string) =>
        Number(new RegExp(`^\\s*${label}:\\s+(\\d+)$`, 'm').exec(output)?.[1] ?? 0);
      const total = count('Total');
      const passed = count('Passed');
      const skipped = output.split('\n').filter(line => line.startsWith('skipped: '));
      // a file that ends badly, or that ran nothing and skipped nothing, has failed even if no test says so
      const failed = Math.max(total - passed, code === 0 && total + skipped.length > 0 ? 0 : 1);
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      const engine = node === process.execPath ? '' : ` on ${basename(dirname(dirname(node)))}`;
      const end = signal ? ` ${signal}` : '';
      process.stdout.write(`${failed > 0 ? 'FAIL' : 'ok  '} ${name}${engine} (${seconds} s)${end}\n`);
      if (failed > 0 || output.includes('figures:')) process.stdout.write(`${output.trimEnd()}\n\n`);
      else for (const line of skipped) process.stdout.write(`     ${line}\n`);
      resolve({ passed, failed, skipped: skipped.length });
    });
  });
}

/**
 * Jobs on other versions of Node, from a package of their own: the project's node_modules stays small. Node 22 and 24 differ
 * little, so that the short form runs on the one what pins whole models, and on the other everything.
 */
function onOtherNodes(names: string[]): Job[] {
  const folder = join(root, 'test', 'runtimes');
  execFileSync('npm', ['ci', '--ignore-scripts', '--prefix', folder], { stdio: 'inherit' });
  const pinned = values.full ? names : names.filter(name => PINNED.includes(name));
  return Object.entries({ node24: names, node22: pinned }).flatMap(([version, names]) =>
    names.map(name => ({ node: join(folder, 'node_modules', version, 'bin', 'node'), name })),
  );
}

const names = readdirSync(join(root, 'test'))
  .filter(file => file.endsWith('.test.ts'))
  .map(file => file.replace('.test.ts', ''))
  .filter(name => words.length === 0 || words.some(word => name.includes(word)))
  .filter(name => !values.runtimes || NUMERIC.includes(name));
const waiting = values.runtimes ? onOtherNodes(names) : names.map(name => ({ node: process.execPath, name }));
const results: Result[] = [];
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    for (let job = waiting.shift(); job; job = waiting.shift()) results.push(await run(job));
  }),
);
const sum = (of: (result: Result) => number) => results.reduce((total, result) => total + of(result), 0);
const failed = sum(r => r.failed) + (names.length === 0 ? 1 : 0);
const skipped = sum(r => r.skipped);
process.stdout.write(
  `${sum(r => r.passed)} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}\n`,
);
process.exitCode = failed > 0 ? 1 : 0;
