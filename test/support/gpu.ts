// The CUDA backend without a GPU: the addon as it is, behind it a driver that runs the kernels on the CPU (gpu-plugin/mock).

import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { buildAddon, buildMock, type MockOptions, missingTool, OUT } from '../../gpu-plugin/build.ts';
import { type Device, type OpenDeviceOptions, openDevice } from '../../gpu-plugin/index.ts';
import type { Backend } from '../../host/backend.ts';
import { Cuda } from '../../host/cuda.ts';
import type { CudaDevice } from '../../host/cuda-device.ts';
import type { TrainBackend } from '../../host/train/backend.ts';
import type { Precision } from '../../host/train/config.ts';
import { TrainCuda } from '../../host/train/cuda.ts';

/** @returns the folder of an addon, and of kernels that only the mock takes for some */
export function pluginFolder(): string {
  const folder = dirname(dirname(buildAddon()));
  writeFileSync(join(folder, 'kernels.fatbin'), 'for the mock');
  writeFileSync(join(folder, 'kernels.ptx.gz'), gzipSync('for the mock'));
  return folder;
}

/** Set in a process that has the sanitizers' library: the kernels are compiled with them. */
const sanitize = process.env['CRIA_SANITIZE'] === '1';

/** What opens a device on the mock, with a bug in its kernels if one is given. */
export function mockOptions(options: MockOptions = {}): OpenDeviceOptions {
  // NVIDIA's own libraries want NVIDIA's driver
  for (const name of ['CRIA_CUBLASLT', 'CRIA_NCCL']) process.env[name] ??= 'none';
  const key = JSON.stringify(options);
  const made = MADE.get(key) ?? { library: buildMock({ sanitize, ...options }), folder: pluginFolder() };
  MADE.set(key, made);
  return made;
}

/** What was built in this process: to find that nothing has changed takes fifty times as long as a small test. */
const MADE = new Map<string, OpenDeviceOptions>();

export const cudaOnMock = (options?: MockOptions): Cuda => new Cuda(openDevice(mockOptions(options)).device);

export const trainCudaOnMock = (options?: MockOptions, precision?: Precision): TrainCuda =>
  new TrainCuda(openDevice(mockOptions(options)).device, precision);

/** Runs `use` with a setting of the mocks (gpu-plugin/mock). */
export const withMock = <T>(name: string, value: number, use: () => T | Promise<T>): Promise<T> =>
  withVariable(`CRIA_MOCK_${name}`, String(value), use);

/** Runs `use` with a variable of the environment. */
export async function withVariable<T>(name: string, value: string, use: () => T | Promise<T>): Promise<T> {
  const before = process.env[name];
  process.env[name] = value;
  try {
    return await use();
  } finally {
    if (before === undefined) delete process.env[name];
    else process.env[name] = before;
  }
}

/** Bytes that are free on the mock; another device is opened to ask, which takes some itself. */
export function freeBytes(): number {
  const { device } = openDevice(mockOptions());
  const [free] = device.memory();
  device.close();
  return free;
}

/** Says by name what is skipped where the mock cannot be built. */
export function canBuildMock(what: string): boolean {
  const missing = missingTool();
  if (missing) console.log(`skipped: ${what}: needs ${missing}`);
  return !missing;
}

/** A device that stays open when a backend is done with it: a GPU's context takes a third of a second to make. */
function kept(device: Device): Device {
  return {
    kernel: name => device.kernel(name),
    allocate: bytes => device.allocate(bytes),
    memory: () => device.memory(),
    launch: (...args) => device.launch(...args),
    write: (...args) => device.write(...args),
    copy: (...args) => device.copy(...args),
    read: (...args) => device.read(...args),
    beginRecording: () => device.beginRecording(),
    endRecording: () => device.endRecording(),
    replay: recording => device.replay(recording),
    hold: held => device.hold(held),
    get hasGemm() {
      return device.hasGemm;
    },
    gemm: (...args) => device.gemm(...args),
    sum: (...args) => device.sum(...args),
    close() {},
  };
}

/** The device that tests of a backend run on, by its name; none where it cannot be built. With CRIA_GPU=1 a GPU. */
export function devices(): Record<string, () => CudaDevice> {
  if (process.env['CRIA_GPU'] === '1') {
    const device = kept(openDevice({ folder: OUT }).device);
    return { cuda: () => device };
  }
  if (process.env['CRIA_ENGINES'] === '1') {
    console.log('skipped: cuda(mock): the same machine code under any engine');
    return {};
  }
  if (!canBuildMock('cuda(mock)')) return {};
  return { 'cuda(mock)': () => openDevice(mockOptions()).device };
}

/**
 * `cuda(mock)` as one more backend; none where it cannot be built. With CRIA_GPU=1, what gpu-plugin/dist finds instead: a GPU.
 * @param reserve bytes for buffers that lie side by side; without, each ends at a page that nobody may touch
 */
export function gpuBackends(reserve = 0): Record<string, () => Promise<Backend>> {
  return onDevices(device => {
    const backend = new Cuda(device);
    if (reserve > 0) backend.reserve(reserve);
    return backend;
  });
}

/** The same, as training takes it. */
export const gpuTrainBackends = (precision?: Precision): Record<string, () => Promise<TrainBackend>> =>
  onDevices(device => new TrainCuda(device, precision));

function onDevices<B>(make: (device: CudaDevice) => B): Record<string, () => Promise<B>> {
  return Object.fromEntries(
    Object.entries(devices()).map(([name, open]) => [name, async () => make(open())]),
  );
}
