import { memoryBytes } from './dtype.ts';
import { OptionError, StateError } from './errors.ts';
import { type LlamaLimits, stateSizes } from './llama.ts';
import type { LlamaConfig, ModelFile } from './model-file.ts';

/** Tokens of one `forward`: enough that weights are read from memory once for many of them. */
const BATCH = 64;
/** Rows of logits at once: a vocabulary of 32,000 makes 2 MB of 16. */
const OUTPUTS = 16;

/** @throws OptionError 'option-range' for a context longer than the model's */
export function limitsOf(config: LlamaConfig, contextLength: number | undefined): LlamaLimits {
  if (contextLength !== undefined && contextLength > config.contextLength) {
    throw new OptionError('option-range', {
      where: 'open: contextLength',
      expected: `at most ${config.contextLength}, what the model was trained for`,
      got: String(contextLength),
      hint: 'Ask for less, or use a model with a longer context.',
    });
  }
  return {
    contextLength: contextLength ?? config.contextLength,
    slots: 1,
    batch: Math.min(BATCH, contextLength ?? config.contextLength),
    outputs: OUTPUTS,
  };
}

/** Bytes that a model takes when opened with a context of so many tokens. */
export interface MemoryPlan {
  weights: number;
  /** Of one token's keys and values in all layers. */
  cachePerToken: number;
  cache: number;
  activations: number;
  total: number;
}

/** One WebAssembly memory. */
const MOST = 2 ** 32;

/** @throws StateError 'out-of-memory' for a plan that no memory can hold, before any of it is taken */
export function checkMemory({ weights, cache, activations, total }: MemoryPlan, name: string): void {
  if (total < MOST) return;
  throw new StateError('out-of-memory', {
    where: name,
    expected: `less than ${MOST} bytes, the most that a WebAssembly memory holds`,
    got: `${total}: ${weights} of weights, ${cache} of keys and values, ${activations} of activations`,
    hint: 'Open it with a smaller contextLength, or take a smaller or more quantised model.',
  });
}

/** The memory that `open` will take on the WASM backend, from the header alone, but for less than a megabyte or two. */
export function planMemory(file: ModelFile, contextLength?: number): MemoryPlan {
  const limits = limitsOf(file.config, contextLength);
  const state = stateSizes(file.config, limits);
  const weights = [...file.tensors.values()].reduce((sum, tensor) => sum + memoryBytes(tensor), 0);
  const cache = 4 * state.cache;
  const activations = 4 * state.activations;
  return {
    weights,
    cachePerToken: cache / limits.contextLength,
    cache,
    activations,
    total: weights + cache + activations,
  };
}
