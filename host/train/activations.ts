import type { Buf } from '../backend.ts';
import type { LlamaConfig } from '../model-file.ts';
import type { TrainBackend } from './backend.ts';

/** What the backward of a layer needs of its forward;  n = B · T tokens */
export interface Kept {
  attnNormed: Buf; // (n, dim)
  q: Buf; // (n, nHeads, headDim), rotated
  k: Buf; // (n, nKvHeads, headDim), rotated
  v: Buf; // (n, nKvHeads, headDim)
  mixed: Buf; // (n, nHeads, headDim)
  lse: Buf; // (n, nHeads)
  middle: Buf; // (n, dim)       the residual stream between attention and feed-forward
  ffnNormed: Buf; // (n, dim)
  gate: Buf; // (n, hiddenDim)
  up: Buf; // (n, hiddenDim)
  act: Buf; // (n, hiddenDim)
}

/** Tokens whose logits are computed together, as parts of the arrays of all tokens. */
export interface Piece {
  rows: number;
  normed: Buf; // (rows, dim)
  dNormed: Buf; // (rows, dim)
  targets: Buf; // (rows)
  coef: Buf; // (rows)
  loss: Buf; // (rows)
}

/** All arrays of a forward and a backward over n tokens. */
export class Activations {
  readonly tokens: Buf; // (n)
  readonly targets: Buf; // (n)
  readonly coef: Buf; // (n)
  readonly loss: Buf; // (n)
  readonly positions: Buf; // (n)
  /** The residual stream before every layer, and after the last. */
  readonly inputs: Buf[]; // (n, dim) each
  readonly #kept: Kept[];
  readonly branch: Buf; // (n, dim)      what a layer's half adds to the residual stream
  readonly normed: Buf; // (n, dim)      what the output matrix meets
  readonly logits: Buf; // (rows of a piece, vocabSize)
  readonly pieces: Piece[];

  // gradients
  readonly dX: Buf; // (n, dim)
  readonly dNormed: Buf; // (n, dim)
  readonly dMixed: Buf; // (n, nHeads, headDim)
  readonly dQ: Buf; // (n, nHeads, headDim)
  readonly dK: Buf; // (n, nKvHeads, headDim)
  readonly dV: Buf; // (n, nKvHeads, headDim)
  readonly dAct: Buf; // (n, hiddenDim)
  readonly dGate: Buf; // (n, hiddenDim)
  readonly dUp: Buf; // (n, hiddenDim)

  /**
   * @param keep of how many layers what backward needs is kept at once
   * @param mostLogits logits that are computed at once
   */
  constructor(backend: TrainBackend, config: LlamaConfig, n: number, keep: number, mostLogits: number) {
    const { dim, hiddenDim, nLayers, nHeads, nKvHeads, headDim, vocabSize } = config;
    const kvDim = nKvHeads * headDim;
    const of = (width: number) => backend.allocF32(n * width);
    this.tokens = backend.allocI32(n);
    this.targets = backend.allocI32(n);
    this.coef = of(1);
    this.loss = of(1);
    this.positions = backend.allocI32(n);
    this.inputs = Array.from({ length: nLayers + 1 }, () => of(dim));
    this.#kept = Array.from({ length: keep }, () => ({
      attnNormed: of(dim),
      q: of(dim),
      k: of(kvDim),
      v: of(kvDim),
      mixed: of(dim),
      lse: of(nHeads),
      middle: of(dim),
      ffnNormed: of(dim),
      gate: of(hiddenDim),
      up: of(hiddenDim),
      act: of(hiddenDim),
    }));
    this.branch = of(dim);
    this.normed = of(dim);
    this.dX = of(dim);
    this.dNormed = of(dim);
    this.dMixed = of(dim);
    this.dQ = of(dim);
    this.dK = of(kvDim);
    this.dV = of(kvDim);
    this.dAct = of(hiddenDim);
    this.dGate = of(hiddenDim);
    this.dUp = of(hiddenDim);

    const together = Math.min(n, Math.max(1, Math.floor(mostLogits / vocabSize)));
    this.logits = backend.allocF32(together * vocabSize);
    this.pieces = Array.from({ length: Math.ceil(n / together) }, (_, i) => {
      const first = i * together;
      const rows = Math.min(together, n - first);
      return {
        rows,
        normed: backend.part(this.normed, first * dim, rows * dim),
        dNormed: backend.part(this.dNormed, first * dim, rows * dim),
        targets: backend.part(this.targets, first, rows),
        coef: backend.part(this.coef, first, rows),
        loss: backend.part(this.loss, first, rows),
      };
    });
  }

  keptOf(layer: number): Kept {
    return this.#kept[layer % this.#kept.length]!;
  }
}
