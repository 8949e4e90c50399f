import type { Buf, Tensor } from '../backend.ts';
import type { LlamaWeights } from '../llama.ts';
import type { LlamaConfig } from '../model-file.ts';
import { Activations } from './activations.ts';
import type { TrainBackend } from './backend.ts';
import { checkMicroBatch, type MicroBatch } from './micro-batch.ts';
import { Parameters } from './parameters.ts';

export interface TrainLlamaOptions {
  /** Sequences of a micro-batch. */
  B: number;
  /** Tokens of each. */
  T: number;
  /** Whether the output matrix is the table of embeddings. */
  tied: boolean;
  /** Keep the input of each layer only, and compute the rest again for backward: a third more work, far less memory. */
  recompute?: boolean;
  /** Most logits that are in memory at once; their number shapes the order of sums. Default 2^22, 16 MiB. */
  mostLogits?: number;
  /** Divisors of the rotary frequencies, (1, headDim/2); they are not learned. */
  ropeFactors?: Tensor;
}

/**
 * The Llama of host/llama.ts for training: the same list of ops over whole sequences with what backward needs kept, and
 * its mirror image. Weights and gradients are buffers of `parameters`.
 */
export class TrainLlama {
  readonly backend: TrainBackend;
  readonly config: LlamaConfig;
  readonly parameters: Parameters;
  /** All weights; 0 until they are written. */
  readonly weights: Buf;
  /** The gradient of one micro-batch by all weights: `backward` sets it. */
  readonly gradient: Buf;
  /** The weights as tensors, for a `Llama` on the same backend that generates text while this one learns. */
  readonly tensors: LlamaWeights;
  /** Tokens of a micro-batch, B · T. */
  readonly n: number;

  readonly #options: TrainLlamaOptions;
  readonly #gradients: LlamaWeights;
  readonly #a: Activations;
  readonly #angles: Buf; // (T, headDim/2, 2)

  /** @throws StateError 'out-of-memory' when the backend cannot hold it. */
  constructor(backend: TrainBackend, config: LlamaConfig, options: TrainLlamaOptions) {
    const { nLayers, headDim, ropeTheta, ropeScale } = config;
    const { B, T, tied, recompute, mostLogits = 2 ** 22, ropeFactors } = options;
    const n = B * T;
    this.backend = backend;
    this.config = config;
    this.n = n;
    this.#options = options;
    this.parameters = new Parameters(config, tied);
    this.weights = this.parameters.alloc(backend);
    this.gradient = this.parameters.alloc(backend);
    this.tensors = this.parameters.tensors(backend, this.weights, ropeFactors);
    this.#gradients = this.parameters.tensors(backend, this.gradient);
    this.#a = new Activations(backend, config, n, recompute ? 1 : nLayers, mostLogits);
    this.#angles = backend.allocF32(T * headDim);
    const positions = Array.from({ length: n }, (_, i) => i % T);
    backend.writeI32(this.#a.positions, positions);
    backend.ropeTable(this.#angles, ropeFactors, 0, T, headDim, ropeTheta, ropeScale);
  }

  /**
   * −log p of every target, (n), in nats.
   * @throws OptionError for tokens or targets that the model does not have, or not n of them.
   */
  async losses({ tokens, targets }: Pick<MicroBatch, 'tokens' | 'targets'>): Promise<Float32Array> {
    checkMicroBatch({ tokens, targets }, this.n, this.config.vocabSize);
    const { backend: b, config, tensors } = this;
    const { logits, loss, pieces } = this.#a;
    this.#forward(tokens, targets);
    for (const { rows, normed, targets, loss } of pieces) {
      b.matmulForward(logits, normed, tensors.output, rows);
      b.crossEntropy(loss, logits, targets, rows, config.vocabSize);
    }
    return b.readF32(loss, this.n);
  }

  /**
   * Makes `gradient` that of Σ coef · loss, from zero; answers with the losses, (n), in nats.
   * @throws OptionError as `losses`, and for coefficients that are not finite.
   */
  async backward({ tokens, targets, coef }: MicroBatch): Promise<Float32Array> {
    checkMicroBatch({ tokens, targets, coef }, this.n, this.config.vocabSize);
    this.backend.zero(this.gradient, this.parameters.size);
    this.#forward(tokens, targets);
    this.#backwardHead(coef);
    for (let layer = this.config.nLayers - 1; layer >= 0; layer--) {
      if (this.#options.recompute) this.#forwardLayer(layer);
      this.#backwardFeedForward(layer);
      this.#backwardAttention(layer);
    }
    const { dX, loss } = this.#a;
    this.backend.embeddingBackward(this.#gradients.tokenEmbd, dX, this.#a.tokens, this.n);
    return this.backend.readF32(loss, this.n);
  }

  #forward(tokens: ArrayLike<number>, targets: ArrayLike<number>): void {
    const { backend: b, n, tensors } = this;
    const { dim, normEps } = this.config;
    const { inputs, branch, normed } = this.#a;
    b.writeI32(this.#a.tokens, tokens);
    b.writeI32(this.#a.targets, targets);
    b.embedding(inputs[0]!, this.#a.tokens, tensors.tokenEmbd, n);
    for (const [i, layer] of tensors.layers.entries()) {
      this.#forwardLayer(i);
      const { middle, act } = this.#a.keptOf(i);
      b.matmulForward(branch, act, layer.ffnDown, n);
      b.add(inputs[i + 1]!, middle, branch, n * dim);
    }
    b.rmsnorm(normed, inputs.at(-1)!, tensors.outputNorm, n, dim, normEps);
  }

  /** A layer without its last matrix: what backward needs of it. */
  #forwardLayer(i: number): void {
    const { backend: b, n } = this;
    const { B, T } = this.#options;
    const { dim, hiddenDim, nHeads, nKvHeads, headDim, normEps } = this.config;
    const { positions, branch } = this.#a;
    const { attnNormed, q, k, v, mixed, lse, middle, ffnNormed, gate, up, act } = this.#a.keptOf(i);
    const layer = this.tensors.layers[i]!;
    const x = this.#a.inputs[i]!;
    b.rmsnorm(attnNormed, x, layer.attnNorm, n, dim, normEps);
    b.matmulForward(q, attnNormed, layer.attnQ, n);
    b.matmulForward(k, attnNormed, layer.attnK, n);
    b.matmulForward(v, attnNormed, layer.attnV, n);
    b.rope(q, positions, this.#angles, n, nHeads, headDim);
    b.rope(k, positions, this.#angles, n, nKvHeads, headDim);
    b.attentionForward(mixed, lse, q, k, v, B, T, nHeads, nKvHeads, headDim);
    b.matmulForward(branch, mixed, layer.attnOutput, n);
    b.add(middle, x, branch, n * dim);

    b.rmsnorm(ffnNormed, middle, layer.ffnNorm, n, dim, normEps);
    b.matmulForward(gate, ffnNormed, layer.ffnGate, n);
    b.matmulForward(up, ffnNormed, layer.ffnUp, n);
    b.swiglu(act, gate, up, n * hiddenDim);
  }

  /** The losses, and dX as the gradient of what the last layer gave. */
  #backwardHead(coefficients: ArrayLike<number>): void {
    const { backend: b, n, tensors } = this;
    const { dim, vocabSize, normEps } = this.config;
    const { inputs, logits, pieces, dX, dNormed } = this.#a;
    const { output, outputNorm } = this.#gradients;
    b.writeF32(this.#a.coef, coefficients);
    b.zero(dNormed, n * dim);
    for (const { rows, normed, dNormed, targets, coef, loss } of pieces) {
      b.matmulForward(logits, normed, tensors.output, rows);
      b.crossEntropyBackward(loss, logits, targets, coef, rows, vocabSize);
      b.matmulBackwardW(output, logits, normed, rows);
      b.matmulBackwardX(dNormed, logits, tensors.output, rows);
    }
    b.zero(dX, n * dim);
    b.rmsnormBackward(dX, outputNorm, dNormed, inputs.at(-1)!, tensors.outputNorm, n, dim, normEps);
  }

  /** Takes dX from a layer's output to its middle. What goes past the branch is in dX already. */
  #backwardFeedForward(i: number): void {
    const { backend: b, n } = this;
    const { dim, hiddenDim, normEps } = this.config;
    const { dX, dNormed, dAct, dGate, dUp } = this.#a;
    const { middle, ffnNormed, gate, up, act } = this.#a.keptOf(i);
    const layer = this.tensors.layers[i]!;
    const gradient = this.#gradients.layers[i]!;
    b.matmulBackwardW(gradient.ffnDown, dX, act, n);
    b.zero(dAct, n * hiddenDim);
    b.matmulBackwardX(dAct, dX, layer.ffnDown, n);
    b.zero(dGate, n * hiddenDim);
    b.zero(dUp, n * hiddenDim);
    b.swigluBackward(dGate, dUp, dAct, gate, up, n * hiddenDim);
    b.matmulBackwardW(gradient.ffnUp, dUp, ffnNormed, n);
    b.matmulBackwardW(gradient.ffnGate, dGate, ffnNormed, n);
    b.zero(dNormed, n * dim);
    b.matmulBackwardX(dNormed, dUp, layer.ffnUp, n);
    b.matmulBackwardX(dNormed, dGate, layer.ffnGate, n);
    b.rmsnormBackward(dX, gradient.ffnNorm, dNormed, middle, layer.ffnNorm, n, dim, normEps);
  }

  /** Takes dX from a layer's middle to its input. */
  #backwardAttention(i: number): void {
    const { backend: b, n } = this;
    const { B, T } = this.#options;
    const { dim, nHeads, nKvHeads, headDim, normEps } = this.config;
    const { inputs, positions, dX, dNormed, dMixed, dQ, dK, dV } = this.#a;
    const { attnNormed, q, k, v, mixed, lse } = this.#a.keptOf(i);
    const layer = this.tensors.layers[i]!;
    const gradient = this.#gradients.layers[i]!;
    b.matmulBackwardW(gradient.attnOutput, dX, mixed, n);
    b.zero(dMixed, n * dim);
    b.matmulBackwardX(dMixed, dX, layer.attnOutput, n);
    b.zero(dQ, n * dim);
    b.zero(dK, n * nKvHeads * headDim);
    b.zero(dV, n * nKvHeads * headDim);
    b.attentionBackward(dQ, dK, dV, dMixed, mixed, lse, q, k, v, B, T, nHeads, nKvHeads, headDim);
    b.ropeBackward(dK, positions, this.#angles, n, nKvHeads, headDim);
    b.ropeBackward(dQ, positions, this.#angles, n, nHeads, headDim);
    b.matmulBackwardW(gradient.attnV, dV, attnNormed, n);
    b.matmulBackwardW(gradient.attnK, dK, attnNormed, n);
    b.matmulBackwardW(gradient.attnQ, dQ, attnNormed, n);
    b.zero(dNormed, n * dim);
    b.matmulBackwardX(dNormed, dV, layer.attnV, n);
    b.matmulBackwardX(dNormed, dK, layer.attnK, n);
    b.matmulBackwardX(dNormed, dQ, layer.attnQ, n);
    b.rmsnormBackward(dX, gradient.attnNorm, dNormed, inputs[i]!, layer.attnNorm, n, dim, normEps);
  }
}
