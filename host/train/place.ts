import { OptionError, StateError } from '../errors.ts';
import type { TrainBackend } from './backend.ts';
import type { Precision } from './config.ts';
import { TrainWasm, trainKernels } from './wasm.ts';

/** @internal */
export type OpenTrainGpu = (precision: Precision) => Promise<TrainBackend>;

/**
 * What the first rank computes on.
 * @param openGpu opens a GPU, where there may be one
 * @throws OptionError 'option-range', StateError 'gpu-unavailable'
 */
export async function openBackend(
  name: 'wasm' | 'cuda',
  ranks: number,
  openGpu: OpenTrainGpu | undefined,
  precision: Precision,
): Promise<TrainBackend> {
  const wrong = (where: string, expected: string, got: unknown) =>
    new OptionError('option-range', {
      where: `train: ${where}`,
      expected,
      got: String(got),
      hint: 'Correct the option.',
    });
  if (precision !== 'f32' && (precision !== 'bf16' || name === 'wasm'))
    throw wrong('precision', "'f32', or 'bf16' with backend 'cuda'", precision);
  if (name === 'wasm') return new TrainWasm(await trainKernels());
  if (name !== 'cuda') throw wrong('backend', "'wasm' or 'cuda'", name);
  if (ranks > 1) throw wrong('ranks', "1, with backend 'cuda'", ranks);
  if (openGpu) return openGpu(precision);
  throw new StateError('gpu-unavailable', {
    where: "train: backend 'cuda'",
    expected: 'Node.js, Deno or Bun',
    got: 'another runtime',
    hint: "Train with backend: 'wasm'.",
  });
}
