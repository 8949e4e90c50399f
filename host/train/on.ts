import type { Names } from '../runtime/runtime.ts';
import { type OpenSource, openSource } from '../sources.ts';
import type { Tokenizer } from '../tokenizer.ts';
import { type DataDocument, type DataSource, readDocuments } from './data/documents.ts';
import { type OpenDataOptions, openData } from './data/open.ts';
import type { TokenData } from './data/token-data.ts';
import type { TokenFile } from './data/token-file.ts';
import { sourceHash, type TokenizeOptions, type TokenStore, tokensOf } from './data/token-store.ts';
import { type DataReport, dataReport, type ReportOptions } from './report/report.ts';

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
}

/** Training on a runtime. */
export function trainOn(names: Names): TrainCria {
  const open: OpenSource = (source, signal) => openSource(source, signal, names);
  return {
    readDocuments: (source, signal) => readDocuments(source, signal, open),
    sourceHash: (source, signal) => sourceHash(source, signal, open),
    tokensOf: (source, tokenizer, store, options) => tokensOf(source, tokenizer, store, options, open),
    openData: (sources, tokenizer, options) => openData(sources, tokenizer, options, open),
    dataReport: (sources, options) => dataReport(sources, options, open),
  };
}
