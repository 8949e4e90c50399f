// Compiles assembly/ for every target of asconfig.json through AssemblyScript's API, and inlines the release builds
// into dist/host/kernels.js, that of training into dist/host/train/kernels.js, so that no runtime has to find a file.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import asc from 'assemblyscript/asc';

async function compile(...args: string[]): Promise<void> {
  const { error, stderr } = await asc.main(args);
  if (error) {
    process.stderr.write(stderr.toString());
    throw error;
  }
}

mkdirSync('dist/wasm', { recursive: true });
await compile('assembly/index.ts', '--target', 'simd');
await compile('assembly/index.ts', '--target', 'relaxed');
await compile('assembly/train.ts', '--target', 'train');
await compile('assembly/debug.ts', '--target', 'debug');
await compile('assembly/wasi/main.ts', '--target', 'wasi');
await compile('assembly/wasi/main.ts', '--target', 'wasi-trace');

function inline(file: string, ...names: string[]): void {
  let inlined = '';
  for (const name of names) {
    const bytes = readFileSync(`dist/wasm/${name}.wasm`);
    inlined += `export const ${name} = '${bytes.toString('base64')}';\n`;
    process.stdout.write(`kernels: ${name} ${bytes.length} bytes\n`);
  }
  writeFileSync(file, inlined);
}

inline('dist/host/kernels.js', 'simd', 'relaxed');
mkdirSync('dist/host/train', { recursive: true });
inline('dist/host/train/kernels.js', 'train');
