// The debug build says what went wrong where, and computes the bits that the release build computes.

import { createHash } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WASI } from 'node:wasi';
import { instantiateSync } from '@assemblyscript/loader';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { GROUPED } from '../host/dtype.ts';
import { Random } from '../host/random.ts';
import { ops, randomCase, trainOps } from './support/op-cases.ts';
import { type Layout, layOut } from './support/red-zones.ts';
import { projectRoot } from './support/shared.ts';

type Kernels = Record<string, (...args: number[]) => number | undefined> & { memory: WebAssembly.Memory };

const wasm = (name: string) => readFileSync(join(projectRoot, 'dist/wasm', name));

/** @param stderr a file descriptor */
function debugKernels(stderr: number): Kernels {
  const wasi = new WASI({ version: 'preview1', stderr });
  const imports = { wasi_snapshot_preview1: wasi.wasiImport as Record<string, WebAssembly.ImportValue> };
  const { instance, exports } = instantiateSync<Record<string, unknown>>(wasm('debug.wasm'), imports);
  wasi.initialize(instance);
  return exports as unknown as Kernels;
}

function releaseKernels(build: 'simd' | 'train'): Kernels {
  return new WebAssembly.Instance(new WebAssembly.Module(wasm(`${build}.wasm`))).exports as Kernels;
}

/** For every assertion in assembly/ a call that fails it; `at` is memory of zeros, or of what `memory` says. */
const FAILING: { message: string; op: string; args: (at: number) => number[]; memory?: number[] }[] = [
  {
    message: 'attention: a head beyond the kv heads',
    op: 'attention_f32',
    args: at => [at + 64, at + 64, at, at, at + 128, at, at, 1, 3, 2, 2, 2, 4, 8],
  },
  {
    message: 'attention: position beyond the cache',
    op: 'attention_f16',
    args: at => [at + 64, at + 64, at, at, at + 128, at + 64, at, 1, 2, 2, 1, 0, 4, 8],
    memory: [8],
  },
  {
    message: 'attention: position beyond the cache',
    op: 'attention_f32',
    args: at => [at + 64, at + 64, at, at, at + 128, at + 16, at, 2, 2, 2, 1, 0, 4, 8],
    memory: [0, 8],
  },
  {
    message: 'append: position beyond the cache',
    op: 'append_f16',
    args: at => [at + 64, at, at + 64, at, 1, 1, 4, 8],
    memory: [8],
  },
  { message: 'rope: headDim must be even', op: 'rope', args: at => [at, at, at, 1, 1, 3] },
  { message: 'ropeBackward: headDim must be even', op: 'ropeBackward', args: at => [at, at, at, 1, 1, 3] },
  ...['attentionForward', 'attentionBackward'].map(op => ({
    message: `${op}: heads must be a multiple of kvHeads`,
    op,
    args: (at: number) => [...new Array(op === 'attentionForward' ? 6 : 10).fill(at), 1, 1, 3, 2, 4],
  })),
  ...Object.keys(GROUPED).map(dtype => ({
    message: 'matmul: cols must be a multiple of the block',
    op: `matmul_${dtype}`,
    args: (at: number) => [at, at, at, 1, 1, 33],
  })),
  {
    message: 'topLogprobs: k exceeds the vocabulary',
    op: 'topLogprobs',
    args: at => [at, at, at, 4, 5],
  },
  ...[
    [0, 1, 0],
    [4, -1, 0],
    [4, 1, 1],
    [4, 1, -0.5],
    [4, NaN, 0],
  ].map(([vocab, temperature, u]) => ({
    message: 'sample: argument out of range',
    op: 'sample',
    args: (at: number) => [at, at, at, vocab!, temperature!, 0, 1, 0, u!],
  })),
];

/** What the sources assert, as the debug build says it, the column apart. */
function assertions(): string[] {
  const found: string[] = [];
  for (const file of readdirSync(join(projectRoot, 'assembly')).filter(name => name.endsWith('.ts'))) {
    const lines = readFileSync(join(projectRoot, 'assembly', file), 'utf8').split('\n');
    for (const [i, line] of lines.entries()) {
      const message = /\bassert\(.*, '(.*)'\);/.exec(line)?.[1];
      if (message) found.push(`${message} at assembly/${file}:${i + 1}`);
      else if (/^\s*assert\(/.test(line))
        throw new Error(`assembly/${file}:${i + 1} asserts without a message`);
    }
  }
  return found;
}

test('each failed assertion prints one line with message, file and line, and traps', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cria-debug-'));
  const said = new Set<string>();
  for (const { message, op, args, memory } of FAILING) {
    const file = join(folder, 'stderr');
    const stderr = openSync(file, 'w');
    const kernels = debugKernels(stderr);
    const at = Math.ceil(kernels['heapBase']!()! / 16) * 16;
    new Int32Array(kernels.memory.buffer).set(memory ?? [], at / 4);
    assert.throws(
      () => kernels[op]!(...args(at)),
      (error: Error) => error instanceof WebAssembly.RuntimeError && /unreachable/.test(error.message),
    );
    closeSync(stderr);
    const [line, ...more] = readFileSync(file, 'utf8').split('\n');
    assert.equal(more, [''], `${op} prints one line`);
    const place = line!.replace(/:\d+$/, '');
    assert.ok(place.startsWith(`${message} at `), line);
    said.add(place);
  }
  rmSync(folder, { recursive: true });
  assert.equal(
    [...said].sort(),
    assertions().sort(),
    'FAILING must have a call for each assert() of assembly/',
  );
});

/** Runs a laid-out call and hashes what it wrote. */
function hash(kernels: Kernels, { op, args, ranges, base, image }: Layout): string {
  const memory = new Uint8Array(kernels.memory.buffer);
  memory.set(image, base);
  const sha = createHash('sha256').update(String(kernels[op]!(...args)));
  for (const { role, start, bytes } of ranges) {
    if (role === 'out' || role === 'inout') sha.update(memory.subarray(start, start + bytes));
  }
  return sha.digest('hex');
}

test('debug and release builds give the same bits', () => {
  const debug = debugKernels(2);
  const [simd, train] = [releaseKernels('simd'), releaseKernels('train')];
  for (const { memory } of [debug, simd, train]) memory.grow(64);
  const random = Random.seeded(3);
  for (let round = 0; round < 20; round++) {
    for (const op of [...ops, ...trainOps]) {
      const layout = layOut(randomCase(op, random, 'simd'), random);
      const release = ops.includes(op) ? simd : train;
      assert.is(hash(debug, layout), hash(release, layout), `${op} ${JSON.stringify(layout.shape)}`);
    }
  }
});

for (const build of ['simd', 'relaxed', 'train']) {
  const name = `the ${build} build imports nothing and exports what the debug build exports`;
  const binary = wasm(`${build}.wasm`);
  if (!WebAssembly.validate(binary)) {
    console.log(`skipped: ${name} (this engine has no relaxed SIMD)`);
    continue;
  }
  test(name, () => {
    const release = new WebAssembly.Module(binary);
    assert.equal(WebAssembly.Module.imports(release), []);
    const names = (module: WebAssembly.Module) => WebAssembly.Module.exports(module).map(({ name }) => name);
    const debug = names(new WebAssembly.Module(wasm('debug.wasm')));
    assert.equal(
      names(release).filter(name => !debug.includes(name)),
      [],
    );
  });
}

test('the release builds together take at most 100,000 bytes', () => {
  const bytes = ['simd', 'relaxed'].map(name => wasm(`${name}.wasm`).length);
  assert.ok(bytes[0]! + bytes[1]! <= 100_000, `simd ${bytes[0]}, relaxed ${bytes[1]}`);
});

test.run();
