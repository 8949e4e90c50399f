import type { ModelSource } from '../api.ts';
import type { Names } from '../runtime/runtime.ts';
import { type OpenSource, openSource } from '../sources.ts';
import type { Tokenizer } from '../tokenizer.ts';
import type { Thread } from '../workers/thread.ts';
import type { TrainOptions } from './config.ts';
import { type DataDocument, type DataSource, readDocuments } from './data/documents.ts';
import { type OpenDataOptions, openData } from './data/open.ts';
import type { TokenData } from './data/token-data.ts';
import type { TokenFile } from './data/token-file.ts';
import { sourceHash, type TokenizeOptions, type TokenStore, tokensOf } from './data/token-store.ts';
import type { TrainData } from './data.ts';
import { type FirstModel, weightsFrom } from './from-model.ts';
import { type RunInputs, runIdentity } from './identity.ts';
import type { OpenTrainGpu } from './place.ts';
import { type DataReport, dataReport, type ReportOptions } from './report/report.ts';
import { Trainer, type TrainerOptions } from './trainer.ts';

/** The functions of training that open what paths and URLs name. */
export interface TrainCria {
  /** The documents of a source, one by one: see data/documents.ts. */
  readDocuments(source: DataSource, signal?: AbortSignal): AsyncGenerator<DataDocument>;
  /** A hash of the bytes of a source and of how they are read. */
  sourceHash(source: DataSource, signal?: AbortSignal): Promise<Uint8Array>;
  /** The tokens of a source, from the store or made: see data/token-store.ts. */
  tokensOf(
    source: DataSource,
    tokenizer: Tokenizer,
    store: TokenStore,
    options?: TokenizeOptions,
  ): Promise<TokenFile>;
  /** Batches of several sources: see data/open.ts. */
  openData(
    sources: readonly DataSource[],
    tokenizer: Tokenizer,
    options: OpenDataOptions,
  ): Promise<TokenData>;
  /** What is in a corpus: see report/report.ts. */
  dataReport(sources: readonly DataSource[], options?: ReportOptions): Promise<DataReport>;
  /** The weights of a model file, to go on from: see from-model.ts. */
  weightsFrom(model: ModelSource, signal?: AbortSignal): Promise<FirstModel>;
  /** A name for a run: see identity.ts. */
  runIdentity(inputs: RunInputs): Promise<string>;
  /** A model that learns: see trainer.ts. */
  createTrainer(
    options: TrainOptions,
    data: TrainData,
    trainer: Omit<TrainerOptions, 'startThread' | 'openGpu'>,
  ): Promise<Trainer>;
}

/**
 * Training on a runtime.
 * @param startThread starts a thread that runs `runTrainRank`, where there are threads
 * @param openGpu opens a GPU, where there may be one
 * @internal
 */
export function trainOn(names: Names, startThread?: () => Thread, openGpu?: OpenTrainGpu): TrainCria {
  const open: OpenSource = (source, signal) => openSource(source, signal, names);
  return {
    readDocuments: (source, signal) => readDocuments(source, signal, open),
    sourceHash: (source, signal) => sourceHash(source, signal, open),
    tokensOf: (source, tokenizer, store, options) => tokensOf(source, tokenizer, store, options, open),
    openData: (sources, tokenizer, options) => openData(sources, tokenizer, options, open),
    dataReport: (sources, options) => dataReport(sources, options, open),
    weightsFrom: (model, signal) => weightsFrom(model, signal, open),
    runIdentity: inputs => runIdentity(inputs, open),
    createTrainer: (options, data, trainer) =>
      Trainer.create(options, data, { ...trainer, startThread, openGpu }),
  };
}
