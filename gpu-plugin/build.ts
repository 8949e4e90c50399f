// Builds the package into gpu-plugin/dist: the addon and its JavaScript, the kernels where there is nvcc, and the driver
// without a GPU that the tests use. C++ needs g++ and no CUDA toolkit.
//
//     node dist/gpu-plugin/build.js

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const built = dirname(fileURLToPath(import.meta.url));
export const PLUGIN: string = join(built, '..', '..', 'gpu-plugin');
export const OUT: string = join(PLUGIN, 'dist');

const WARNINGS = ['-Wall', '-Wextra', '-Werror', '-Wno-unknown-pragmas'];

/** Oldest version of the PTX language that the kernels can be said in: drivers for CUDA 11.8 know it. */
const PTX_VERSION = '.version 7.8';

/** @returns the first line of what a compiler says of itself; undefined where there is none */
export function compiler(command: 'g++' | 'nvcc'): string | undefined {
  try {
    return execFileSync(command, ['--version'], { encoding: 'utf8', stdio: 'pipe' })
      .trim()
      .split('\n')
      .at(command === 'g++' ? 0 : -2);
  } catch {
    return undefined;
  }
}

/** What the tests need to be built, and is not there. */
export function missingTool(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'Linux on x64';
  if (!compiler('g++')) return 'g++';
  if (!existsSync(join(PLUGIN, 'node_modules', 'node-addon-api'))) return '`npm ci --prefix gpu-plugin`';
  return undefined;
}

function sources(folder: string): string[] {
  return readdirSync(join(PLUGIN, folder)).map(name => join(PLUGIN, folder, name));
}

function run(command: string, args: string[], cwd = PLUGIN): string {
  return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** A file and what it includes of ours. */
function withIncludes(file: string, seen: Set<string> = new Set()): string[] {
  if (!seen.has(file)) {
    seen.add(file);
    for (const [, name] of readFileSync(file, 'utf8').matchAll(/^#include "(.+)"/gm))
      withIncludes(join(dirname(file), name!), seen);
  }
  return [...seen];
}

/** Compiles into a folder whose name is a hash of everything the file is made of, unless it is there. */
function compiled(
  name: string,
  inputs: string[],
  args: (out: string) => [string, string[]],
  cwd?: string,
): string {
  const hash = createHash('sha256');
  for (const file of inputs) hash.update(readFileSync(file));
  hash.update(JSON.stringify(args('')));
  const folder = join(OUT, 'cache', hash.digest('hex').slice(0, 16));
  const out = join(folder, name);
  if (existsSync(out)) return out;
  mkdirSync(dirname(out), { recursive: true });
  // two tests may build at once
  const part = `${out}.${process.pid}`;
  const [command, options] = args(part);
  run(command, options, cwd);
  renameSync(part, out);
  return out;
}

/** The addon. @returns its path */
export function buildAddon(): string {
  const include = (path: string) => `-I${join(PLUGIN, 'node_modules', path)}`;
  const files = sources('src');
  return compiled('linux-x64/cria-cuda.node', files, out => [
    'g++',
    [
      ...[
        '-std=c++17',
        '-O2',
        '-fPIC',
        '-shared',
        '-fvisibility=hidden',
        '-static-libstdc++',
        '-static-libgcc',
        '-s',
      ],
      ...WARNINGS,
      ...['-DNAPI_CPP_EXCEPTIONS', include('node-addon-api'), include('node-api-headers/include')],
      ...files.filter(file => file.endsWith('.cc')),
      ...['-o', out, '-ldl', '-lpthread'],
    ],
  ]);
}

export interface MockOptions {
  /** A bug to be planted in the kernels: what in which file is replaced by what. */
  plant?: { file: string; replace: string; by: string };
  /** With AddressSanitizer and UndefinedBehaviorSanitizer. */
  sanitize?: boolean;
}

/** The driver that runs the kernels on the CPU. @returns the path of a libcuda.so.1 */
export function buildMock({ plant, sanitize = false }: MockOptions = {}): string {
  const root = plant ? planted(plant) : PLUGIN;
  const sanitizers = sanitize ? ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'] : [];
  const kernels = sources('kernels').filter(file => file.endsWith('.cu') && !file.endsWith('/all.cu'));
  const files = ['mock/driver.cpp', 'mock/fibers.cpp', ...kernels.map(file => `kernels/${basename(file)}`)];
  // a kernel with a bug is compiled alone, and linked with what was there
  const objects = files.map(file => {
    const options = ['-std=c++17', '-O1', '-g', '-fPIC', ...WARNINGS, ...sanitizers, '-c', '-x', 'c++', file];
    const inputs = withIncludes(join(root, file));
    return compiled(`${basename(file)}.o`, inputs, out => ['g++', [...options, '-o', out]], root);
  });
  return compiled('libcuda.so.1', objects, out => [
    'g++',
    ['-shared', ...sanitizers, ...objects, '-o', out, '-lpthread'],
  ]);
}

/**
 * A library of NVIDIA's without a GPU, for programs on a driver that `buildMock` made.
 * @param without a function that it is to lack
 */
export function buildMockLibrary(name: 'cublaslt' | 'nccl', driver: string, without = ''): string {
  const file = `mock/${name}.cpp`;
  const inputs = [...withIncludes(join(PLUGIN, file)), driver];
  const options = ['-std=c++17', '-O1', '-g', '-fPIC', '-shared', ...WARNINGS];
  if (without) options.push(`-D${without}=left_out`);
  return compiled(`lib${name}.so`, inputs, out => ['g++', [...options, file, driver, '-o', out]]);
}

/** A copy of the sources with a bug in it. */
function planted({ file, replace, by }: { file: string; replace: string; by: string }): string {
  const text = readFileSync(join(PLUGIN, 'kernels', file), 'utf8');
  if (!text.includes(replace)) throw new Error(`${file} has no "${replace}" any more: plant it anew`);
  const id = createHash('sha256')
    .update(file + replace + by)
    .digest('hex')
    .slice(0, 12);
  const root = join(OUT, 'planted', id);
  for (const folder of ['kernels', 'mock', 'src']) {
    mkdirSync(join(root, folder), { recursive: true });
    for (const path of sources(folder)) copyFileSync(path, join(root, folder, basename(path)));
  }
  writeFileSync(join(root, 'kernels', file), text.replaceAll(replace, by));
  return root;
}

/** GPUs that the kernels are assembled for. Newer ones make code of their own of the PTX. */
const TARGETS = ['sm_80', 'sm_90'];

/** PTX that older drivers take too, and machine code and PTX in one file for CUDA 13 and later. @returns what ptxas says of each kernel */
export function buildKernels(): string {
  mkdirSync(OUT, { recursive: true }); // nvcc says nothing with its exit code where there is no folder
  // of this process alone until they are whole
  const made = (name: string) => join(OUT, `${process.pid}-${name}`);
  const ptx = made('kernels.ptx');
  const source = join(PLUGIN, 'kernels', 'all.cu');
  run('nvcc', ['-ptx', '-arch=compute_80', '-std=c++17', '-O3', '-Werror=all-warnings', source, '-o', ptx]);
  writeFileSync(ptx, readFileSync(ptx, 'utf8').replace(/^\.version .*$/m, PTX_VERSION));
  const code = TARGETS.map(target => made(`${target}.cubin`));
  const reports = TARGETS.map(target => made(`${target}.log`));
  // side by side
  const commands = TARGETS.map(
    (target, i) => `ptxas -v -arch=${target} '${ptx}' -o '${code[i]}' 2> '${reports[i]}' & pid${i}=$!`,
  );
  const waits = TARGETS.map((_, i) => `wait $pid${i} || { cat '${reports[i]}' >&2; exit 1; }`);
  run('sh', ['-c', [...commands, ...waits].join('\n')]);
  const images = TARGETS.map((target, i) => `kind=elf,sm=${target.slice(3)},file=${code[i]}`);
  run('fatbinary', [
    '-64',
    '--compress-mode=size',
    '--compress-all',
    `--create=${made('kernels.fatbin')}`,
    ...[...images, `kind=ptx,sm=80,file=${ptx}`].map(image => `--image3=${image}`),
  ]);
  writeFileSync(made('ptxas.log'), reports.map(path => readFileSync(path, 'utf8')).join(''));
  writeFileSync(made('kernels.ptx.gz'), gzipSync(readFileSync(ptx), { level: 9 }));
  const files = ['kernels.ptx', 'kernels.ptx.gz', 'kernels.fatbin', 'ptxas.log'];
  for (const name of files) renameSync(made(name), join(OUT, name));
  for (const path of [...code, ...reports]) rmSync(path);
  return readFileSync(join(OUT, 'ptxas.log'), 'utf8');
}

/** The package's JavaScript, addon and, where nvcc is, kernels. */
function main(): void {
  mkdirSync(join(OUT, 'linux-x64'), { recursive: true });
  for (const name of ['index.js', 'index.d.ts', 'signatures.js'])
    copyFileSync(join(built, name), join(OUT, name));
  copyFileSync(buildAddon(), join(OUT, 'linux-x64', 'cria-cuda.node'));
  if (compiler('nvcc')) buildKernels();
  else console.log('skipped: kernels: no nvcc');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
