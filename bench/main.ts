// npm run bench: Cria and its rivals on synthetic models, each in a fresh process, validated before it is timed.

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { findChromium } from './chromium.ts';
import type { Machine } from './machine.ts';
import { makeModel, parseName } from './make-model.ts';
import { criaVersion, projectFolder, rivalFile, rivalsFolder } from './paths.ts';
import type { Answers, Report, Task } from './protocol.ts';
import { missing, REFERENCE, recordedFigures, SYSTEMS, type System, threadCounts } from './systems.ts';
import { type Limits, machineLines, modelLines, type Row } from './table.ts';

const HELP = `npm run bench -- [options]
  --install            install the rivals into bench/rivals/node_modules (their scripts do not run), then run
  --models A,B         SHAPE-TYPE of 15M 110M 1.1B and F32 F16 Q8_0 Q4_0 Q4_K (default: 110M and 1.1B in Q8_0 and Q4_0)
  --only A,B           of ${SYSTEMS.map(system => system.name).join(' ')}
  --reps N             repetitions whose median is reported (default 5)
  --budget SECONDS     begin no repetition of a measurement after so long (default 60)
  --all-threads        run wllama and onnxruntime-web with all cores too
  --quick              110M-Q8_0, one repetition
  --record             keep the figures in bench/record/`;

const { values: options } = parseArgs({
  options: {
    install: { type: 'boolean' },
    models: { type: 'string' },
    only: { type: 'string' },
    reps: { type: 'string' },
    budget: { type: 'string', default: '60' },
    'all-threads': { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    record: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h' },
  },
});

const PROMPTS = [128, 512];
const DECODE = 64;
const TIMEOUT_MS = 30 * 60_000; // per process

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const node24 = (): string => rivalFile('node24', 'bin', 'node')!;

/** Runs a program of ours and parses its last line. @throws Error with the end of what it wrote to stderr */
async function runJson<T>(node: string, script: string, argument = ''): Promise<T> {
  const child = spawn(node, [here(script), argument], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: TIMEOUT_MS,
  });
  let out = '';
  let complaints = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints = (complaints + text).slice(-4000);
  });
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve([code, signal]));
  });
  const line = out.trimEnd().split('\n').at(-1) ?? '';
  if (line.startsWith('{')) {
    const answer = JSON.parse(line) as T | { error: string };
    if (typeof answer === 'object' && answer !== null && 'error' in answer) throw new Error(answer.error);
    return answer as T;
  }
  const last = complaints.trim().split('\n').at(-1);
  throw new Error(signal === null ? `exit code ${code}: ${last}` : `ended by ${signal}: ${last}`);
}

function install(): void {
  // Not `npm ci`: node-llama-cpp's optional binaries for other systems are not in every registry.
  const args = ['install', '--no-save', '--ignore-scripts', '--omit=optional', '--no-audit', '--no-fund'];
  const { status } = spawnSync('npm', args, { cwd: rivalsFolder(), stdio: 'inherit' });
  if (status !== 0) console.log('The rivals could not all be installed; recorded figures stand in for them.');
}

async function measureMachines(): Promise<Machine[]> {
  const machines = [await runJson<Machine>(process.execPath, 'machine.js')];
  if (rivalFile('node24') !== undefined) machines.push(await runJson<Machine>(node24(), 'machine.js'));
  return machines;
}

/** The best that was seen under any Node. */
function limitsOf(machines: Machine[]): Limits {
  const rates = machines.flatMap(({ dot16, dot8 }) => (dot8 === undefined ? [dot16] : [dot16, dot8]));
  const one = { read: Math.max(...machines.map(m => m.read.one)), macs: Math.max(...rates.map(r => r.one)) };
  const all = { read: Math.max(...machines.map(m => m.read.all)), macs: Math.max(...rates.map(r => r.all)) };
  return { one, all: { read: Math.max(one.read, all.read), macs: Math.max(one.macs, all.macs) } };
}

async function runSystem(system: System, task: Task): Promise<Report> {
  return runJson(
    system.node24 ? node24() : process.execPath,
    `contenders/${system.script}.js`,
    JSON.stringify(task),
  );
}

/** Greedy tokens to hold everyone to: llama.cpp's, or the reference backend's, or whoever's comes first. */
async function referenceAnswers(
  task: Task,
  systems: System[],
): Promise<{ from: System; answers: Answers } | undefined> {
  const llamaCpp = SYSTEMS.find(system => system.name === 'node-llama-cpp')!;
  const small = parseName(task.model).shape.dim <= 768; // f64 weights and plain loops: half a minute for 110M
  for (const from of [llamaCpp, ...(small ? [REFERENCE] : []), ...systems]) {
    if (missing(from) !== undefined) continue;
    try {
      return { from, answers: (await runSystem(from, { ...task, checkOnly: true })).answers };
    } catch (error) {
      console.error(`  ${from.label} cannot be the reference: ${(error as Error).message}`);
    }
  }
  return undefined;
}

/** Whether a report's tokens are the reference's, in words. */
function verdict({ agreement }: Report, mustAgree: number, isReference: boolean): string {
  if (isReference) return 'the reference of this model';
  if (agreement === undefined) return 'unchecked: nothing to compare with';
  if (agreement.first < mustAgree) return `not timed: only ${agreement.first} of 8 tokens agree`;
  return `validated: ${agreement.first}/8, ${agreement.greedy}/8`;
}

async function runModel(model: string, systems: System[], reps: number, budgetMs: number): Promise<Row[]> {
  const { type } = parseName(model);
  console.error(`${model}: making the file`);
  const path = makeModel(model);
  const common = { model, path, reps, budgetMs, prompts: PROMPTS, decode: DECODE, checkOnly: false };
  const plain: Task = { ...common, threads: 1, expected: undefined, mustAgree: 0 };
  console.error(`${model}: what is right`);
  const reference = await referenceAnswers(plain, systems);
  const rows: Row[] = [];
  for (const system of systems) {
    if (!system.types.includes(type)) continue;
    const absent = missing(system);
    const counts =
      absent === undefined ? threadCounts(system, availableParallelism(), options['all-threads']) : [1];
    for (const threads of counts) {
      const load = loadavg()[0]!;
      const row: Row = { system: system.name, model, threads, status: absent ?? '', report: undefined, load };
      rows.push(row);
      if (absent !== undefined) continue;
      console.error(`${model}: ${system.label}, ${threads} thread${threads > 1 ? 's' : ''}`);
      try {
        const { mustAgree } = system;
        const task = { ...plain, threads, expected: reference?.answers, mustAgree };
        row.report = await runSystem(system, task);
        row.status = verdict(row.report, mustAgree, threads === 1 && reference?.from === system);
      } catch (error) {
        row.status = `failed: ${(error as Error).message}`;
      }
    }
  }
  return rows;
}

function output(program: string, ...args: string[]): string {
  try {
    return execFileSync(program, args, { cwd: projectFolder(), encoding: 'utf8', stdio: 'pipe' }).trim();
  } catch {
    return 'unknown';
  }
}

async function main(): Promise<void> {
  if (options.help) {
    console.log(HELP);
    return;
  }
  if (options.install) install();
  const names = options.only?.split(',');
  const unknown = names?.find(name => !SYSTEMS.some(system => system.name === name));
  if (unknown !== undefined) throw new RangeError(`--only: no system is called ${unknown}\n\n${HELP}`);
  const systems = SYSTEMS.filter(system => names === undefined || names.includes(system.name));
  const quick = options.quick;
  const models = (options.models ?? (quick ? '110M-Q8_0' : '110M-Q8_0,110M-Q4_0,1.1B-Q8_0,1.1B-Q4_0')).split(
    ',',
  );
  for (const model of models) parseName(model);
  const reps = Number(options.reps ?? (quick ? 1 : 5));
  const budget = Number(options.budget);
  if (!(Number.isInteger(reps) && reps > 0))
    throw new RangeError(`--reps: expected a positive integer, got ${reps}`);
  if (!(budget > 0)) throw new RangeError(`--budget: expected seconds above 0, got ${options.budget}`);
  if (systems.some(system => missing(system)?.startsWith('not installed'))) {
    console.log(
      'Some rivals are not installed: `npm run bench -- --install` does it (about 0.5 GB in bench/rivals).',
    );
  }

  console.error('measuring the machine');
  const started = new Date();
  const busy = loadavg()[0]!;
  const machines = await measureMachines();
  const limits = limitsOf(machines);
  const chromium = findChromium();
  const browser = chromium === undefined ? undefined : output(chromium, '--version');
  for (const line of machineLines(machines, browser, busy)) console.log(line);

  const rows: Row[] = [];
  for (const model of models) {
    const some = await runModel(model, systems, reps, budget * 1000);
    rows.push(...some);
    for (const line of modelLines(model, some, limits)) console.log(line);
  }
  const { note } = recordedFigures();
  if (rows.some(row => row.report?.decode === undefined)) console.log(`\n* ${note}`);
  if (options.record) {
    const folder = join(projectFolder(), 'bench', 'record');
    mkdirSync(folder, { recursive: true });
    const moment = started.toISOString().slice(0, 16).replace(':', '');
    const path = join(
      folder,
      `${moment}-${process.platform}-${process.arch}-${machines[0]!.cores}-cores.json`,
    );
    const cria = { version: criaVersion(), commit: output('git', 'rev-parse', '--short', 'HEAD') };
    const protocol = { reps, budgetSeconds: budget, prompts: PROMPTS, decode: DECODE };
    const record = {
      date: started.toISOString(),
      cria,
      protocol,
      machines,
      browser,
      loadAverage: busy,
      rows,
    };
    writeFileSync(path, `${JSON.stringify(record, null, 1)}\n`);
    console.log(`\nRecorded in ${path}`);
  }
}

try {
  await main();
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
