// What training is made of, for programs: `cria/train`.

export { type TokenizerOptions, type TrainedTokenizer, trainTokenizer } from './bpe/train.ts';
export { vocabularyMetadata, writeVocabularyGguf } from './bpe/write.ts';
export { writeSentencePiece } from '../sentencepiece.ts';
