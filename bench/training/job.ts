// A training run that Cria and PyTorch do both: the same first weights, the same rows of ids, the same rates. It is a folder.

import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import {
  createTrainer,
  flopsPerToken,
  rateAt,
  type TrainConfig,
  type TrainData,
  type Trainer,
  type TrainOptions,
  tokensOfStep,
} from 'cria/train';
import { pythonWith } from '../../scripts/python.ts';
import { cacheFolder, projectFolder, rivalFile } from '../paths.ts';

export interface Job {
  shape: Trainer['llama'];
  train: TrainConfig;
  vocabSize: number;
  parameters: readonly { name: string; rows: number; cols: number; norm: boolean; first: number }[];
  /** The learning rate of each step. */
  rates: number[];
  /** Whether there are rows to measure the loss on at the end. */
  held: boolean;
}

export interface Step {
  step: number;
  loss: number;
  norm: number;
  ms: number;
}

export interface Result {
  steps: Step[];
  /** Loss on the rows that were held out. */
  held: number | undefined;
}

/** Writes a result as the log of a run, for `cria plot`. */
export function writeLog(folder: string, { rates }: Job, { steps, held }: Result): void {
  const lines: object[] = steps.map((step, i) => ({ kind: 'step', ...step, learningRate: rates[i] }));
  if (held !== undefined) lines.push({ kind: 'validation', step: steps.length, loss: held });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'log.jsonl'), lines.map(line => `${JSON.stringify(line)}\n`).join(''));
}

/** Writes a job's folder and answers with its path. */
export async function makeJob(
  name: string,
  options: TrainOptions,
  vocabSize: number,
  data: TrainData,
): Promise<{ folder: string; job: Job }> {
  const trainer = await createTrainer(options, data, { vocabSize });
  const { config: train, llama: shape, parameters } = trainer;
  const { weights } = await trainer.state();
  await trainer.close();
  const rates = Array.from({ length: train.steps }, (_, i) => rateAt(train, i + 1));
  const rows: Int32Array[] = [];
  for (let step = 0; step < train.steps; step++) {
    for (let m = 0; m < train.microBatches; m++) rows.push(joined(await data.batchAt(step, m), train));
  }
  const held: Int32Array[] = [];
  for (let i = 0; i < data.validationBatches; i++) held.push(joined(await data.validationAt(i), train));
  const job: Job = {
    shape,
    train,
    vocabSize,
    parameters: parameters.list,
    rates,
    held: held.length > 0,
  };
  const folder = join(cacheFolder(), 'training', name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'job.json'), JSON.stringify(job));
  writeFileSync(join(folder, 'weights.f32'), weights);
  writeFileSync(join(folder, 'rows.i32'), Buffer.concat(rows.map(bytesOf)));
  writeFileSync(join(folder, 'held.i32'), Buffer.concat(held.map(bytesOf)));
  return { folder, job };
}

/** Rows of T + 1 ids: what is read, and the last that is predicted. */
function joined(
  { tokens, targets, rows }: { tokens: Int32Array; targets: Int32Array; rows: number },
  { contextLength: T }: TrainConfig,
): Int32Array {
  const all = new Int32Array(rows * (T + 1));
  for (let row = 0; row < rows; row++) {
    all.set(tokens.subarray(row * T, (row + 1) * T), row * (T + 1));
    all[(row + 1) * (T + 1) - 1] = targets[(row + 1) * T - 1]!;
  }
  return all;
}

const bytesOf = (values: Int32Array) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

/** As `flopsPerToken` counts them: backward twice forward, attention causal, nothing computed again. */
export function flopsOfStep({ train, shape, parameters }: Job): number {
  return flopsPerToken({ list: parameters }, shape, train.tied, train.contextLength) * tokensOfStep(train);
}

export const node24 = (): string => rivalFile('node24', 'bin', 'node') ?? process.execPath;

/** Does the job with Cria, in a fresh process. */
export function byCria(folder: string, ranks: number, node: string = node24()): Promise<Result> {
  return run(node, [fileURLToPath(new URL('child.js', import.meta.url)), folder, String(ranks)]);
}

/** Does the job with PyTorch, in a fresh process. */
export function byPyTorch(folder: string, threads: number): Promise<Result> {
  const script = join(projectFolder(), 'bench', 'training', 'pytorch.py');
  // PyTorch sets the number of its own threads, not that of the library for matrices; and threads that spin get in each
  // other's way where there are two processors: half as fast
  return run(python(), [script, folder, String(threads)], {
    OMP_NUM_THREADS: String(threads),
    OPENBLAS_NUM_THREADS: String(threads),
    OMP_WAIT_POLICY: 'passive',
  });
}

/** A Python that has PyTorch. */
function python(): string {
  const found = pythonWith('torch');
  if (found !== undefined) return found;
  throw new Error(
    'no Python with PyTorch was found: apt-get install --no-install-recommends python3-torch libopenblas0-pthread',
  );
}

/** PyTorch's version, its matrix library and its instructions. */
export function pyTorchVersion(): string {
  const script =
    "import os, torch; print('PyTorch', torch.__version__ + ',', os.path.realpath('/etc/alternatives/libblas.so.3-x86_64-linux-gnu').split('/')[-2] + ',', torch.__config__.show().split('CPU capability usage: ')[1].split()[0])";
  return execFileSync(python(), ['-c', script], { encoding: 'utf8' }).trim();
}

async function run(program: string, args: string[], env: object = {}): Promise<Result> {
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  const ended = new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
  const steps: Step[] = [];
  let held: number | undefined;
  for await (const line of createInterface(child.stdout)) {
    const value = JSON.parse(line) as Step | { held: number };
    if ('held' in value) held = value.held;
    else steps.push(value);
  }
  const code = await ended;
  if (code !== 0) throw new Error(`${program} ${args.join(' ')}: exit code ${code}`);
  return { steps, held };
}
