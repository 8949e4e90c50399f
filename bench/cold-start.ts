// npm run bench:cold: from the start of a process to the first token of a 15M model, in parts and as a whole.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { makeModel } from './make-model.ts';
import { median } from './median.ts';
import { projectFolder } from './paths.ts';
import { makePrompt } from './synthetic.ts';

const HELP = `npm run bench:cold -- [options]
  --model NAME     SHAPE-TYPE as in npm run bench (default 15M-Q8_0)
  --nodes A,B      programs to run under (default: this Node)
  --reps N         processes for each figure, whose median is printed (default 15)`;

const { values: options } = parseArgs({
  options: {
    model: { type: 'string', default: '15M-Q8_0' },
    nodes: { type: 'string', default: process.execPath },
    reps: { type: 'string', default: '15' },
    help: { type: 'boolean', short: 'h' },
  },
});

interface Trial {
  /** Milliseconds from spawning the process to the first byte of its output. */
  outside: number;
  output: string;
}

async function trial(node: string, args: string[]): Promise<Trial> {
  const start = performance.now();
  const child = spawn(node, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let outside = 0;
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    outside ||= performance.now() - start;
    output += text;
  });
  const code = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
  if (code !== 0 || output === '')
    throw new Error(`${args.join(' ')}: exit code ${code}, ${output.length} bytes`);
  return { outside, output };
}

/** Rows of a table and their medians; the contenders take turns, so that a busy moment hits all of them. */
async function measure(
  node: string,
  path: string,
  prompt: string,
  reps: number,
): Promise<Map<string, number>> {
  const child = fileURLToPath(new URL('cold-start-child.js', import.meta.url));
  const cli = join(projectFolder(), 'dist', 'lib', 'cli.js');
  const wholes: Record<string, string[]> = {
    'node alone, from outside': ['-e', 'process.stdout.write("1")'],
    'open and tokens, from outside': [child, 'whole', path, prompt],
    'cria run, from outside': [cli, 'run', path, prompt, '--max-tokens', '1', '--temperature', '0'],
  };
  const figures = new Map<string, number[]>();
  const add = (name: string, value: number): void => {
    figures.set(name, [...(figures.get(name) ?? []), value]);
  };
  // the first round fills the system's file cache
  for (let rep = -1; rep < reps; rep++) {
    const { output } = await trial(node, [child, 'parts', path, prompt]);
    if (rep >= 0) for (const [name, ms] of Object.entries<number>(JSON.parse(output))) add(name, ms);
    for (const [name, args] of Object.entries(wholes)) {
      const { outside } = await trial(node, args);
      if (rep >= 0) add(name, outside);
    }
  }
  return new Map(Array.from(figures, ([name, values]) => [name, median(values)]));
}

async function main(): Promise<void> {
  if (options.help) {
    console.log(HELP);
    return;
  }
  const reps = Number(options.reps);
  if (!(Number.isInteger(reps) && reps > 0))
    throw new RangeError(`--reps: expected a positive integer, got ${options.reps}`);
  const path = makeModel(options.model);
  const { text } = makePrompt(8, 'cold start');
  const columns: { version: string; figures: Map<string, number> }[] = [];
  for (const node of options.nodes.split(',')) {
    const { output } = await trial(node, ['-p', 'process.version']);
    columns.push({ version: `Node ${output.trim()}`, figures: await measure(node, path, text, reps) });
  }
  console.log(`| ms, median of ${reps} | ${columns.map(({ version }) => version).join(' | ')} |`);
  console.log(`| --- |${' --- |'.repeat(columns.length)}`);
  for (const name of columns[0]!.figures.keys()) {
    console.log(`| ${name} | ${columns.map(({ figures }) => figures.get(name)!.toFixed(1)).join(' | ')} |`);
  }
}

try {
  await main();
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
