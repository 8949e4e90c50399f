// What training is made of, for programs: `cria/train`.

export { type TrainedWith, writeSentencePiece } from '../sentencepiece.ts';
export { type TokenizerOptions, type TrainedTokenizer, trainTokenizer } from './bpe/train.ts';
export { vocabularyMetadata, writeVocabularyGguf } from './bpe/write.ts';
export { type Carbon, type CarbonOptions, carbon } from './carbon.ts';
export { sourcesFromConfig } from './data/config.ts';
export { type DataDocument, type DataFormat, type DataSource, readDocuments } from './data/documents.ts';
export { openData } from './data/open.ts';
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
export {
  folderStore,
  memoryStore,
  sourceHash,
  type TokenizeOptions,
  type TokenStore,
  tokensOf,
} from './data/token-store.ts';
export { type DataReport, dataReport, type ReportOptions } from './report/report.ts';
export { IDENTITIES, type Identities } from './report/words.ts';
