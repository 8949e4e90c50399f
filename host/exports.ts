// The public interface besides the functions: types, errors, lists.

export type * from './api.ts';
export type { Cria } from './cria.ts';
export { CriaError, type ErrorCode, FileError, OptionError, StateError } from './errors.ts';
export type { Estimate, EstimateOptions } from './estimate.ts';
export type { FileReport } from './inspect.ts';
export type { Model } from './model.ts';
export type { LlamaConfig, Metadata, MetadataValue, Vocabulary } from './model-file.ts';
export type { QuantizeOptions, QuantizeReport, Sink } from './quantize/index.ts';
export { QUANTIZE_TYPES, type QuantizeType } from './quantize/recipe.ts';
export type { ByteSource } from './source.ts';
export type { Manifest, Part } from './sources/manifest.ts';
export type { SinkFor, SplitOptions } from './sources/split.ts';
export type { StreamDecoder, Tokenizer } from './tokenizer.ts';
