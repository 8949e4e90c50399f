// Who takes part, what each needs, and what is known of it when it cannot run.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findChromium } from './chromium.ts';
import { projectFolder, rivalFile, rivalsFolder } from './paths.ts';
import { bytesPerToken, promptMacs, type Shape, type WeightType } from './synthetic.ts';

export interface System {
  name: string;
  label: string;
  /** File in contenders/ without its ending. */
  script: string;
  /** Packages of rivals/package.json that must be installed. */
  packages: readonly string[];
  chromium: boolean;
  /** Runs under the Node of rivals/ instead of this one. */
  node24: boolean;
  /** Weight types that it can be given. */
  types: WeightType[];
  /** Of 8 first tokens, how many must be the reference's before it is timed. */
  mustAgree: number;
  /** Runs at these numbers of threads; more with --all-threads. */
  threads: 'one' | 'every' | 'one-or-every';
  /** Bytes of a number in its kv cache, where its memory is compared with the file's and the cache's size. */
  cacheNumber?: number;
  /** Bytes of weights read for a token, where they are not the GGUF file's. */
  bytesPerToken?: (shape: Shape) => number;
}

const ALL: WeightType[] = ['F32', 'F16', 'Q8_0', 'Q4_0', 'Q4_K'];
const base = {
  packages: [],
  chromium: false,
  node24: false,
  types: ALL,
  mustAgree: 6,
  threads: 'one',
} as const;

export const SYSTEMS: System[] = [
  { ...base, name: 'cria', label: 'Cria', script: 'cria', threads: 'every', cacheNumber: 4 },
  {
    ...base,
    name: 'cria-node24',
    label: 'Cria, Node 24',
    script: 'cria',
    packages: ['node24'],
    node24: true,
    threads: 'every',
    cacheNumber: 4,
  },
  {
    ...base,
    name: 'cria-chromium',
    label: 'Cria, Chromium',
    script: 'cria-chromium',
    packages: ['playwright-core'],
    chromium: true,
  },
  {
    ...base,
    name: 'node-llama-cpp',
    label: 'node-llama-cpp (native)',
    script: 'node-llama-cpp',
    packages: ['node-llama-cpp', '@node-llama-cpp/linux-x64'],
    threads: 'every',
  },
  {
    ...base,
    name: 'wllama2',
    label: 'wllama 2.3.1, Chromium',
    script: 'wllama2',
    packages: ['wllama2', 'playwright-core'],
    chromium: true,
    threads: 'one-or-every',
  },
  {
    ...base,
    name: 'wllama3',
    label: 'wllama 3.8.1, Chromium',
    script: 'wllama3',
    packages: ['wllama3', 'playwright-core'],
    chromium: true,
    threads: 'one-or-every',
  },
  {
    ...base,
    name: 'onnxruntime-web',
    label: 'onnxruntime-web int8, Chromium',
    script: 'onnxruntime-web',
    packages: ['onnxruntime-web', 'playwright-core'],
    chromium: true,
    types: ['Q8_0'], // its own int8 file, made of the same weights
    mustAgree: 4, // one scale for a whole matrix: coarser than a scale for 32 weights
    threads: 'one-or-every',
    bytesPerToken: shape => promptMacs(shape, 1), // a byte a weight
  },
];

/** Never timed: says what is right where llama.cpp is missing. */
export const REFERENCE: System = {
  ...base,
  name: 'cria-reference',
  label: "Cria's reference backend",
  script: 'cria-reference',
};

/** Why a system cannot run here, or undefined. */
export function missing(system: System): string | undefined {
  if (system.name === 'cria' || system.name.startsWith('cria-')) {
    if (!existsSync(join(projectFolder(), 'dist', 'host', 'index.js'))) return 'not built: npm run build';
  }
  const absent = system.packages.filter(name => rivalFile(...name.split('/')) === undefined);
  if (absent.length > 0) return `not installed: ${absent.join(', ')}`;
  if (system.chromium && findChromium() === undefined) return 'no Chromium found: install it or set CHROMIUM';
  return undefined;
}

/** Numbers of threads to run a system with: powers of two up to the cores, or one. */
export function threadCounts(system: System, cores: number, allThreads: boolean): number[] {
  if (system.threads === 'one' || (system.threads === 'one-or-every' && !allThreads)) return [1];
  const counts: number[] = [];
  for (let count = 1; count < cores; count *= 2) counts.push(count);
  return [...counts, cores];
}

export function weightBytes(system: System, shape: Shape, type: WeightType): number {
  return system.bytesPerToken?.(shape) ?? bytesPerToken(shape, type);
}

/** A figure of an earlier day, shown where a rival cannot run. */
export interface Recorded {
  system: string;
  version: string;
  model: string;
  threads: number;
  prompts: Record<string, number>;
  decode: number;
}

export function recordedFigures(): { note: string; figures: Recorded[] } {
  return JSON.parse(readFileSync(join(rivalsFolder(), 'recorded.json'), 'utf8'));
}
