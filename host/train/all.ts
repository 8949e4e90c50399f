// What is the same of training on every runtime.

export { type TrainedWith, writeSentencePiece } from '../sentencepiece.ts';
export { type TokenizerOptions, type TrainedTokenizer, trainTokenizer } from './bpe/train.ts';
export { vocabularyMetadata, writeVocabularyGguf } from './bpe/write.ts';
export { type Carbon, type CarbonOptions, carbon } from './carbon.ts';
export { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from './checkpoint-file.ts';
export { BEST, checkSameRun, type FoundCheckpoint, latestCheckpoint, saveCheckpoint } from './checkpoints.ts';
export { TRAIN_RULES, type TrainConfig, type TrainOptions, tokensOfStep, trainConfig } from './config.ts';
export { flopsPerToken } from './cost.ts';
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
export type { TrainBatch, TrainData } from './data.ts';
export { exportGguf } from './export/gguf.ts';
export { huggingFaceFiles, type SafetensorsType } from './export/hugging-face.ts';
export { llama2cCheckpoint, llama2cTokenizer } from './export/llama2c.ts';
export { type Trained, trainedModel } from './export/trained.ts';
export type { FirstModel } from './from-model.ts';
export type { RunInputs } from './identity.ts';
export type { TrainCria } from './on.ts';
export { type PlotRun, type Point, plotHtml, plotRun, plotSvg } from './plot.ts';
export type { DataReport, ReportOptions } from './report/report.ts';
export { IDENTITIES, type Identities } from './report/words.ts';
export { RUN_PLAN, type RunEvent, type RunOptions, type RunPlan, runTraining } from './run.ts';
export { memoryRun, type RunStore, readFrom, removeHalves } from './run-store.ts';
export { rateAt, type Schedule } from './schedule.ts';
export { eventFileHead, eventFileName, scalarsEvent } from './tensorboard.ts';
export { Diverged, type StepReport, type Trainer, type TrainerOptions, type TrainState } from './trainer.ts';
