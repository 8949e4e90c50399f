// docs/gpu-evidence.md: its counts held to the model's own, its occupancy to NVIDIA's header, and whether it is of today's sources.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { buildKernels, compiler } from '../gpu-plugin/build.ts';
import { mixesOf, resourcesOf, unitOf } from '../gpu-plugin/evidence/code.ts';
import { blocksPerMultiprocessor, MULTIPROCESSORS } from '../gpu-plugin/evidence/machine.ts';
import { EVIDENCE, evidence, sourcesHash } from '../gpu-plugin/evidence/main.ts';
import { type Counted, decodeTrace, LLAMA_7B, promptTrace } from '../gpu-plugin/evidence/trace.ts';
import { FORMULAS, formulaOf } from '../gpu-plugin/evidence/traffic.ts';
import { rowBytes } from '../host/dtype.ts';
import { llamaShapes } from '../host/llama-shape.ts';
import { uniform } from './support/tiny-model.ts';

const test = suite('evidence without a GPU');

const sum = (launches: readonly Counted[], of: (launch: Counted) => number) =>
  launches.reduce((total, launch) => total + of(launch), 0);

const { dim, nLayers, vocabSize } = LLAMA_7B;
const shapes = [...llamaShapes(LLAMA_7B)];
const matrices = shapes.filter(({ name, norm }) => !norm && name !== 'token_embd.weight');
const norms = shapes.filter(({ norm }) => norm).length;
const numbers = matrices.reduce((total, { rows, cols }) => total + rows * cols, 0);

test('a token reads each weight once, a row of the table, and the keys and values before it', async () => {
  for (const dtype of ['f16', 'q8_0', 'q4_0', 'q4_k'] as const) {
    const launches = await decodeTrace(LLAMA_7B, dtype, 500);
    const stored = rowBytes(dtype, numbers + vocabSize * dim + dim) + 4 * norms * dim;
    assert.is(
      sum(launches, ({ bytes }) => bytes.weights),
      stored,
      dtype,
    );
    // 501 positions are read, one is written
    assert.is(
      sum(launches, ({ bytes }) => bytes.cache),
      2 * nLayers * 2 * dim * 502,
    );
    assert.is(
      sum(launches, ({ flops }) => flops),
      2 * (numbers + vocabSize * dim) + nLayers * 4 * dim * 501,
    );
  }
});

test('a prompt meets each weight with all its tokens, but the output matrix with its last', async () => {
  const n = 256;
  const launches = await promptTrace(LLAMA_7B, 'f16', n);
  assert.is(
    sum(launches, ({ bytes }) => bytes.cache),
    2 * nLayers * 2 * dim * 2 * n,
  );
  assert.is(
    sum(launches, ({ flops }) => flops),
    2 * n * numbers + 2 * vocabSize * dim + nLayers * 4 * dim * ((n * (n + 1)) / 2),
  );
});

test('a kernel without a formula is told, and where to add one; none waits for a kernel', async () => {
  for (const name of ['attention_split_f17', 'rope_table', 'none']) {
    assert.throws(
      () => formulaOf(name),
      new RegExp(`kernel ${name}: no formula\\. Add to FORMULAS in gpu-plugin`),
    );
  }
  assert.equal(formulaOf('matvec8_one_q4_k'), [FORMULAS['matvec8_one'], 'q4_k']);
  const launches = [
    ...(await decodeTrace(LLAMA_7B, 'f16', 500)),
    ...(await promptTrace(LLAMA_7B, 'f16', 256)),
    ...(await promptTrace(LLAMA_7B, 'q4_0', 256)),
    ...(await decodeTrace(LLAMA_7B, 'q4_0', 500)),
  ];
  const used = new Set(launches.map(({ name }) => formulaOf(name)[0]));
  for (const [family, formula] of Object.entries(FORMULAS)) assert.ok(used.has(formula), family);
});

test('reports of the compilers are read', () => {
  const log = `ptxas info    : Compiling entry function 'two' for 'sm_80'
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 32 registers, used 1 barriers, 16640 bytes smem, 392 bytes cmem[0]
ptxas info    : Compiling entry function 'two' for 'sm_90'
ptxas info    : Used 14 registers, used 0 barriers, 380 bytes cmem[0]`;
  assert.equal(resourcesOf(log).get('two'), {
    sm_80: { registers: 32, shared: 16640 },
    sm_90: { registers: 14, shared: 0 },
  });
  const ptx = `.visible .entry one(
)
{
\tld.global.nc.v4.u32 \t{%r1, %r2, %r3, %r4}, [%rd1];
\t@%p1 ld.global.u16 \t%rs1, [%rd2];
\tmma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f1}, {%r1}, {%r2}, {%f1};
\tbar.sync \t0;
\tst.global.v2.f32 \t[%rd3], {%f1, %f2};
}
.visible .entry two(
)
{
\tdp4a.s32.s32 \t%r1, %r2, %r3, %r4;
}
`;
  const [one, two] = ['one', 'two'].map(name => mixesOf(ptx).get(name)!);
  assert.equal(one!.loads, { 16: 1, 2: 1 });
  assert.equal([one!.stores, one!.mma, one!.barriers, one!.dp4a], [1, 1, 1, 0]);
  assert.equal([unitOf(one!), unitOf(two!)], ['mma', 'dp4a']);
});

const HEADER = '/usr/local/cuda/include/cuda_occupancy.h';
const ORACLE = `#include <cstdio>
#include <climits>
#include <cuda_occupancy.h>
int main() {
  int major, threads, registers, shared, perMultiprocessor;
  while (scanf("%d %d %d %d %d", &major, &threads, &registers, &shared, &perMultiprocessor) == 5) {
    cudaOccDeviceProp device;
    device.computeMajor = major;
    device.computeMinor = 0;
    device.maxThreadsPerBlock = 1024;
    device.maxThreadsPerMultiprocessor = 2048;
    device.regsPerBlock = device.regsPerMultiprocessor = 65536;
    device.warpSize = 32;
    device.sharedMemPerBlock = 48 << 10;
    device.sharedMemPerMultiprocessor = perMultiprocessor;
    device.sharedMemPerBlockOptin = perMultiprocessor - 1024;
    device.reservedSharedMemPerBlock = 1024;
    device.numSms = 1;
    cudaOccFuncAttributes kernel;
    kernel.maxThreadsPerBlock = INT_MAX;
    kernel.numRegs = registers;
    kernel.sharedSizeBytes = 0;
    kernel.partitionedGCConfig = PARTITIONED_GC_OFF;
    kernel.shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN;
    kernel.maxDynamicSharedSizeBytes = shared;
    kernel.numBlockBarriers = 1;
    cudaOccDeviceState state;
    cudaOccResult result;
    if (cudaOccMaxActiveBlocksPerMultiprocessor(&result, &device, &kernel, &state, threads, shared)) return 1;
    printf("%d\\n", result.activeBlocksPerMultiprocessor);
  }
}
`;

if (existsSync(HEADER) && compiler('g++')) {
  test("blocks of a multiprocessor are those of NVIDIA's cuda_occupancy.h", () => {
    const folder = mkdtempSync(join(tmpdir(), 'cria-occupancy-'));
    try {
      writeFileSync(join(folder, 'oracle.cpp'), ORACLE);
      const program = join(folder, 'oracle');
      execFileSync('g++', ['-w', '-I/usr/local/cuda/include', join(folder, 'oracle.cpp'), '-o', program]);
      const random = uniform(3);
      const integer = (most: number) => Math.floor(((random() + 1) / 2) * most);
      const cases = Array.from({ length: 2000 }, () => {
        const arch = random() < 0 ? 'sm_80' : 'sm_90';
        const threads = 32 * (1 + integer(32));
        const most = Math.min(255, 8 * Math.floor(65536 / threads / 8));
        return [arch, threads, 1 + integer(most), random() < 0 ? 0 : integer(99 * 1024)] as const;
      });
      const input = cases.map(([arch, ...rest]) =>
        [arch === 'sm_80' ? 8 : 9, ...rest, MULTIPROCESSORS[arch].shared].join(' '),
      );
      const output = execFileSync(program, { input: input.join('\n'), encoding: 'utf8' })
        .trim()
        .split('\n');
      const own = cases.map(values => blocksPerMultiprocessor(...values));
      for (const [i, values] of cases.entries()) assert.is(own[i], Number(output[i]), values.join(' '));
      assert.is(output.length, cases.length);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
} else console.log('skipped: occupancy: no cuda_occupancy.h');

test('the page says of which sources it is, and is what they make', async () => {
  const page = readFileSync(EVIDENCE, 'utf8');
  const current = page.includes(`Sources: \`${sourcesHash()}\``);
  console.log(
    `figures: docs/gpu-evidence.md is ${current ? '' : 'not '}of today's sources (npm run gpu:evidence)`,
  );
  if (!current || !process.env['CRIA_FULL'] || !compiler('nvcc')) return;
  buildKernels();
  assert.is(page, await evidence());
});

test.run();
