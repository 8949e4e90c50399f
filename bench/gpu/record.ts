// What the packed file runs where a GPU is: the tests of the plugin and its benchmarks, into one record, which is on the disk after every
// figure. Options: --tests A,B (by name, or none), --bench none, --out FILE (default record.json); after --, those of bench/gpu/main.ts.

import { spawn, spawnSync } from 'node:child_process';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { kernelsHash } from '../../gpu-plugin/hash.ts';
import { projectFolder } from '../paths.ts';
import type { Line } from './session.ts';

const { values, positionals } = parseArgs({
  options: {
    tests: { type: 'string', default: 'cuda-seam,ops,sampler,train-ops,train-model,pytorch' },
    bench: { type: 'string' },
    out: { type: 'string', default: 'record.json' },
  },
  allowPositionals: true,
});
const root = projectFolder();

interface TestResult {
  name: string;
  passed: number;
  of: number;
  ended: boolean;
  /** What it says that it did not run. */
  skipped: string[];
}

const { stdout: driver } = spawnSync(
  'nvidia-smi',
  ['--query-gpu=name,driver_version', '--format=csv,noheader'],
  { encoding: 'utf8' },
);
const record = {
  date: new Date().toISOString().slice(0, 10),
  driver: driver?.trim() ?? 'no nvidia-smi',
  kernelsSha256: kernelsHash(join(root, 'gpu-plugin', 'kernels')),
  tests: [] as TestResult[],
  bench: [] as Line[],
};

/** A record under its own name is whole. */
function save(): void {
  writeFileSync(`${values.out}.part`, `${JSON.stringify(record, undefined, 1)}\n`);
  renameSync(`${values.out}.part`, values.out);
}

/** Runs a program of dist; each line that it prints is printed, and given to `take`. @returns whether it ended well */
async function run(path: string, args: readonly string[], take: (line: string) => void): Promise<boolean> {
  const child = spawn(process.execPath, [join(root, 'dist', path), ...args], {
    cwd: root,
    env: { ...process.env, CRIA_GPU: '1', FORCE_COLOR: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<number | null>(resolve => child.on('close', resolve));
  child.stderr.pipe(process.stdout, { end: false });
  for await (const line of createInterface(child.stdout)) {
    console.log(line);
    take(line);
  }
  return (await ended) === 0;
}

const listed = (names: string) => (names === 'none' ? [] : names.split(','));
for (const name of listed(values.tests)) {
  const lines: string[] = [];
  const ended = await run(`test/${name}.test.js`, [], line => lines.push(line));
  const count = (label: string) =>
    Number(new RegExp(`^\\s*${label}:\\s+(\\d+)$`, 'm').exec(lines.join('\n'))?.[1] ?? 0);
  const skipped = lines.filter(line => line.startsWith('skipped: '));
  record.tests.push({ name, passed: count('Passed'), of: count('Total'), ended, skipped });
  save();
}
let measured = true;
if (values.bench !== 'none') {
  measured = await run('bench/gpu/main.js', positionals, line => {
    if (!line.startsWith('{')) return;
    record.bench.push(JSON.parse(line) as Line);
    save();
  });
}
save();
const passed = record.tests.every(
  ({ ended, passed, of, skipped }) => ended && passed === of && of + skipped.length > 0,
);
process.exitCode = passed && measured && record.bench.every(({ failed }) => failed === undefined) ? 0 : 1;
