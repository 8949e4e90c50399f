// The CUDA backend without a GPU: the addon as it is, behind it a driver that runs the kernels on the CPU (gpu-plugin/mock).

import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { buildAddon, buildMock, type MockOptions, missingTool } from '../../gpu-plugin/build.ts';
import { openDevice } from '../../gpu-plugin/index.ts';
import type { Backend } from '../../host/backend.ts';
import { Cuda } from '../../host/cuda.ts';

/** @returns the folder of an addon, and of kernels that only the mock takes for some */
export function pluginFolder(): string {
  const folder = dirname(dirname(buildAddon()));
  for (const name of ['kernels.fatbin', 'kernels.ptx']) writeFileSync(join(folder, name), 'for the mock');
  return folder;
}

/** A backend on the mock, with a bug in its kernels if one is given. */
export function cudaOnMock(options: MockOptions = {}): Cuda {
  return new Cuda(openDevice({ library: buildMock(options), folder: pluginFolder() }).device);
}

/** Says by name what is skipped where the mock cannot be built. */
export function canBuildMock(what: string): boolean {
  const missing = missingTool();
  if (missing) console.log(`skipped: ${what}: needs ${missing}`);
  return !missing;
}

/** `cuda(mock)` as one more backend; none where it cannot be built. */
export function gpuBackends(): Record<string, () => Promise<Backend>> {
  return canBuildMock('cuda(mock)') ? { 'cuda(mock)': async () => cudaOnMock() } : {};
}
