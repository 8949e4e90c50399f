// npm run gpu:pack -- FILE.tar.gz: all that a bare machine with a GPU and no network needs to test and measure the plugin, in one file:
// Node, the plugin, the compiled tests and benchmarks, and what PyTorch runs if it is there (models are made there). There:
//
//     tar xzf FILE.tar.gz && sh run.sh [--tests A,B] [--bench none] [-- --only kernels,training --minutes 5]

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { OUT, PLUGIN } from './build.ts';

/** What the tests import. */
const PACKAGES = ['uvu', 'dequal', 'diff', 'kleur', 'mri', 'sade'];
const MOST_MIB = 60;

const RUN = `#!/bin/sh
# Tests, then benchmarks; the record is what bench/gpu/record.ts writes. Options are its own.
cd "$(dirname "$0")" && exec ./node dist/bench/gpu/record.js "$@"
`;

function pack(file: string): void {
  const root = dirname(PLUGIN);
  for (const path of ['dist/lib/index.js', join('gpu-plugin', 'dist', 'kernels.fatbin')]) {
    if (!existsSync(join(root, path)))
      throw new Error(`${path} is missing: npm run build && node dist/gpu-plugin/build.js, where nvcc is`);
  }
  const stage = mkdtempSync(join(tmpdir(), 'cria-gpu-'));
  try {
    copyFileSync(process.execPath, join(stage, 'node'));
    execFileSync('strip', [join(stage, 'node')]);
    const from = (path: string) => cpSync(join(root, path), join(stage, path), { recursive: true, filter });
    const filter = (path: string) => !/\.d\.ts$|\/(cache|planted|examples)$/.test(path);
    for (const path of [
      'dist',
      'package.json',
      'gpu-plugin/package.json',
      'gpu-plugin/kernels',
      'bench/gpu/pytorch.py',
      'test/support/hugging-face.py',
      ...PACKAGES.map(name => `node_modules/${name}`),
    ])
      from(path);
    for (const path of ['index.js', 'signatures.js', 'linux-x64', 'kernels.fatbin', 'kernels.ptx.gz']) {
      mkdirSync(join(stage, 'gpu-plugin/dist'), { recursive: true });
      cpSync(join(OUT, path), join(stage, 'gpu-plugin/dist', path), { recursive: true });
    }
    // as if it were installed
    symlinkSync('../gpu-plugin', join(stage, 'node_modules', 'cria-cuda'));
    writeFileSync(join(stage, 'run.sh'), RUN);
    chmodSync(join(stage, 'run.sh'), 0o755);
    execFileSync('tar', ['-I', 'gzip -9', '-cf', file, '-C', stage, '.']);
  } finally {
    rmSync(stage, { recursive: true });
  }
  const mib = statSync(file).size / 2 ** 20;
  if (mib > MOST_MIB) throw new Error(`${file}: ${mib.toFixed(1)} MiB, more than ${MOST_MIB}`);
  console.log(`${file}: ${mib.toFixed(1)} MiB`);
}

const [file] = process.argv.slice(2);
if (file === undefined) throw new Error('npm run gpu:pack -- FILE.tar.gz');
pack(resolve(file));
