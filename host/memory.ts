import { type CacheDType, memoryBytes, rowBytes } from './dtype.ts';
import { OptionError, StateError } from './errors.ts';
import type { LlamaLimits } from './llama.ts';
import type { LlamaConfig, ModelFile, StoredTensor } from './model-file.ts';
import { rowsOf, type Share, shareOf } from './ranks/share.ts';

/** What a caller asks of the memory. */
export interface Room {
  contextLength?: number | undefined;
  sequences?: number | undefined;
  kvCache?: CacheDType | undefined;
}

/** Tokens of one `forward`: enough that weights are read from memory once for many of them. */
const BATCH = 64;
/** Rows of logits at once: a vocabulary of 32,000 makes 2 MB of 16. */
const OUTPUTS = 16;

/** @throws OptionError 'option-range' for a context longer than the model's, or a format that its heads do not fit */
export function limitsOf(config: LlamaConfig, room: Room = {}): LlamaLimits {
  const { contextLength = config.contextLength, sequences = 1, kvCache = 'f32' } = room;
  if (contextLength > config.contextLength) {
    throw new OptionError('option-range', {
      where: 'open: contextLength',
      expected: `at most ${config.contextLength}, what the model was trained for`,
      got: String(contextLength),
      hint: 'Ask for less, or use a model with a longer context.',
    });
  }
  if (kvCache === 'q8_0' && config.headDim % 32 !== 0) {
    throw new OptionError('option-range', {
      where: 'open: kvCache',
      expected: `'f32' or 'f16', since this model's heads have ${config.headDim} numbers, no multiple of 32`,
      got: "'q8_0'",
      hint: "Take 'f16'.",
    });
  }
  return {
    contextLength,
    slots: sequences,
    cache: kvCache,
    batch: Math.max(sequences, Math.min(BATCH, contextLength)),
    outputs: OUTPUTS,
  };
}

/** Bytes that a model takes when opened so. */
export interface MemoryPlan {
  weights: number;
  /** Of one token's keys and values in all layers. */
  cachePerToken: number;
  cache: number;
  activations: number;
  total: number;
  /** Of the rank that takes most: each has a memory of its own. */
  largest: number;
}

/** One WebAssembly memory. */
const MOST = 2 ** 32 - 2 ** 24;

/** @throws StateError 'out-of-memory' for a plan that no memory can hold, before any of it is taken */
export function checkMemory({ weights, cache, activations, largest }: MemoryPlan, name: string): void {
  if (largest < MOST) return;
  throw new StateError('out-of-memory', {
    where: name,
    expected: `less than ${MOST} bytes a thread, the most that a WebAssembly memory holds`,
    got: `${largest}; in all ${weights} of weights, ${cache} of keys and values, ${activations} of activations`,
    hint: 'Open it with more threads, a smaller contextLength or a smaller kvCache, or take a smaller model.',
  });
}

/** The memory that `open` will take on the WASM backend, from the header alone, but for less than a megabyte or two. */
export function planMemory(
  file: Pick<ModelFile, 'config' | 'tensors'>,
  room: Room = {},
  ranks = 1,
): MemoryPlan {
  const limits = limitsOf(file.config, room);
  const parts = Array.from({ length: ranks }, (_, rank) =>
    partOf(file, limits, shareOf(file.config, rank, ranks)),
  );
  const sum = (of: (part: (typeof parts)[0]) => number) => parts.reduce((total, part) => total + of(part), 0);
  const weights = sum(part => part.weights);
  const cache = sum(part => part.cache);
  const activations = sum(part => part.activations);
  return {
    weights,
    cachePerToken: cache / limits.contextLength / limits.slots,
    cache,
    activations,
    total: weights + cache + activations,
    largest: Math.max(...parts.map(part => part.weights + part.cache + part.activations)),
  };
}

function partOf(
  { config, tensors }: Pick<ModelFile, 'config' | 'tensors'>,
  limits: LlamaLimits,
  share: Share,
) {
  let weights = 0;
  for (const tensor of tensors.values()) {
    const { count: rows } = rowsOf(share, tensor, config.headDim);
    weights += memoryBytes({ ...tensor, rows });
  }
  return { weights, ...stateBytes(config, limits, share) };
}

/** Bytes that a Llama, or a rank's share of one, keeps besides its weights. */
function stateBytes(
  config: LlamaConfig,
  limits: LlamaLimits,
  share: Share,
): { cache: number; activations: number } {
  const { dim, hiddenDim, nLayers, headDim, vocabSize } = config;
  const { contextLength, slots, batch, outputs, cache } = limits;
  const kvDim = share.kvHeads.count * headDim;
  const qDim = share.heads.count * headDim;
  const parts = share.ranks === 1 ? 0 : qDim + share.dim.count + share.hidden.count;
  const vocabPart = share.ranks === 1 ? 0 : share.vocab.count;
  return {
    cache: 2 * nLayers * slots * contextLength * share.kvHeads.count * rowBytes(cache, headDim),
    activations:
      4 * batch * (3 * dim + qDim + 2 * kvDim + hiddenDim + share.hidden.count + parts + 3) +
      4 * outputs * (dim + vocabSize + vocabPart + 1) +
      4 * contextLength * headDim,
  };
}

/** Bytes of all weights as they are stored. */
export function storedBytes(tensors: Iterable<StoredTensor>): number {
  let total = 0;
  for (const { rows, cols, dtype } of tensors) total += rows * rowBytes(dtype, cols);
  return total;
}
