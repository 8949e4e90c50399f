// The benchmarks of the GPU, tried where there is none: kernels on the mock driver, models and training on the CPU, PyTorch dry.

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { KernelSizes } from '../bench/gpu/bench-ops.ts';
import { inference, rateTogether } from '../bench/gpu/inference.ts';
import { kernels } from '../bench/gpu/kernels.ts';
import { modelSource } from '../bench/gpu/model-source.ts';
import { byPyTorch } from '../bench/gpu/peer.ts';
import { type Line, peakOf, Session } from '../bench/gpu/session.ts';
import { training } from '../bench/gpu/training.ts';
import { modelChunks } from '../bench/make-model.ts';
import { openDevice } from '../gpu-plugin/index.ts';
import { BLOCK } from '../host/dtype.ts';
import { StateError } from '../host/errors.ts';
import { pythonWith } from '../scripts/python.ts';
import { canBuildMock, mockOptions } from './support/gpu.ts';
import { projectRoot } from './support/shared.ts';

const test = suite('benchmarks of the GPU');

const TINY: KernelSizes = {
  matrices: [[8, 256]],
  few: [1, 2],
  many: 9,
  vocab: 64,
  heads: 4,
  headDim: 64,
  hidden: 256,
  batches: [1, 2],
  context: 8,
  turns: 2 ** 19,
  calls: 1,
  ms: 0,
};

/** Beside matmul. */
const OPS = [
  ...['normedMatmuls', 'gatedMatmul', 'addMatmul', 'ropeAppend', 'attention', 'sample', 'topLogprobs'],
  ...['rmsnorm', 'rope', 'append', 'swiglu', 'add'],
];

function collected(minutes = 10): { session: Session; lines: Line[] } {
  const lines: Line[] = [];
  return { session: new Session(minutes, line => lines.push(line)), lines };
}

const ceilings = { bandwidth: 1000, peak: 100, matmul: 50 };

if (canBuildMock('benchmarks of kernels')) {
  test('every op of the kernels is timed', async () => {
    const { session, lines } = collected();
    await kernels(session, () => openDevice(mockOptions()).device, ceilings, TINY);
    assert.equal(
      lines.filter(({ failed }) => failed),
      [],
    );
    const products = lines.filter(({ op }) => op === 'matmul');
    assert.equal(new Set(products.map(({ dtype }) => dtype)), new Set(Object.keys(BLOCK)));
    assert.equal(new Set(products.map(({ n }) => n)), new Set([1, 2, 9]));
    const ops = new Set(lines.map(({ op }) => op));
    for (const op of OPS) assert.ok(ops.has(op), op);
    for (const line of lines) {
      const { us, GBs, share } = line as Line & Record<'us' | 'GBs' | 'share', number>;
      assert.ok(us > 0 && Math.abs(GBs / share / ceilings.bandwidth - 1) < 1e-9, JSON.stringify(line));
    }
  });
}

test('a figure that fails, does not fit or comes too late costs no other', async () => {
  const { session, lines } = collected();
  const parts = { where: 'GPU memory', expected: 'less', got: 'more', hint: 'Take less.' };
  const fail = (error: Error) => async () => {
    throw error;
  };
  await session.measure({ bench: 'a' }, fail(new Error('broken')));
  await session.measure({ bench: 'b' }, fail(new StateError('out-of-memory', parts)));
  await session.measure({ bench: 'c' }, async () => ({ us: 1 }));
  const late = new Session(0, line => lines.push(line));
  await late.measure({ bench: 'd' }, async () => ({ us: 1 }));
  assert.equal(lines, [
    { bench: 'a', failed: 'broken' },
    { bench: 'b', skipped: 'GPU memory: expected less, got more. Take less.' },
    { bench: 'c', us: 1 },
    { bench: 'd', skipped: 'no time left' },
  ]);
  assert.is(peakOf('NVIDIA A100-SXM4-80GB'), 312);
  assert.is(peakOf('NVIDIA H100 80GB HBM3'), 989);
  assert.is(peakOf('mock'), undefined);
});

test('sequences count while all of them run', () => {
  const at = (index: number, ...times: number[]) => times.map(ms => ({ index, ms }));
  assert.is(rateTogether([...at(0, 0, 10, 20, 30), ...at(1, 10, 20, 30, 40)]), 200);
});

test('a model in memory is the file', async () => {
  const source = modelSource('15M-Q8_0');
  const file = Buffer.concat([...modelChunks('15M-Q8_0')]);
  assert.is(source.size, file.length);
  for (const [offset, length] of [
    [0, file.length],
    [file.length - 5, 5],
    [12345, 10 ** 7],
  ] as const) {
    const view = new Uint8Array(length);
    await source.readInto(view, offset);
    assert.ok(file.subarray(offset, offset + length).equals(view), `${length} bytes from ${offset}`);
  }
});

test('every figure of a model is had', async () => {
  const { session, lines } = collected();
  const options = { reps: 1, batches: [1, 2], free: 25e6 }; // three sequences beside the weights
  await inference(session, '15M-Q8_0', options, ceilings, 'wasm');
  assert.equal(
    lines.map(({ what }) => what),
    ['load', 'agreement', 'prompt', 'decode', 'decode', 'throughput'],
  );
  const [load, agreement, prompt, one, two, throughput] = lines;
  assert.ok((load!['GBs'] as number) > 0);
  assert.is(agreement!['tokens'], agreement!['of']);
  for (const line of [prompt, one, two, throughput])
    assert.ok((line!['tokensPerSecond'] as number) > 1, JSON.stringify(line));
  assert.equal([two!['batch'], two!['before'], prompt!['length']], [2, 512, 2047]);
  assert.equal([throughput!['sequences'], throughput!['tokens'], throughput!['complete']], [2, 512, true]);
});

test('steps of training are measured, and their products counted', async () => {
  const { session, lines } = collected();
  const job = { shape: '15M/1', T: 8, sequences: 1, recompute: false, precision: 'f32' } as const;
  await training(session, job, ceilings, 'wasm');
  const [{ failed, loss, tokensPerSecond, tflops, mfu, parameters }] = lines as [Line];
  assert.is(failed, undefined);
  assert.ok(Math.abs((loss as number) - Math.log(32000)) < 0.5, `${loss}`);
  // one layer of 288 and the output matrix; 4.5 tokens of attention
  assert.is(parameters, 32000 * 288 + 4 * 288 ** 2 + 3 * 288 * 768 + 3 * 288);
  const flops = 6 * (32000 * 288 + 4 * 288 ** 2 + 3 * 288 * 768 + 2 * 288 * 4.5);
  assert.ok(Math.abs((tflops as number) / (((tokensPerSecond as number) * flops) / 1e12) - 1) < 1e-9);
  assert.is(mfu, (tflops as number) / ceilings.peak);
  // the CPU knows f32 alone
  await training(session, { ...job, precision: 'bf16' }, ceilings, 'wasm');
  assert.match(String(lines[1]!['failed']), /precision: expected 'f32'/);
});

const python = pythonWith('torch');
if (python === undefined) console.log('skipped: the benchmark of PyTorch: no Python with torch');
else {
  test('what PyTorch is asked to do runs on a CPU at tiny shapes', () => {
    const script = join(projectRoot, 'bench', 'gpu', 'pytorch.py');
    for (const args of [[], ['--recompute', '--only', 'train']]) {
      const output = execFileSync(python, [script, '--dry-run', ...args], { encoding: 'utf8' });
      const lines = output
        .trim()
        .split('\n')
        .map(line => JSON.parse(line));
      assert.equal(
        lines.filter(({ failed, skipped }) => failed ?? skipped),
        [],
      );
      assert.ok(lines.at(-1).what === 'train' && lines.at(-1).tokensPerSecond > 0);
    }
  });

  test('what PyTorch says is a line of the session', async () => {
    const { session, lines } = collected();
    assert.is(await byPyTorch(session, 0.5, ['--dry-run', '--only', 'ceilings']), lines.at(-1)!['tflops']);
    await byPyTorch(session, 0.5, ['--none']);
    assert.match(lines.at(-1)!['failed'] as string, /unrecognized arguments: --none/);
    assert.is(lines.length, 4);
  });
}

test.run();
