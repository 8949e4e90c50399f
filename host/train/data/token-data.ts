import { FileError, OptionError } from '../../errors.ts';
import { mix } from '../hash.ts';
import { Mixture } from './mixture.ts';
import { Epochs, Rows, rowsIn, type Segment } from './rows.ts';
import type { TokenFile } from './token-file.ts';

export interface TokenDataOptions {
  /** Rows of a micro-batch. */
  B: number;
  /** Tokens of a row: the context. */
  T: number;
  /** Micro-batches of a step. Default 1. */
  microBatches?: number;
  /** Of the order of documents and rows, and of the split. An integer in 0 .. 2^53 − 1; default 0. */
  seed?: number;
  /** Seed of the split alone; default: `seed`. */
  splitSeed?: number;
  /** The share that is kept for validation. Default 0.05; 0 keeps none. */
  validation?: number;
  /**
   * What is kept for validation: documents, chosen by a hash of their text, so that a document never changes sides when
   * others come or go; or the last share of each source's tokens. Default `document`.
   */
  split?: 'document' | 'tail';
}

/** What a source gives to training. */
export interface TokenDataSource {
  name: string;
  file: TokenFile;
  /** How often each token is seen, against tokens of weight 1. Default 1. */
  weight?: number;
}

/** B rows of T tokens, one after the other, and what follows each token. */
export interface TokenBatch {
  tokens: Int32Array;
  targets: Int32Array;
  /** Rows that count: fewer than B only at the end of validation, where rows of zeros follow. */
  rows: number;
}

export interface SourceShare {
  name: string;
  documents: { train: number; validation: number };
  tokens: { train: number; validation: number };
  /** Of the rows of training. */
  share: number;
  /** Rows of an epoch. */
  rows: number;
}

/**
 * Batches for training and validation. Documents stand one behind the other, each with its BOS and EOS, and are cut into
 * rows of the context; attention sees across them, as in Llama's pretraining. A batch follows from the seed, the step and
 * the number of the micro-batch, and from nothing that was read before: a run that resumes needs no state of this, and
 * any rank can read any micro-batch.
 */
export class TokenData {
  readonly B: number;
  readonly T: number;
  readonly microBatches: number;
  readonly sources: SourceShare[];
  /** Batches of the validation split, in the order of the files. */
  readonly validationBatches: number;
  readonly #epochs: Epochs[];
  readonly #mixture: Mixture;
  readonly #validation: Rows[];
  readonly #files: TokenFile[];

  /**
   * @throws OptionError for options; 'option-range' if no source has a weight; FileError 'no-text' if the training or the
   *   validation split of all sources together has no row
   */
  constructor(sources: readonly TokenDataSource[], options: TokenDataOptions) {
    const {
      B,
      T,
      microBatches = 1,
      seed = 0,
      splitSeed = seed,
      validation = 0.05,
      split = 'document',
    } = options;
    checkInteger('B', B, 1, 2 ** 20);
    checkInteger('T', T, 1, 2 ** 24);
    checkInteger('microBatches', microBatches, 1, 2 ** 20);
    checkInteger('seed', seed, 0, Number.MAX_SAFE_INTEGER);
    checkInteger('splitSeed', splitSeed, 0, Number.MAX_SAFE_INTEGER);
    if (!(validation >= 0 && validation < 1))
      throw wrong('validation', 'a number from 0, below 1', validation);
    if (split !== 'document' && split !== 'tail') throw wrong('split', "'document' or 'tail'", split);
    this.B = B;
    this.T = T;
    this.microBatches = microBatches;
    this.#files = sources.map(({ file }) => file);

    const parts = sources.map(source => ({
      ...source,
      ...(split === 'tail'
        ? tailSplit(source.file, validation)
        : hashSplit(source.file, validation, splitSeed)),
    }));
    this.#epochs = parts.map(({ file, name, train }) => new Epochs(file, train, T, seed, name));
    const amounts = parts.map(({ weight = 1, train }, i) =>
      this.#epochs[i]!.rows > 0 ? weight * tokensIn(train) : 0,
    );
    if (parts.every(({ train }) => rowsIn(tokensIn(train), T) === 0)) {
      throw tooLittle(
        'training',
        T,
        parts.reduce((sum, { train }) => sum + tokensIn(train), 0),
      );
    }
    this.#mixture = new Mixture(amounts);
    this.#validation = parts
      .map(({ file, held }) => new Rows(file, held, T))
      .filter(({ count }) => count > 0);
    const validationRows = this.#validation.reduce((sum, { count }) => sum + count, 0);
    if (validation > 0 && validationRows === 0) {
      throw tooLittle(
        'validation',
        T,
        parts.reduce((sum, { held }) => sum + tokensIn(held), 0),
      );
    }
    this.validationBatches = Math.ceil(validationRows / B);
    const total = this.#mixture.counts.reduce((sum, count) => sum + count, 0);
    this.sources = parts.map(({ name, train, held, documents }, i) => ({
      name,
      documents,
      tokens: { train: tokensIn(train), validation: tokensIn(held) },
      share: this.#mixture.counts[i]! / total,
      rows: this.#epochs[i]!.rows,
    }));
  }

  /** Tokens that a step learns from. */
  get tokensPerStep(): number {
    return this.B * this.T * this.microBatches;
  }

  /**
   * The micro-batch of a step, both from 0.
   * @throws OptionError 'option-range'; FileError where the files fail; the signal's reason
   */
  async batchAt(step: number, microBatch = 0, signal?: AbortSignal): Promise<TokenBatch> {
    checkInteger('step', step, 0, 2 ** 32);
    checkInteger('microBatch', microBatch, 0, this.microBatches - 1);
    const first = (step * this.microBatches + microBatch) * this.B;
    return this.#fill(this.B, (row, ids) => {
      const { source, index } = this.#mixture.at(first + row);
      return this.#epochs[source]!.read(index, ids, signal);
    });
  }

  /** @throws OptionError 'option-range'; FileError where the files fail; the signal's reason */
  async validationAt(batch: number, signal?: AbortSignal): Promise<TokenBatch> {
    checkInteger('batch', batch, 0, this.validationBatches - 1);
    const all = this.#validation.reduce((sum, { count }) => sum + count, 0);
    const first = batch * this.B;
    return this.#fill(Math.min(this.B, all - first), (row, ids) => {
      let index = first + row;
      const rows = this.#validation.find(({ count }) => {
        if (index < count) return true;
        index -= count;
        return false;
      });
      return rows!.read(index, ids, signal);
    });
  }

  /** Lets go of the files. */
  async close(): Promise<void> {
    await Promise.all(this.#files.map(file => file.close()));
  }

  async #fill(rows: number, read: (row: number, ids: Int32Array) => Promise<void>): Promise<TokenBatch> {
    const { B, T } = this;
    const batch = { tokens: new Int32Array(B * T), targets: new Int32Array(B * T), rows };
    const ids = new Int32Array(T + 1);
    for (let row = 0; row < rows; row++) {
      await read(row, ids);
      batch.tokens.set(ids.subarray(0, T), row * T);
      batch.targets.set(ids.subarray(1), row * T);
    }
    return batch;
  }
}

interface Split {
  train: Segment[];
  held: Segment[];
  documents: { train: number; validation: number };
}

/** Whether a document is kept for validation depends on its text and the seed alone. */
function hashSplit({ lengths, hashes }: TokenFile, share: number, seed: number): Split {
  const salt = mix((seed >>> 0) ^ mix(Math.floor(seed / 2 ** 32) + 1));
  const train: Segment[] = [];
  const held: Segment[] = [];
  let start = 0;
  for (let i = 0; i < lengths.length; i++) {
    const length = lengths[i]!;
    (mix(hashes[i]! ^ salt) < share * 2 ** 32 ? held : train).push({ start, length });
    start += length;
  }
  return { train, held, documents: { train: train.length, validation: held.length } };
}

/** A document that the cut falls into is counted on both sides. */
function tailSplit({ lengths, totals }: TokenFile, share: number): Split {
  const cut = Math.floor(totals.tokens * (1 - share));
  const train: Segment[] = [];
  const held: Segment[] = [];
  let start = 0;
  for (const length of lengths) {
    const before = Math.min(length, Math.max(0, cut - start));
    if (before > 0) train.push({ start, length: before });
    if (before < length) held.push({ start: start + before, length: length - before });
    start += length;
  }
  return { train, held, documents: { train: train.length, validation: held.length } };
}

const tokensIn = (segments: readonly Segment[]): number =>
  segments.reduce((sum, { length }) => sum + length, 0);

function checkInteger(what: string, value: number, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max)
    throw wrong(what, `an integer from ${min} to ${max}`, value);
}

function wrong(what: string, expected: string, got: unknown): OptionError {
  const hint = 'See TokenDataOptions in host/train/data/token-data.ts.';
  return new OptionError('option-range', { where: `data: ${what}`, expected, got: String(got), hint });
}

function tooLittle(what: string, context: number, tokens: number): FileError {
  return new FileError('no-text', {
    where: `data: ${what}`,
    expected: `more than ${context} tokens, one row of the context`,
    got: String(tokens),
    hint: "Give more text, a shorter context or another share for validation; one long document needs split: 'tail'.",
  });
}
