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
export { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from './checkpoint-file.ts';
export { BEST, checkSameRun, type FoundCheckpoint, latestCheckpoint, saveCheckpoint } from './checkpoints.ts';
export { TRAIN_RULES, type TrainConfig, type TrainOptions, tokensOfStep, trainConfig } from './config.ts';
export { flopsPerToken } from './cost.ts';
export type { TrainBatch, TrainData } from './data.ts';
export { type FirstModel, weightsFrom } from './from-model.ts';
export { type RunInputs, runIdentity } from './identity.ts';
export { RUN_PLAN, type RunEvent, type RunOptions, type RunPlan, runTraining } from './run.ts';
export { memoryRun, type RunStore, readFrom, removeHalves, runFolder } from './run-store.ts';
export { rateAt, type Schedule } from './schedule.ts';
export { Diverged, type StepReport, Trainer, type TrainState } from './trainer.ts';
export { exportGguf } from './export/gguf.ts';
export { huggingFaceFiles, type SafetensorsType } from './export/hugging-face.ts';
export { llama2cCheckpoint, llama2cTokenizer } from './export/llama2c.ts';
export { type Trained, trainedModel } from './export/trained.ts';
