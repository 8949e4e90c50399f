// The backends that suites of training run on.

import type { TrainBackend } from '../../host/train/backend.ts';
import { TrainReference } from '../../host/train/reference.ts';
import { TrainWasm, trainKernels } from '../../host/train/wasm.ts';
import { gpuTrainBackends } from './gpu.ts';

export const TRAIN_BACKENDS: Record<string, () => Promise<TrainBackend>> = {
  reference: async () => new TrainReference(),
  wasm: async () => new TrainWasm(await trainKernels()),
  ...gpuTrainBackends(),
};
