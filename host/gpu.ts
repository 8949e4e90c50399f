import { Cuda } from './cuda.ts';
import type { CudaDevice } from './cuda-device.ts';
import { type ErrorParts, StateError } from './errors.ts';
import { Here } from './here.ts';
import type { Place } from './place.ts';

/** What the package cria-cuda gives. */
interface Plugin {
  openDevices(count: number): Promise<CudaDevice[]>;
}

let warned = false;

/**
 * The GPU as the place of a model: its work runs beside the calling thread, which waits for no more than answers.
 * @param plugin the URL of the package cria-cuda, undefined if it is not installed
 * @param wanted whether nothing else will do
 * @param count of GPUs that share the model
 * @returns undefined where there is no GPU that can be used; says so once if the package is installed
 * @throws StateError 'gpu-unavailable' if it is `wanted` and there is none
 */
export async function gpuPlace(
  plugin: string | undefined,
  wanted: boolean,
  count = 1,
): Promise<Place | undefined> {
  try {
    const gpus = await openGpus(plugin, count, device => new Cuda(device));
    if (count === 1) return new Here(gpus[0]!);
    return new (await import('./ranks/gpus.ts')).Gpus(gpus);
  } catch (error) {
    const unavailable = error as StateError;
    if (wanted) throw unavailable;
    if (plugin !== undefined && !warned) {
      warned = true;
      console.warn(`cria computes on the CPU. ${unavailable.message}`);
    }
    return undefined;
  }
}

/**
 * The GPU as a backend, which `make` makes of the device.
 * @throws StateError 'gpu-unavailable', 'out-of-memory'
 */
export async function openGpu<B>(plugin: string | undefined, make: (device: CudaDevice) => B): Promise<B> {
  return (await openGpus(plugin, 1, make))[0]!;
}

/** Several that exchange numbers. @throws as `openGpu` */
async function openGpus<B>(
  plugin: string | undefined,
  count: number,
  make: (device: CudaDevice) => B,
): Promise<B[]> {
  let devices: CudaDevice[] = [];
  try {
    devices = await openDevices(plugin, count);
    return devices.map(make);
  } catch (error) {
    for (const device of devices) device.close();
    throw explained(error);
  }
}

async function openDevices(plugin: string | undefined, count: number): Promise<CudaDevice[]> {
  if (plugin !== undefined) {
    const { openDevices }: Plugin = await import(/* webpackIgnore: true */ /* @vite-ignore */ plugin);
    return openDevices(count);
  }
  throw new StateError('gpu-unavailable', {
    where: "backend 'cuda'",
    expected: 'the package cria-cuda',
    got: 'no such package',
    hint: "Install it (npm install cria-cuda), or take backend: 'wasm'.",
  });
}

/** The plugin's errors have the parts of ours. */
function explained(error: unknown): StateError {
  if (error instanceof StateError) return error;
  const parts = error as Partial<ErrorParts> & { message: string };
  const {
    where = 'cria-cuda',
    expected = 'a GPU that can be used',
    got = parts.message,
    hint = 'Install cria-cuda again.',
  } = parts;
  return new StateError('gpu-unavailable', { where, expected, got, hint, cause: error });
}
