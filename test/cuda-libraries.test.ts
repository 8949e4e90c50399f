// Products by cuBLASLt: the addon as it is, behind it a driver and a library without a GPU (gpu-plugin/mock), or, with CRIA_GPU=1, those
// of a GPU.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { buildMock, buildMockLibrary, OUT } from '../gpu-plugin/build.ts';
import { openDevice } from '../gpu-plugin/index.ts';
import { Cuda } from '../host/cuda.ts';
import type { GemmLayout, GemmType } from '../host/cuda-device.ts';
import { canBuildMock, freeBytes, mockOptions, withMock, withVariable } from './support/gpu.ts';
import { encode } from './support/stored.ts';
import { uniform } from './support/tiny-model.ts';

const test = suite('cuBLASLt');

/** Lets a test call what backends call. */
class Products extends Cuda {
  product(...args: Parameters<Cuda['byLibrary']>): boolean {
    return this.byLibrary(...args);
  }
}

const FORMATS: GemmType[] = ['bf16', 'f16'];
const LAYOUTS: GemmLayout[] = ['nt', 'nn', 'tn'];
const SIZES = [
  [1, 1, 1],
  [3, 5, 7],
  [16, 8, 32],
  [33, 17, 65],
] as const;
const WORKSPACE = 2 ** 25;

/** Small whole numbers, which any order of sums adds exactly. */
function whole(count: number, seed: number): Float32Array {
  const random = uniform(seed);
  return Float32Array.from({ length: count }, () => Math.round(4 * random()));
}

const onGpu = process.env['CRIA_GPU'] === '1';
const device = () => openDevice(onGpu ? { folder: OUT } : mockOptions()).device;
const open = () => new Products(device());

/** Runs `use` with a library, on a GPU with what there is. @param without a function that it lacks */
const withLibrary = async <T>(use: () => T | Promise<T>, without?: string): Promise<T> =>
  onGpu ? use() : withVariable('CRIA_CUBLASLT', buildMockLibrary('cublaslt', buildMock(), without), use);

/** Puts numbers of 16 bits on the device, `skip` of them further than a buffer begins. */
async function put(b: Products, values: Float32Array, format: GemmType, skip = 0): Promise<number> {
  const tensor = b.allocTensor(format, 1, skip + values.length);
  const padded = new Float32Array(skip + values.length);
  padded.set(values, skip);
  await b.fill(tensor, 0, 1, async view => view.set(encode(padded, format)));
  return tensor.buf + 2 * skip;
}

interface Shape {
  format: GemmType;
  layout: GemmLayout;
  size: readonly [m: number, n: number, k: number];
}

/** A product by plain loops, added to what `out` holds or not. */
function expected({ layout, size: [m, n, k] }: Shape, a: Float32Array, b: Float32Array, out?: Float32Array) {
  return Float32Array.from({ length: m * n }, (_, at) => {
    const [i, j] = [Math.floor(at / n), at % n];
    let sum = out?.[at] ?? 0;
    for (let p = 0; p < k; p++)
      sum += a[layout[0] === 't' ? p * m + i : i * k + p]! * b[layout[1] === 't' ? j * k + p : p * n + j]!;
    return sum;
  });
}

/** Both products of a shape, on what is at first no number and then on top of it. */
async function check(b: Products, shape: Shape, skip = 0): Promise<void> {
  const { format, layout, size } = shape;
  const [m, n, k] = size;
  const [left, right] = [whole(m * k, 1), whole(k * n, 2)];
  const [at, bt] = [await put(b, left, format, skip), await put(b, right, format, skip)];
  const out = b.allocF32(skip + m * n) + 4 * skip;
  const label = `${format} ${layout} ${size}, from ${skip}`;
  assert.ok(b.product(format, layout, out, at, bt, m, n, k, false), label);
  const once = expected(shape, left, right);
  assert.equal(await b.readF32(out, m * n), once, label);
  b.product(format, layout, out, at, bt, m, n, k, true);
  assert.equal(await b.readF32(out, m * n), expected(shape, left, right, once), `${label}, added`);
}

/** Of what only a mock does. */
function mockTest(name: string, run: () => Promise<void>): void {
  if (!onGpu) test(name, run);
}

test('products in every format, layout and size, also where buffers begin anywhere', () =>
  withLibrary(async () => {
    const b = open();
    for (const format of FORMATS)
      for (const layout of LAYOUTS)
        for (const size of SIZES) {
          await check(b, { format, layout, size });
          await check(b, { format, layout, size }, 1);
        }
    b.dispose();
  }));

mockTest('its memory is taken once, and counted, and nothing that it made stays', () =>
  withLibrary(async () => {
    const free = freeBytes();
    const b = open();
    const a = await put(b, whole(4, 1), 'f16');
    const out = b.allocF32(4);
    const before = b.bytes;
    for (let i = 0; i < 2; i++) assert.ok(b.product('f16', 'nt', out, a, a, 2, 2, 2, false));
    assert.is(b.bytes, before + WORKSPACE + 256);
    assert.ok(b.product('f16', 'nt', out, a, a, 0, 2, 2, false), 'nothing to do');
    await b.readF32(out, 4);
    b.dispose();
    assert.is(freeBytes(), free);
  }),
);

test('a product that is recorded runs when it is replayed', () =>
  withLibrary(async () => {
    const gpu = device();
    assert.ok(gpu.hasGemm);
    const [out, a, workspace] = [gpu.allocate(16), gpu.allocate(8), gpu.allocate(WORKSPACE)];
    gpu.write(out, new Uint8Array(16));
    gpu.write(a, encode(Float32Array.of(1, 2, 3, 4), 'bf16'));
    gpu.beginRecording();
    gpu.gemm('bf16', 'nn', out, a, a, 2, 2, 2, true, workspace, WORKSPACE);
    const recording = gpu.endRecording();
    for (const times of [0, 1, 2]) {
      if (times > 0) gpu.replay(recording);
      const got = new Float32Array((await gpu.read(out, 16)).buffer);
      assert.equal(
        Array.from(got),
        [7, 10, 15, 22].map(x => x * times),
      );
    }
    gpu.close();
  }));

mockTest('where there is none that works nothing is done, and nobody minds', async () => {
  const none = async (what: string) => {
    const b = open();
    const before = b.bytes;
    assert.not.ok(b.product('bf16', 'nt', 0, 0, 0, 1, 1, 1, false), what);
    assert.is(b.bytes, before, what);
    b.dispose();
  };
  await none('no library');
  await withVariable('CRIA_CUBLASLT', '/', () => none('a folder without one'));
  await withLibrary(() => none('a function is missing'), 'cublasLtMatmul');
  await withLibrary(() => withMock('LT_CREATE', 1, () => none('it does not start')));
  await withLibrary(() => withMock('MEMORY', 2 ** 24, () => none('no memory for its work')));
});

mockTest('a product that fails is told by every answer', () =>
  withLibrary(async () => {
    for (const [setting, value, message] of [
      ['LT_MATMUL', 13, /cublasLtMatmul: cublasStatus_t 13/],
      ['LT_SEARCH', 0, /cublasLtMatmulAlgoGetHeuristic: cublasStatus_t 15/],
    ] as const) {
      const before = freeBytes();
      const b = open();
      const out = b.allocF32(1);
      const a = await put(b, whole(1, 1), 'f16');
      await withMock(setting, value, async () => {
        b.product('f16', 'nt', out, a, a, 1, 1, 1, false);
        for (let i = 0; i < 2; i++) {
          const error = await b.readF32(out, 1).then(
            () => undefined,
            (error: { code: string; message: string }) => error,
          );
          assert.is(error?.code, 'gpu-failed');
          assert.match(error!.message, message);
        }
      });
      b.dispose();
      assert.is(freeBytes(), before);
    }
  }),
);

/** Whether the GPU's machine has the library; says so if not. */
function hasLibrary(): boolean {
  const gpu = device();
  const has = gpu.hasGemm;
  gpu.close();
  if (!has) console.log('skipped: cuBLASLt: none that CRIA_CUBLASLT or the system finds');
  return has;
}

if (onGpu ? hasLibrary() : canBuildMock('cuBLASLt')) test.run();
