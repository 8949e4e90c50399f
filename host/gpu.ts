import { Cuda } from './cuda.ts';
import type { CudaDevice } from './cuda-memory.ts';
import { type ErrorParts, StateError } from './errors.ts';
import { Here } from './here.ts';
import type { Place } from './place.ts';

/** What the package cria-cuda gives. */
interface Plugin {
  openDevice(): { device: CudaDevice };
}

let warned = false;

/**
 * The GPU as the place of a model: its work runs beside the calling thread, which waits for no more than answers.
 * @param plugin the URL of the package cria-cuda, undefined if it is not installed
 * @param wanted whether nothing else will do
 * @returns undefined where there is no GPU that can be used; says so once if the package is installed
 * @throws StateError 'gpu-unavailable' if it is `wanted` and there is none
 */
export async function gpuPlace(plugin: string | undefined, wanted: boolean): Promise<Place | undefined> {
  try {
    return new Here(await openGpu(plugin, device => new Cuda(device)));
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
  try {
    return make(await openDevice(plugin));
  } catch (error) {
    throw explained(error);
  }
}

async function openDevice(plugin: string | undefined): Promise<CudaDevice> {
  if (plugin !== undefined) {
    const { openDevice }: Plugin = await import(/* webpackIgnore: true */ /* @vite-ignore */ plugin);
    return openDevice().device;
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
