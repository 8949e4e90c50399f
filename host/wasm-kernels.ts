import type { Backend } from './backend.ts';
import type { CacheDType, DType } from './dtype.ts';

type Matmul = (out: number, x: number, w: number, n: number, rows: number, cols: number) => void;
type Embedding = (out: number, tokens: number, table: number, n: number, cols: number) => void;
type Append = (
  cache: number,
  x: number,
  slots: number,
  positions: number,
  n: number,
  kvHeads: number,
  headDim: number,
  capacity: number,
) => void;
type Attention = (
  out: number,
  q: number,
  keys: number,
  values: number,
  work: number,
  slots: number,
  positions: number,
  n: number,
  heads: number,
  kvHeads: number,
  group: number,
  before: number,
  headDim: number,
  capacity: number,
) => void;
type Relayout = (out: number, rows: number, count: number, cols: number) => void;

/** What every format has, what every format has that is laid out anew, and what every format of the cache has. */
type Formats = { [D in DType as `matmul_${D}`]: Matmul } & { [D in DType as `embedding_${D}`]: Embedding } & {
  [D in Exclude<DType, 'f32' | 'f16' | 'bf16'> as `relayout_${D}`]: Relayout;
} & { [D in CacheDType as `append_${D}`]: Append } & { [D in CacheDType as `attention_${D}`]: Attention };

/** The exports of assembly/index.ts. Addresses are byte offsets; above 2 GiB JavaScript hands them over as i32. */
export interface Kernels extends Formats {
  memory: WebAssembly.Memory;
  heapBase(): number;
  /** For tests: by which of two ways the relaxed build multiplies from now on (assembly/fours.ts). */
  useFours(yes: 1 | 0 | -1): void;
  finite_f32(p: number, count: number): number;
  finite_f16(p: number, count: number): number;
  finite_bf16(p: number, count: number): number;
  finite_q8_0(p: number, count: number): number;
  finite_q8_f32(p: number, count: number): number;
  finite_halves(p: number, count: number, stride: number): number;
  activations7(out: number, x: number, blocks: number): void;
  activations8(out: number, x: number, blocks: number): void;
  rmsnorm(out: number, x: number, weight: number, n: number, dim: number, eps: number): void;
  ropeTable(
    table: number,
    factors: number,
    first: number,
    count: number,
    headDim: number,
    base: number,
    scale: number,
  ): void;
  rope: Backend['rope'];
  swiglu: Backend['swiglu'];
  add: Backend['add'];
  takeRows: Backend['takeRows'];
  crossEntropy: Backend['crossEntropy'];
  topLogprobs: Backend['topLogprobs'];
  addBias: Backend['addBias'];
  penalize: Backend['penalize'];
  sample(
    id: number,
    logits: number,
    work: number,
    vocab: number,
    temperature: number,
    topK: number,
    topP: number,
    minP: number,
    u: number,
  ): void;
}

export function instantiate(module: WebAssembly.Module): Kernels {
  return new WebAssembly.Instance(module, {}).exports as unknown as Kernels;
}
