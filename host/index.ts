// Cria's public interface.

import type { ModelSource, OpenOptions } from './api.ts';
import type { Backend } from './backend.ts';
import { buildModel } from './build-model.ts';
import { checkOptions, INSPECT_RULES, OPEN_RULES, VOCABULARY_RULES } from './check.ts';
import { readGgufHeader, readModelFile } from './checkpoint.ts';
import { FileError } from './errors.ts';
import { kernels } from './inlined.ts';
import { type FileReport, report } from './inspect.ts';
import type { Model } from './model.ts';
import { Reference } from './reference.ts';
import { openSource, readAll } from './sources.ts';
import { ranksFor } from './threads.ts';
import { Tokenizer } from './tokenizer.ts';
import { vocabularyFromLlama2c, vocabularyFromMetadata } from './vocabulary.ts';
import { instantiate, Wasm } from './wasm.ts';
import { RemoteRunner } from './workers/remote-runner.ts';

export type * from './api.ts';
export { CriaError, type ErrorCode, FileError, OptionError, StateError } from './errors.ts';
export type { FileReport } from './inspect.ts';
export type { MemoryPlan } from './memory.ts';
export type { Model } from './model.ts';
export type { LlamaConfig, Metadata, MetadataValue, Vocabulary } from './model-file.ts';
export { type QuantizeOptions, type QuantizeReport, quantize, type Sink } from './quantize/index.ts';
export { QUANTIZE_TYPES, type QuantizeType } from './quantize/recipe.ts';
export type { StreamDecoder, Tokenizer } from './tokenizer.ts';

/**
 * Opens a GGUF or llama2.c model.
 * @throws FileError for what is wrong with the file, OptionError with the options, StateError with the machine; the
 * signal's reason. Nothing stays allocated then.
 */
export async function open(source: ModelSource, options: OpenOptions = {}): Promise<Model> {
  checkOptions('open', options, OPEN_RULES);
  const { signal } = options;
  const started = performance.now();
  signal?.throwIfAborted();
  const opened = await openSource(source, signal);
  let place: Backend | RemoteRunner | undefined;
  try {
    place = await placeFor(options, opened.size);
    const file = await readModelFile(opened, signal);
    const vocabulary =
      options.tokenizer === undefined
        ? file.vocabulary
        : await readVocabulary(options.tokenizer, file.config.vocabSize, signal);
    const tokenizer = vocabulary && new Tokenizer(vocabulary);
    return await buildModel(place, file, opened, tokenizer, started, options);
  } catch (error) {
    if (place instanceof RemoteRunner) await place.close();
    throw error;
  } finally {
    await opened.close();
  }
}

/** Threads begin to prepare themselves at once. */
async function placeFor(options: OpenOptions, bytes: number): Promise<Backend | RemoteRunner> {
  if (options.backend === 'reference') return new Reference();
  const ranks = ranksFor(options.threads ?? 'auto', bytes);
  return ranks > 0 ? new RemoteRunner(ranks) : new Wasm(instantiate(await kernels()));
}

/**
 * Opens a vocabulary alone: a GGUF file, with or without weights, or llama2.c's tokenizer file.
 * @throws FileError
 */
export async function openTokenizer(
  source: ModelSource,
  options: { signal?: AbortSignal } = {},
): Promise<Tokenizer> {
  checkOptions('openTokenizer', options, VOCABULARY_RULES);
  return new Tokenizer(await readVocabulary(source, undefined, options.signal));
}

/**
 * What a file's header says, and what it would take to run it; no weights are read.
 * @throws FileError if the header cannot be read; what keeps a readable file from running is in the report.
 */
export async function inspect(
  source: ModelSource,
  options: { contextLength?: number; signal?: AbortSignal } = {},
): Promise<FileReport> {
  checkOptions('inspect', options, INSPECT_RULES);
  const opened = await openSource(source, options.signal);
  try {
    return await report(opened, options);
  } finally {
    await opened.close();
  }
}

async function readVocabulary(
  source: ModelSource,
  size: number | undefined,
  signal: AbortSignal | undefined,
) {
  const opened = await openSource(source, signal);
  try {
    const header = await readGgufHeader(opened, signal);
    if (!header) return vocabularyFromLlama2c(await readAll(opened, signal), size, opened.name);
    const vocabulary = vocabularyFromMetadata(header.metadata, opened.name);
    if (vocabulary && (size === undefined || vocabulary.pieces.length === size)) return vocabulary;
    throw new FileError('bad-vocabulary', {
      where: opened.name,
      expected: `a vocabulary${size === undefined ? '' : ` of ${size} pieces`}`,
      got: vocabulary ? `one of ${vocabulary.pieces.length}` : 'a GGUF file without one',
      hint: 'Take the tokenizer that belongs to the model.',
    });
  } finally {
    await opened.close();
  }
}
