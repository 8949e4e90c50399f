// Runs every test file in a process of its own, two at a time, and adds up what they report.
//
//     npm test [-- NAME...]       files whose names contain one of the given words; without words, all
//     npm run test:full           the long forms too

import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const dist = dirname(dirname(fileURLToPath(import.meta.url)));
const root = dirname(dist);
const AT_ONCE = 2;
/** A file that takes longer hangs. Milliseconds. */
const LIMIT = 15 * 60_000;

const words = process.argv.slice(2).filter(word => word !== '--full');
const env = {
  ...process.env,
  FORCE_COLOR: '0',
  ...(process.argv.includes('--full') ? { CRIA_FULL: '1' } : {}),
};
const files = readdirSync(join(root, 'test'))
  .filter(
    name => name.endsWith('.test.ts') && (words.length === 0 || words.some(word => name.includes(word))),
  )
  .map(name => name.replace(/\.ts$/, '.js'));

interface Result {
  passed: number;
  failed: number;
  skipped: string[];
}

function run(file: string): Promise<Result> {
  const started = performance.now();
  const child = spawn(process.execPath, [join(dist, 'test', file)], { cwd: root, env, timeout: LIMIT });
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
      process.stdout.write(
        `${failed > 0 ? 'FAIL' : 'ok  '} ${file} (${seconds} s)${signal ? ` ${signal}` : ''}\n`,
      );
      if (failed > 0 || output.includes('figures:')) process.stdout.write(`${output.trimEnd()}\n\n`);
      else for (const line of skipped) process.stdout.write(`     ${line}\n`);
      resolve({ passed, failed, skipped });
    });
  });
}

const waiting = [...files];
const results: Result[] = [];
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    for (let file = waiting.shift(); file; file = waiting.shift()) results.push(await run(file));
  }),
);
const sum = (of: (result: Result) => number) => results.reduce((total, result) => total + of(result), 0);
const failed = sum(r => r.failed) + (files.length === 0 ? 1 : 0);
const skipped = sum(r => r.skipped.length);
process.stdout.write(
  `${sum(r => r.passed)} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}\n`,
);
process.exitCode = failed > 0 ? 1 : 0;
