// npm run bench:threads: Cria against itself, each figure in a fresh process: threads with an idle and a busy caller,
// sequences together, both builds of the kernels.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { makeModel } from './make-model.ts';
import { median } from './median.ts';
import { rivalFile } from './paths.ts';
import type { Scenario } from './threads-child.ts';

const HELP = `npm run bench:threads -- [options]
  --models A,B   SHAPE-TYPE as in npm run bench (default 15M-Q8_0,110M-Q8_0,1.1B-Q8_0)
  --reps N       processes for each figure, whose median is printed (default 5)`;

const { values: options } = parseArgs({
  options: {
    models: { type: 'string', default: '15M-Q8_0,110M-Q8_0,1.1B-Q8_0' },
    reps: { type: 'string', default: '5' },
    help: { type: 'boolean', short: 'h' },
  },
});

const node24 = rivalFile('node24', 'bin', 'node') ?? process.execPath;

/** Rows of the table; a baseline is what the others of its group are divided by. */
const ROWS: { label: string; scenario: Scenario; over?: string }[] = [
  { label: 'decode, 1 thread', scenario: { kind: 'decode', threads: 1 } },
  {
    label: "decode, threads: 'auto'",
    scenario: { kind: 'decode', threads: 'auto' },
    over: 'decode, 1 thread',
  },
  { label: 'decode, calling thread', scenario: { kind: 'decode', threads: 0 }, over: 'decode, 1 thread' },
  { label: 'decode, 2 threads', scenario: { kind: 'decode', threads: 2 }, over: 'decode, 1 thread' },
  {
    label: 'decode, 2 threads, busy caller',
    scenario: { kind: 'decode', threads: 2, busy: true },
    over: 'decode, 1 thread',
  },
  { label: '8 sequences, 1 thread', scenario: { kind: 'batch', threads: 1 }, over: 'decode, 1 thread' },
  { label: 'prompt 512, simd, 1 thread', scenario: { kind: 'prompt', threads: 1, build: 'simd' } },
  {
    label: 'prompt 512, relaxed, 1 thread',
    scenario: { kind: 'prompt', threads: 1, build: 'relaxed' },
    over: 'prompt 512, simd, 1 thread',
  },
];

async function trial(path: string, scenario: Scenario): Promise<number> {
  const script = fileURLToPath(new URL('threads-child.js', import.meta.url));
  const child = spawn(node24, [script, path, JSON.stringify(scenario)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const code = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
  const figure = Number(output);
  if (code !== 0 || !(figure > 0))
    throw new Error(`${JSON.stringify(scenario)}: exit code ${code}, "${output}"`);
  return figure;
}

async function main(): Promise<void> {
  if (options.help) {
    console.log(HELP);
    return;
  }
  const reps = Number(options.reps);
  if (!(Number.isInteger(reps) && reps > 0))
    throw new RangeError(`--reps: expected a positive integer, got ${options.reps}`);
  const models = options.models.split(',');
  const columns = new Map<string, Map<string, number[]>>();
  for (const model of models) {
    const path = makeModel(model);
    const figures = new Map<string, number[]>(ROWS.map(({ label }) => [label, []]));
    // in turn, so that a slow moment of the machine hits all rows
    for (let rep = 0; rep < reps; rep++) {
      for (const { label, scenario } of ROWS) figures.get(label)!.push(await trial(path, scenario));
    }
    columns.set(model, figures);
  }
  console.log(`| tok/s, median of ${reps} | ${models.join(' | ')} |`);
  console.log(`| --- |${' --- |'.repeat(models.length)}`);
  for (const { label, over } of ROWS) {
    const cells = models.map(model => {
      const figures = columns.get(model)!;
      const values = figures.get(label)!;
      const figure = median(values);
      // of the same turn, since the machine's speed changes from one to the next
      const ratios = over === undefined ? [] : values.map((value, rep) => value / figures.get(over)![rep]!);
      const ratio = over === undefined ? '' : ` (${median(ratios).toFixed(2)} ×)`;
      return `${figure >= 100 ? figure.toFixed(0) : figure.toPrecision(3)}${ratio}`;
    });
    console.log(`| ${label} | ${cells.join(' | ')} |`);
  }
}

try {
  await main();
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
