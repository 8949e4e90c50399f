// What is the same of `cria/train` on every runtime.

export { type TrainedWith, writeSentencePiece } from '../sentencepiece.ts';
export { type TokenizerOptions, type TrainedTokenizer, trainTokenizer } from './bpe/train.ts';
export { vocabularyMetadata, writeVocabularyGguf } from './bpe/write.ts';
export { type Carbon, type CarbonOptions, carbon } from './carbon.ts';
export { sourcesFromConfig } from './data/config.ts';
export type { DataDocument, DataFormat, DataSource } from './data/documents.ts';
export type { OpenDataOptions } from './data/open.ts';
export {
  type SourceShare,
  type TokenBatch,
  TokenData,
  type TokenDataOptions,
  type TokenDataSource,
} from './data/token-data.ts';
export {
  openTokens,
  type TokenFile,
  type TokenOrigin,
  type TokenTotals,
  vocabularyHash,
  writeTokens,
} from './data/token-file.ts';
export { memoryStore, type TokenizeOptions, type TokenStore } from './data/token-store.ts';
export type { TrainCria } from './on.ts';
export type { DataReport, ReportOptions } from './report/report.ts';
export { IDENTITIES, type Identities } from './report/words.ts';
