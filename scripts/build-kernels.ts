// Compiles assembly/ for every target of asconfig.json through AssemblyScript's API, and inlines the release builds
// into dist/host/kernels.js, that of training into dist/host/train/kernels.js, so that no runtime has to find a file.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import asc from 'assemblyscript/asc';
import { patched } from '../host/patch.ts';
import { bytesOf } from '../host/text-bytes.ts';
import { makePatch } from './make-patch.ts';
import { frequencyOrder, makeText } from './make-text.ts';

async function compile(...args: string[]): Promise<void> {
  const { error, stderr } = await asc.main(args);
  if (error) {
    process.stderr.write(stderr.toString());
    throw error;
  }
}

/** What the compiled files were made of, beside them: what has not changed is not compiled again, which takes half a minute. */
const STAMP = 'dist/wasm/made-of.sha256';

function madeOf(): string {
  const sources = readdirSync('assembly', { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts'))
    .map(name => join('assembly', name));
  const hash = createHash('sha256');
  for (const path of [...sources.sort(), 'asconfig.json', 'package-lock.json', 'scripts/build-kernels.ts']) {
    hash.update(`${path}\0`).update(readFileSync(path));
  }
  return hash.digest('hex');
}

const stamp = madeOf();
if (!existsSync(STAMP) || readFileSync(STAMP, 'utf8') !== stamp) {
  rmSync('dist/wasm', { recursive: true, force: true });
  mkdirSync('dist/wasm', { recursive: true });
  await compile('assembly/index.ts', '--target', 'simd');
  await compile('assembly/index.ts', '--target', 'relaxed');
  await compile('assembly/train.ts', '--target', 'train');
  await compile('assembly/debug.ts', '--target', 'debug');
  await compile('assembly/wasi/main.ts', '--target', 'wasi');
  await compile('assembly/wasi/main.ts', '--target', 'wasi-trace');
  writeFileSync(STAMP, stamp);
}

const simd = readFileSync('dist/wasm/simd.wasm');
process.stdout.write(`kernels: simd ${simd.length} bytes\n`);

/** A build that has most functions in common with `simd`. */
function patchFor(name: string): Uint8Array {
  const bytes = readFileSync(`dist/wasm/${name}.wasm`);
  const patch = makePatch(simd, bytes);
  if (!bytes.equals(patched(simd, patch)))
    throw new Error(`the patch does not make ${name}.wasm of simd.wasm`);
  process.stdout.write(`kernels: ${name} ${bytes.length} bytes, as a patch ${patch.length}\n`);
  return patch;
}

const [relaxedPatch, trainPatch] = [patchFor('relaxed'), patchFor('train')];
const order = frequencyOrder([simd, relaxedPatch, trainPatch]);
const hex = Buffer.from(order).toString('hex');

function inlined(name: string, bytes: Uint8Array): string {
  const text = makeText(bytes, order);
  if (!Buffer.from(bytes).equals(bytesOf(text, hex))) throw new Error(`the text of ${name} is not its bytes`);
  return `export const ${name} = '${text}';\n`;
}

writeFileSync(
  'dist/host/kernels.js',
  `export const order = '${hex}';\n${inlined('simd', simd)}${inlined('relaxedPatch', relaxedPatch)}`,
);
mkdirSync('dist/host/train', { recursive: true });
writeFileSync('dist/host/train/kernels.js', inlined('trainPatch', trainPatch));
