import type { Buf, Tensor } from '../backend.ts';
import type { LlamaWeights } from '../llama.ts';
import { llamaShapes } from '../llama-shape.ts';
import type { LlamaConfig } from '../model-file.ts';
import { arrangeWeights } from '../weights.ts';
import type { TrainBackend } from './backend.ts';

/** A tensor of the model and its place among all of them. */
export interface Parameter {
  /** The GGUF name: `blk.0.attn_q.weight`. */
  name: string;
  rows: number;
  cols: number;
  norm: boolean;
  /** Its numbers stand at first … first + rows · cols − 1 of every buffer of parameters. */
  first: number;
}

/** Parameters begin at multiples of so many numbers, a cache line; what lies between stays 0. */
const ALIGN = 16;

/** What is learned: the tensors of a Llama in the order of the data path, in one buffer, so that all are one call. */
export class Parameters {
  readonly list: readonly Parameter[];
  /** Numbers of a buffer that holds them all, gaps included. */
  readonly size: number;
  /** Numbers that are learned. */
  readonly count: number;
  readonly #config: LlamaConfig;

  /** @param tied whether the output matrix is the table of embeddings @internal */
  constructor(config: LlamaConfig, tied: boolean) {
    const { vocabSize, dim } = config;
    const shapes = [...llamaShapes(config)];
    if (!tied) shapes.push({ name: 'output.weight', rows: vocabSize, cols: dim, norm: false });
    let size = 0;
    this.list = shapes.map(shape => {
      const first = size;
      size += Math.ceil((shape.rows * shape.cols) / ALIGN) * ALIGN;
      return { ...shape, first };
    });
    this.size = size;
    this.count = shapes.reduce((sum, { rows, cols }) => sum + rows * cols, 0);
    this.#config = config;
  }

  /** A buffer of these parameters, or of anything that each of them has one of, all 0. @internal */
  alloc(backend: TrainBackend): Buf {
    const buf = backend.allocF32(this.size);
    backend.zero(buf, this.size);
    return buf;
  }

  /** The tensors of a buffer of parameters, as a model takes them; they share its memory. @internal */
  tensors(backend: TrainBackend, buf: Buf, ropeFactors?: Tensor): LlamaWeights {
    const tensors = new Map<string, Tensor>();
    for (const { name, first, rows, cols } of this.list) {
      tensors.set(name, { buf: backend.part(buf, first, rows * cols), dtype: 'f32', rows, cols });
    }
    return { ...arrangeWeights(tensors, this.#config.nLayers), ropeFactors };
  }
}
