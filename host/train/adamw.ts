import type { Buf } from '../backend.ts';
import type { TrainBackend } from './backend.ts';
import type { Parameter, Parameters } from './parameters.ts';

/** Llama 2 paper, section 2.2, but for the learning rate, which a schedule gives. */
export interface AdamWOptions {
  /** Default 0.9. */
  beta1?: number;
  /** Default 0.95. */
  beta2?: number;
  /** Default 1e-5. */
  eps?: number;
  /** Weight decay of matrices, embeddings included; norms do not decay. Default 0.1. */
  decay?: number;
  /** Gradients of a larger norm are scaled down to it, all together; Infinity for never. Default 1. */
  clip?: number;
}

/** One parameter in each of the buffers. */
interface Slice extends Parameter {
  count: number;
  weight: Buf;
  gradient: Buf;
  m: Buf;
  v: Buf;
  /** Where its sum of squares goes. */
  square: Buf;
}

/** AdamW over all parameters of a model, with clipping by the norm of the whole gradient. */
export class AdamW {
  /** Running means of the gradient and of its square; with `step` all that must be kept to go on. */
  readonly m: Buf;
  readonly v: Buf;
  /** Steps taken. */
  step = 0;

  readonly #backend: TrainBackend;
  readonly #options: Required<AdamWOptions>;
  readonly #slices: Slice[];
  readonly #squares: Buf; // (parameters)

  /**
   * @param weights what is learned, a buffer of `parameters`
   * @param gradient what `norm` and `update` read, another
   * @throws StateError 'out-of-memory' when the backend cannot hold it.
   */
  constructor(
    backend: TrainBackend,
    parameters: Parameters,
    weights: Buf,
    gradient: Buf,
    { beta1 = 0.9, beta2 = 0.95, eps = 1e-5, decay = 0.1, clip = 1 }: AdamWOptions = {},
  ) {
    this.#backend = backend;
    this.#options = { beta1, beta2, eps, decay, clip };
    this.m = parameters.alloc(backend);
    this.v = parameters.alloc(backend);
    this.#squares = backend.allocF32(parameters.list.length);
    this.#slices = parameters.list.map((parameter, i) => {
      const { first, rows, cols } = parameter;
      const count = rows * cols;
      const of = (buf: Buf) => backend.part(buf, first, count);
      const square = backend.part(this.#squares, i, 1);
      return {
        ...parameter,
        count,
        weight: of(weights),
        gradient: of(gradient),
        m: of(this.m),
        v: of(this.v),
        square,
      };
    });
  }

  /** The Euclidean norm of the gradient: squares are summed a parameter, and these in the parameters' order. */
  async norm(): Promise<number> {
    for (const { square, gradient, count } of this.#slices) this.#backend.sumSquares(square, gradient, count);
    const squares = await this.#backend.readF32(this.#squares, this.#slices.length);
    return Math.sqrt(squares.reduce((sum, square) => sum + square, 0));
  }

  /**
   * One step of all weights against the gradient.
   * @returns the gradient's norm before clipping; where that is not finite, nothing has been changed
   */
  async update(lr: number): Promise<number> {
    const gradientNorm = await this.norm();
    if (!Number.isFinite(gradientNorm)) return gradientNorm;
    const { beta1, beta2, eps, decay, clip } = this.#options;
    const scale = gradientNorm > clip ? clip / gradientNorm : 1;
    this.step++;
    for (const { weight, m, v, gradient, count, norm } of this.#slices) {
      const rate = norm ? 0 : decay;
      this.#backend.adamw(weight, m, v, gradient, count, this.step, lr, beta1, beta2, eps, rate, scale);
    }
    return gradientNorm;
  }
}
