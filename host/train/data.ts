/** Sequences to learn from: B rows of T tokens one after the other, and what follows each token. */
export interface TrainBatch {
  tokens: Int32Array; // (B, T)
  targets: Int32Array; // (B, T)
  /** Rows that count: fewer than B only at the end of validation. */
  rows: number;
}

/** Where batches come from: they follow from their numbers alone, so that a run that resumes needs no state of this. */
export interface TrainData {
  /** The micro-batch of a step, both from 0. */
  batchAt(step: number, microBatch: number, signal?: AbortSignal): Promise<TrainBatch>;
  readonly validationBatches: number;
  validationAt(batch: number, signal?: AbortSignal): Promise<TrainBatch>;
}
