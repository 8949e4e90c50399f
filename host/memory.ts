import { memoryBytes } from './dtype.ts';
import { OptionError } from './errors.ts';
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

/** The memory that `open` will take on the WASM backend, from the header alone. */
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
