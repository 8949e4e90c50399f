// What can be said of the GPU plugin without a GPU, beside its numbers: the driver's interface is NVIDIA's, the kernels
// compile for GPUs and keep to their registers, and what is missing is told with what to do.

import { execFileSync, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { buildAddon, buildKernels, buildMock, compiler, PLUGIN } from '../gpu-plugin/build.ts';
import { kernelsHash } from '../gpu-plugin/hash.ts';
import { CudaError, type CudaErrorCode, type OpenDeviceOptions, openDevice } from '../gpu-plugin/index.ts';
import { canBuildMock, mockOptions, withMock } from './support/gpu.ts';
import { projectRoot } from './support/shared.ts';

const test = suite('the CUDA plugin');

interface Budget {
  registers: number;
  shared: number;
  stack?: number;
}

function skip(what: string, why: string): void {
  console.log(`skipped: ${what}: ${why}`);
}

const CUDA_HEADER = '/usr/local/cuda/include';
if (existsSync(join(CUDA_HEADER, 'cuda.h')) && compiler('g++')) {
  test("the driver's interface is that of <cuda.h>", () => {
    execFileSync('g++', [
      '-std=c++17',
      '-fsyntax-only',
      '-Wno-enum-compare',
      `-I${CUDA_HEADER}`,
      join(PLUGIN, 'test/abi.cpp'),
    ]);
  });
} else skip("the driver's interface", 'no cuda.h');

if (compiler('nvcc')) {
  test('the kernels compile, spill nothing and keep to their budget', () => {
    const budgets: Record<string, Budget> = JSON.parse(
      readFileSync(join(PLUGIN, 'kernels/budget.json'), 'utf8'),
    );
    const seen = new Set<string>();
    const report = buildKernels();
    for (const part of report.split('Compiling entry function ').slice(1)) {
      const [, name, arch] = /^'(\w+)' for '(\w+)'/.exec(part)!;
      const family = Object.keys(budgets)
        .filter(key => name === key || name!.startsWith(`${key}_`))
        .sort((a, b) => b.length - a.length)[0];
      assert.ok(family, `no budget for ${name}`);
      const { registers, shared, stack = 0 } = budgets[family!]!;
      const number = (pattern: RegExp) => Number(pattern.exec(part)?.[1] ?? 0);
      const label = `${name} for ${arch}`;
      assert.is(number(/(\d+) bytes spill stores/), 0, `${label} spills`);
      assert.is(number(/(\d+) bytes spill loads/), 0, `${label} spills`);
      assert.ok(number(/Used (\d+) registers/) <= registers, `${label}: over ${registers} registers`);
      assert.ok(number(/(\d+) bytes smem/) <= shared, `${label}: over ${shared} bytes of shared memory`);
      assert.ok(number(/(\d+) bytes stack frame/) <= stack, `${label}: over ${stack} bytes of stack`);
      seen.add(family!);
    }
    assert.equal([...seen].sort(), Object.keys(budgets).sort(), 'a budget without a kernel');
    assert.match(readFileSync(join(PLUGIN, 'dist/kernels.ptx'), 'utf8'), /^\.version 7\.8$/m);
  });
} else skip('kernels for GPUs', 'no nvcc');

test('records of GPUs say of which kernels, and the README names the newest', () => {
  const folder = join(projectRoot, 'bench', 'record');
  const names = readdirSync(folder).filter(name => /-gpu-/.test(name));
  const records = names.sort().map(name => JSON.parse(readFileSync(join(folder, name), 'utf8')));
  for (const { kernelsSha256, driver, tests } of records) {
    assert.match(kernelsSha256, /^[0-9a-f]{64}$/);
    assert.match(driver, /\d+\.\d+/);
    assert.ok(Object.keys(tests).length > 0);
  }
  assert.ok(readFileSync(join(PLUGIN, 'README.md'), 'utf8').includes(names.at(-1)!));
  const hash = kernelsHash(join(PLUGIN, 'kernels'));
  const own = records.at(-1)?.kernelsSha256 === hash;
  console.log(`figures: today's kernels ${own ? 'are those' : 'are not all'} of the newest record of a GPU`);
});

function failureOf(options: OpenDeviceOptions): CudaError {
  try {
    openDevice(options).device.close();
  } catch (error) {
    assert.instance(error, CudaError);
    return error as CudaError;
  }
  throw new Error('it opened');
}

if (canBuildMock("the plugin's errors")) {
  test('what is missing is told: what was tried, needed and found, and what to do', async () => {
    const mock = mockOptions();
    const folder = mkdtempSync(join(tmpdir(), 'cria-cuda-'));
    const expect = (code: CudaErrorCode, options: OpenDeviceOptions, got: RegExp) => {
      const error = failureOf({ ...mock, ...options });
      assert.is(error.code, code);
      assert.match(error.got, got, code);
      assert.ok(error.hint.length > 10 && error.message.includes(error.hint), code);
    };
    try {
      expect('no-driver', { library: 'libnone.so.1' }, /libnone\.so\.1: cannot open shared object file/);
      expect('driver-too-old', { library: 'libm.so.6' }, /libm\.so\.6 without cuInit, /);
      expect('no-device', { index: 3 }, /1 devices, asked for number 3/);
      await withMock('VERSION', 11040, () => expect('driver-too-old', {}, /CUDA 11\.4/));
      await withMock('MAJOR', 7, () => expect('device-too-old', {}, /compute capability 7\.0/));
      // a driver library of another name starts anew
      copyFileSync(mock.library!, join(folder, 'libcuda.so.1'));
      await withMock('DEVICES', 0, () =>
        expect('no-device', { library: join(folder, 'libcuda.so.1') }, /CUDA_ERROR_NO_DEVICE/),
      );
      expect('no-addon', { folder }, /no such file/);
      mkdirSync(join(folder, 'linux-x64'));
      writeFileSync(join(folder, 'linux-x64', 'cria-cuda.node'), 'no library');
      expect('no-addon', { folder }, /file too short|invalid ELF/);
      copyFileSync(join(mock.folder!, 'linux-x64/cria-cuda.node'), join(folder, 'linux-x64/cria-cuda.node'));
      expect('no-kernels', { folder }, /ENOENT/);
      const plant = { file: 'add.cu', replace: 'REGISTER_KERNEL(add);', by: '' };
      expect('bad-kernels', mockOptions({ plant }), /no add: CUDA_ERROR_NOT_FOUND/);
      await withMock('REFUSE', 0, () => {
        const { device } = openDevice(mock);
        assert.throws(() => device.allocate(1), /CUDA_ERROR_OUT_OF_MEMORY/);
        device.close();
        assert.throws(() => device.allocate(1), /closed/);
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

if (process.env['CRIA_FULL'] && canBuildMock('kernels under sanitizers')) {
  test('every kernel under AddressSanitizer and UndefinedBehaviorSanitizer', () => {
    // here, since a compiler that the sanitizers watch is slow
    buildAddon();
    buildMock({ sanitize: true });
    const library = (name: string) =>
      execFileSync('g++', [`-print-file-name=${name}`], { encoding: 'utf8' }).trim();
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [join(projectRoot, 'dist/test/support/sanitized-program.js')],
      {
        encoding: 'utf8',
        env: {
          ...process.env,
          CRIA_SANITIZE: '1',
          LD_PRELOAD: `${library('libasan.so')}:${library('libubsan.so')}`,
          ASAN_OPTIONS: 'detect_leaks=0',
        },
      },
    );
    assert.is(status, 0, stdout + stderr);
    assert.is(stdout, 'done\n');
  });
}

test.run();
