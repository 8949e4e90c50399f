// The package `cria-cuda`: finds the driver, a device and the kernels, and says what is missing. What is done with them is
// host/cuda.ts in the package `cria`.

import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { SIGNATURES } from './signatures.ts';

export type CudaErrorCode =
  | 'no-addon'
  | 'no-driver'
  | 'driver-too-old'
  | 'no-device'
  | 'device-too-old'
  | 'no-kernels'
  | 'bad-kernels'
  | 'no-nccl'
  | 'out-of-memory'
  | 'failed'
  | 'closed';

/** Why the GPU cannot be used: what was tried, what it needs, what was found, what to do. */
export class CudaError extends Error {
  readonly code: CudaErrorCode;
  readonly where: string;
  readonly expected: string;
  readonly got: string;
  readonly hint: string;

  constructor(code: CudaErrorCode, where: string, expected: string, got: string, hint: string) {
    super(`${where}: expected ${expected}, got ${got}. ${hint}`);
    this.name = 'CudaError';
    this.code = code;
    this.where = where;
    this.expected = expected;
    this.got = got;
    this.hint = hint;
  }
}

/** A GPU, as the addon gives it. Addresses are the device's; what fails on it, `read` tells. */
export interface Device {
  /** @returns what `launch` calls a kernel */
  kernel(name: string): number;
  /** @throws Error with code 'out-of-memory' */
  allocate(bytes: number): number;
  /** Free and all bytes. */
  memory(): [free: number, all: number];
  launch(kernel: number, gridX: number, gridY: number, threads: number, ...values: number[]): void;
  /** The bytes are copied before it returns. */
  write(address: number, bytes: Uint8Array): void;
  copy(to: number, from: number, bytes: number): void;
  /** Resolves when all that was queued before is done. */
  read(address: number, bytes: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Launches and copies from here to `endRecording`, and nothing else, are kept and not run. */
  beginRecording(): void;
  /** @returns what `replay` calls them */
  endRecording(): number;
  /** Queues what was recorded, as one CUDA graph. */
  replay(recording: number): void;
  /** Whether there is a cuBLASLt: looked for at the first question, where CRIA_CUBLASLT says, or as the system does. */
  readonly hasGemm: boolean;
  /**
   * Queues out = a · b, or out + a · b to `add`, by cuBLASLt: out (m, n) in f32, a (m, k) and b (k, n) in `format`, row-major. T in
   * `layout` says of a that it is stored as (k, m), of b as (n, k). Only where `hasGemm`.
   */
  gemm(
    type: 'bf16' | 'f16',
    layout: 'nt' | 'nn' | 'tn',
    out: number,
    a: number,
    b: number,
    m: number,
    n: number,
    k: number,
    add: boolean,
    workspace: number,
    workspaceBytes: number,
  ): void;
  /**
   * Of a rank, and called on all in the same order: `count` words of 32 bits become the sums of theirs. Where all but one rank
   * have zeros they become its bits.
   */
  sum(address: number, count: number): void;
  /** While it is held, what is queued stays in the queue. Nothing where the device is closed. */
  hold(held: boolean): void;
  /** Ends the other ranks too, if it is one of several. */
  close(): void;
}

export interface DeviceInfo {
  name: string;
  /** Compute capability. */
  major: number;
  minor: number;
  multiprocessors: number;
  memory: number;
}

/** As the addon makes it: what a kernel takes must be said once. */
interface Native extends Omit<Device, 'kernel'> {
  kernel(name: string, kinds: string, shared: number): number;
}

interface Addon {
  probe(library: string): { version: number; devices: DeviceInfo[] };
  join(devices: Device[]): Promise<void>;
  Device: new (library: string, index: number, image: Uint8Array) => Native;
}

export interface OpenDeviceOptions {
  /** The driver's library; a name is looked up as the system does, `LD_LIBRARY_PATH` included. Default 'libcuda.so.1'. */
  library?: string;
  /** Which GPU. Default 0. */
  index?: number;
  /** The folder of the addon and the kernels. Default: the package's own. */
  folder?: string;
}

/** The package's folder. */
const OWN = fileURLToPath(new URL('.', import.meta.url));

/** Drivers from this version on load what CUDA 13 compiled; older ones, to the second, compile the PTX themselves. */
const DRIVER_WITH_CUDA_13 = 13000;
const OLDEST_DRIVER = 11080;
/** The oldest GPUs that the kernels are compiled for. */
const OLDEST_COMPUTE = 8;

/**
 * Opens a GPU, its kernels loaded.
 * @throws CudaError
 */
export function openDevice(options: OpenDeviceOptions = {}): { device: Device; info: DeviceInfo } {
  const { library = 'libcuda.so.1', index = 0, folder = OWN } = options;
  const addon = loadAddon(folder);
  const { version, devices } = advised(library, () => addon.probe(library));
  if (version < OLDEST_DRIVER) {
    throw advice('driver-too-old', library, `one for CUDA ${versionText(version)}`);
  }
  const info = devices[index];
  if (!info)
    throw advice('no-device', library, `${devices.length} devices, asked for number ${index}, from 0 on`);
  if (info.major < OLDEST_COMPUTE) {
    throw advice(
      'device-too-old',
      library,
      `${info.name}, of compute capability ${info.major}.${info.minor}`,
    );
  }
  const image = readKernels(
    join(folder, version >= DRIVER_WITH_CUDA_13 ? 'kernels.fatbin' : 'kernels.ptx.gz'),
  );
  return { device: advised(library, () => withKernels(new addon.Device(library, index, image))), info };
}

/** The device, which knows all kernels by their names. */
function withKernels(native: Native): Device {
  const kernels = new Map<string, number>();
  try {
    for (const [name, { kinds, shared }] of SIGNATURES) kernels.set(name, native.kernel(name, kinds, shared));
  } catch (error) {
    native.close();
    throw error;
  }
  // a method of the class is not written over by assignment
  return Object.defineProperty(native, 'kernel', { value: (name: string) => kernels.get(name)! }) as Device;
}

/**
 * Opens the first `count` GPUs. Several are ranks that exchange numbers through NCCL, which is looked for where CRIA_NCCL says, or
 * as the system does.
 * @throws CudaError
 */
export async function openDevices(
  count: number,
  options: Omit<OpenDeviceOptions, 'index'> = {},
): Promise<Device[]> {
  const devices: Device[] = [];
  try {
    for (let index = 0; index < count; index++) devices.push(openDevice({ ...options, index }).device);
    if (count > 1) await joined(devices, options.folder);
    return devices;
  } catch (error) {
    for (const device of devices) device.close();
    throw error;
  }
}

async function joined(devices: Device[], folder: string | undefined): Promise<void> {
  try {
    await loadAddon(folder).join(devices);
  } catch (error) {
    advised('NCCL', () => {
      throw error;
    });
  }
}

function loadAddon(folder = OWN): Addon {
  const path = join(folder, `${process.platform}-${process.arch}`, 'cria-cuda.node');
  try {
    return createRequire(import.meta.url)(path) as Addon;
  } catch (error) {
    throw advice('no-addon', path, existsSync(path) ? (error as Error).message : 'no such file');
  }
}

function readKernels(path: string): Uint8Array {
  try {
    const stored = readFileSync(path);
    const bytes = path.endsWith('.gz') ? gunzipSync(stored) : stored;
    // PTX is a text that ends with a 0
    const image = new Uint8Array(bytes.length + 1);
    image.set(bytes);
    return image;
  } catch (error) {
    throw advice('no-kernels', path, (error as NodeJS.ErrnoException).code ?? String(error));
  }
}

function versionText(version: number): string {
  return `${Math.floor(version / 1000)}.${(version % 1000) / 10}`;
}

/** What each failure needs, and what helps. */
const ADVICE: Record<CudaErrorCode, [expected: string, hint: string]> = {
  'no-addon': [
    'an addon for this platform',
    'There is one for Linux on x64; elsewhere build it (README.md), or compute with the backend wasm.',
  ],
  'no-driver': [
    'the NVIDIA driver',
    'Install it (nvidia-smi tells whether it runs), give a container the GPU (docker run --gpus all), or compute with the backend wasm.',
  ],
  'driver-too-old': [
    `an NVIDIA driver for CUDA ${versionText(OLDEST_DRIVER)} or newer (520 or later)`,
    'Update the driver.',
  ],
  'no-device': [
    'an NVIDIA GPU',
    'See nvidia-smi and CUDA_VISIBLE_DEVICES, or compute with the backend wasm.',
  ],
  'device-too-old': [
    `a GPU of compute capability ${OLDEST_COMPUTE}.0 (Ampere) or newer`,
    'Choose another GPU by CUDA_VISIBLE_DEVICES, or compute with the backend wasm.',
  ],
  'no-kernels': ['the compiled kernels', 'Install cria-cuda again, or build them (README.md).'],
  'bad-kernels': [
    'kernels that this driver loads',
    'Install cria-cuda again, with the version that belongs to this cria, and update the driver.',
  ],
  'no-nccl': [
    'NCCL 2, through which several GPUs compute one model',
    'Install it (libnccl2, or pip install nvidia-nccl-cu13 and CRIA_NCCL as the path of its library or of site-packages), or take one GPU.',
  ],
  'out-of-memory': ['memory on the GPU', 'End other programs that use it (nvidia-smi lists them).'],
  failed: ['a driver call that succeeds', 'See nvidia-smi; a GPU that has failed needs a new process.'],
  closed: ['an open device', 'Open it again.'],
};

function advice(code: CudaErrorCode, where: string, got: string): CudaError {
  const [expected, hint] = ADVICE[code];
  return new CudaError(code, where, expected, got, hint);
}

/** Turns the addon's errors, which have a code and say what was found, into advice. */
function advised<T>(where: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    if (code !== undefined && code in ADVICE) throw advice(code as CudaErrorCode, where, message);
    throw error;
  }
}
