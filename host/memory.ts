import { ALIGN, type Backend, ROWS_TOGETHER } from './backend.ts';
import {
  ACTIVATION_BLOCK,
  activationBits,
  attentionBytes,
  type CacheDType,
  type DType,
  GROUPED,
  memoryBytes,
  rowBytes,
} from './dtype.ts';
import { OptionError, StateError } from './errors.ts';
import type { LlamaLimits } from './llama.ts';
import type { LlamaConfig, ModelFile, StoredTensor } from './model-file.ts';
import { capacityFor, rowsOf, type Share, sharedBytes, shareOf } from './ranks/share.ts';

/** What a caller asks of the memory. */
export interface Room {
  contextLength?: number | undefined;
  sequences?: number | undefined;
  kvCache?: CacheDType | undefined;
}

/** Tokens of one `forward`: enough that weights are read from memory once for many of them, and on a GPU that products take longer. */
const BATCH = 64;
const GPU_BATCH = 1024;
/** Rows of logits at once: a vocabulary of 32,000 makes 2 MB of 16. */
const OUTPUTS = 16;
const GPU_OUTPUTS = 64;

/** @throws OptionError 'option-range' for a context longer than the model's, or a format that its heads do not fit @internal */
export function limitsOf(
  config: LlamaConfig,
  room: Room = {},
  backend: Backend['name'] = 'wasm',
): LlamaLimits {
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
  const [batch, outputs] = backend === 'cuda' ? [GPU_BATCH, GPU_OUTPUTS] : [BATCH, OUTPUTS];
  return {
    contextLength,
    slots: sequences,
    cache: kvCache,
    batch: Math.max(sequences, Math.min(batch, contextLength)),
    outputs,
  };
}

/** Bytes that a model takes when opened so. */
export interface MemoryPlan {
  contextLength: number;
  /** At least one computes. */
  threads: number;
  weights: number;
  /** Of one token's keys and values in all layers. */
  cachePerToken: number;
  cache: number;
  /** Of a batch, of sampling, and of what threads give each other. */
  activations: number;
  /** What the kernels themselves keep, no more. */
  kernels: number;
  /** The sum of these four. */
  total: number;
  /** Of the rank that takes most: each has a memory of its own. */
  largest: number;
  /** About what is held besides while the weights stream in, outside of WebAssembly memory. */
  loading: number;
}

/** What a rank's memory holds. */
type RankPlan = Pick<MemoryPlan, 'weights' | 'cache' | 'activations' | 'kernels' | 'total'> & {
  /** For rows before they are laid out, rounded activations, ids: a part of `activations`. */
  scratch: number;
};

/** One WebAssembly memory must stay below it. @internal */
export const MOST: number = 2 ** 32 - 2 ** 24;
/** Where the kernels' constants end, at most: `heapBase`. @internal */
export const KERNEL_BYTES: number = 2 ** 14;
/** Bytes of weights read at once: large enough for the disk, small enough to answer an abort. */
const PIECE = 2 ** 20;
/** Pieces on their way to a rank: one that is read, one that is laid out, one between threads. */
const PIECES = 3;
/** Bytes of a file's header, as they are read at first. */
const HEADER = 2 ** 20;

/** Rows of a tensor that are read and laid out at once. @internal */
export function rowsAtOnce(dtype: DType, cols: number): number {
  return Math.max(1, Math.floor(PIECE / (rowBytes(dtype, cols) * ROWS_TOGETHER))) * ROWS_TOGETHER;
}

/**
 * @param limit bytes that the whole model may take, if the caller set a limit
 * @throws StateError 'out-of-memory' for a plan that no memory can hold, before any of it is taken
 * @internal
 */
export function checkMemory(plan: MemoryPlan, name: string, limit: number = Number.POSITIVE_INFINITY): void {
  if (plan.largest >= MOST) {
    const sum = plan.threads === 1 ? arithmetic(plan) : `${plan.largest}; in all ${arithmetic(plan)}`;
    throw outOfMemory(
      name,
      `less than ${MOST} bytes a thread, the most that a WebAssembly memory holds`,
      sum,
    );
  }
  if (plan.total + plan.loading > limit) {
    const sum = `${arithmetic(plan)}; and ${plan.loading} while it loads`;
    throw outOfMemory(name, `at most ${limit} bytes, the memoryLimit`, sum);
  }
}

/** @throws StateError 'out-of-memory' if the engine refuses a rank's memory: none of it is taken then. @internal */
export function takeMemory(
  backend: Backend,
  file: Pick<ModelFile, 'config' | 'tensors'>,
  limits: LlamaLimits,
  share: Share,
  name: string,
): void {
  const plan = partOf(file, limits, share);
  if (backend.reserve(plan.total - plan.kernels, plan.scratch)) return;
  const gpu = backend.name === 'cuda';
  const kind = gpu ? 'GPU' : 'WebAssembly';
  const of = share.ranks === 1 ? '' : ` for ${gpu ? 'GPU' : 'thread'} ${share.rank} of ${share.ranks}`;
  const refusal = gpu ? "the driver's" : "the engine's";
  throw outOfMemory(
    name,
    `a ${kind} memory of ${plan.total} bytes${of}`,
    `${refusal} refusal; they are ${arithmetic({ ...plan, contextLength: limits.contextLength })}`,
  );
}

function arithmetic(plan: Omit<RankPlan, 'scratch'> & { contextLength: number }): string {
  const { weights, cache, activations, kernels, total, contextLength } = plan;
  return (
    `${total}: ${weights} of weights + ${cache} of keys and values for ${contextLength} tokens` +
    ` + ${activations} of activations + ${kernels} of kernels`
  );
}

function outOfMemory(where: string, expected: string, got: string): StateError {
  const hint =
    'Open it with a smaller contextLength or kvCache, or take a smaller or more quantised model;' +
    ' estimate() finds the longest context that fits.';
  return new StateError('out-of-memory', { where, expected, got, hint });
}

/**
 * The memory that `open` will take on the WASM backend, from the header alone: to the byte but for the kernels' own,
 * of which there may be less.
 * @param held bytes that the source keeps while it is read
 * @internal
 */
export function planMemory(
  file: Pick<ModelFile, 'config' | 'tensors'>,
  room: Room = {},
  ranks = 1,
  held = 0,
): MemoryPlan {
  const limits = limitsOf(file.config, room);
  const parts = Array.from({ length: ranks }, (_, rank) =>
    partOf(file, limits, shareOf(file.config, rank, ranks)),
  );
  const sum = (of: (part: RankPlan) => number) => parts.reduce((total, part) => total + of(part), 0);
  const cache = sum(part => part.cache);
  const exchanged = ranks === 1 ? 0 : sharedBytes(capacityFor(file.config, limits));
  return {
    contextLength: limits.contextLength,
    threads: ranks,
    weights: sum(part => part.weights),
    cachePerToken: cache / limits.contextLength / limits.slots,
    cache,
    activations: sum(part => part.activations) + exchanged,
    kernels: sum(part => part.kernels),
    total: sum(part => part.total) + exchanged,
    largest: Math.max(...parts.map(part => part.total)),
    loading: held + HEADER + ranks * PIECES * PIECE,
  };
}

function partOf(
  { config, tensors }: Pick<ModelFile, 'config' | 'tensors'>,
  limits: LlamaLimits,
  share: Share,
): RankPlan {
  let weights = 0;
  // the drawing of a token wants room for a vocabulary
  let scratch = Math.max(
    share.rank === 0 ? 4 * config.vocabSize : 0,
    attentionBytes(limits.batch * share.heads.count, config.headDim),
  );
  for (const tensor of tensors.values()) {
    const { dtype, cols } = tensor;
    const { count: rows } = rowsOf(share, tensor, config.headDim);
    weights += aligned(memoryBytes({ dtype, rows, cols }));
    if (GROUPED[dtype] === undefined) continue;
    const stored = Math.min(rows, rowsAtOnce(dtype, cols)) * rowBytes(dtype, cols);
    const rounded = activationBits(dtype) && limits.batch * (cols / 32) * ACTIVATION_BLOCK;
    scratch = Math.max(scratch, stored, rounded ?? 0);
  }
  const state = stateBytes(config, limits, share);
  const activations = state.activations + aligned(scratch);
  const total = weights + state.cache + activations + KERNEL_BYTES;
  return { weights, cache: state.cache, activations, kernels: KERNEL_BYTES, scratch, total };
}

/** Bytes that a Llama, or a rank's share of one, keeps besides its weights; and its runner, which the first rank has. */
function stateBytes(
  config: LlamaConfig,
  limits: LlamaLimits,
  share: Share,
): { cache: number; activations: number } {
  const { dim, hiddenDim, nLayers, headDim, vocabSize } = config;
  const { contextLength, slots, batch, outputs, cache } = limits;
  const { heads, kvHeads, hidden, vocab } = share;
  const buffers = [
    ...[dim, dim, dim, heads.count * headDim, hiddenDim, hidden.count, 1, 1, 1].map(width => batch * width),
    ...[kvHeads.count * headDim, kvHeads.count * headDim].map(width => batch * width),
    ...[1, dim, vocabSize].map(width => outputs * width),
    contextLength * headDim,
  ];
  if (share.ranks > 1) {
    buffers.push(...[heads.count * headDim, share.dim.count, hidden.count].map(width => batch * width));
    buffers.push(outputs * vocab.count, 1);
  }
  if (share.rank === 0) buffers.push(outputs, 1, ...Array<number>(5).fill(vocabSize));
  return {
    cache: 2 * nLayers * aligned(slots * contextLength * kvHeads.count * rowBytes(cache, headDim)),
    activations: buffers.reduce((total, count) => total + aligned(4 * count), 0),
  };
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGN) * ALIGN;
}

/** Bytes of all weights as they are stored. @internal */
export function storedBytes(tensors: Iterable<StoredTensor>): number {
  let total = 0;
  for (const { rows, cols, dtype } of tensors) total += rows * rowBytes(dtype, cols);
  return total;
}
