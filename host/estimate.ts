import { limitsOf, type MemoryPlan, MOST, planMemory, type Room } from './memory.ts';
import type { ModelFile } from './model-file.ts';
import type { Threads } from './runtime/runtime.ts';
import { ranksFor } from './threads.ts';

/** How a model would be opened, and with how much memory. */
export interface EstimateOptions extends Room {
  threads?: number | 'auto' | undefined;
  /** Bytes that all of it may take. Default: what the engine gives. */
  memoryLimit?: number | undefined;
}

/** What a model takes, and whether there is room for it. */
export interface Estimate extends MemoryPlan {
  /** Whether `open` would find the room. */
  fits: boolean;
  /** The longest context that fits, with everything else as asked for; 0 if none does. */
  largestContextLength: number;
}

const PAGE = 65536;

/** @throws OptionError 'option-range' @internal */
export function estimateFile(
  file: Pick<ModelFile, 'config' | 'tensors'>,
  source: { size: number; held?: number },
  options: EstimateOptions,
  runtime: Threads | undefined,
): Estimate {
  const { threads = 'auto', memoryLimit = Number.POSITIVE_INFINITY, ...room } = options;
  const ranks = Math.max(1, ranksFor(runtime, threads, source.size));
  const plan = (contextLength: number) => planMemory(file, { ...room, contextLength }, ranks, source.held);
  const trained = file.config.contextLength;
  const memory = largestMemory(plan(trained).largest);
  const fits = ({ total, loading, largest }: MemoryPlan) =>
    total + loading <= memoryLimit && largest <= memory && largest < MOST;
  // the plan grows with the context
  let [fitting, tooLong] = [0, trained + 1];
  while (tooLong - fitting > 1) {
    const middle = Math.floor((fitting + tooLong) / 2);
    if (fits(plan(middle))) fitting = middle;
    else tooLong = middle;
  }
  const asked = plan(limitsOf(file.config, room).contextLength);
  return { ...asked, fits: fits(asked), largestContextLength: fitting };
}

/** The most bytes that the engine gives to one memory, up to `wanted`; pages that nobody touches cost nothing. */
function largestMemory(wanted: number): number {
  const memory = new WebAssembly.Memory({ initial: 0 });
  let pages = 0;
  for (let step = Math.min(65536, Math.ceil(wanted / PAGE)); step >= 1; ) {
    try {
      memory.grow(step);
      pages += step;
      step = Math.min(step, Math.ceil(wanted / PAGE) - pages);
    } catch {
      step = Math.floor(step / 2);
    }
  }
  return pages * PAGE;
}
