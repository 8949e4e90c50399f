// Cria's public interface. What a first token does not need is imported where it is used: each file that is loaded costs
// about half a millisecond of a cold start.

import { gpuPlugin } from '#runtime';
import type { ModelSource, OpenOptions } from './api.ts';
import { buildModel } from './build-model.ts';
import { checkOptions, ESTIMATE_RULES, OPEN_RULES, VOCABULARY_RULES } from './check.ts';
import { readGgufHeader, readModelFile } from './checkpoint.ts';
import { FileError } from './errors.ts';
import type { Estimate, EstimateOptions } from './estimate.ts';
import type { FileReport } from './inspect.ts';
import type { Model } from './model.ts';
import type { Place } from './place.ts';
import type { QuantizeOptions, QuantizeReport, Sink } from './quantize/index.ts';
import type { Manifest } from './sources/manifest.ts';
import type { SinkFor, SplitOptions } from './sources/split.ts';
import { openSource, readAll } from './sources.ts';
import { ranksFor } from './threads.ts';
import { Tokenizer } from './tokenizer.ts';
import { vocabularyFromLlama2c, vocabularyFromMetadata } from './vocabulary.ts';

export type * from './api.ts';
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
  const preparing = placeFor(options, opened.size);
  try {
    preparing.catch(() => {}); // heard below, after what is wrong with the file
    const file = await readModelFile(opened, signal);
    const vocabulary =
      options.tokenizer === undefined
        ? file.vocabulary
        : await readVocabulary(options.tokenizer, file.config.vocabSize, signal);
    const tokenizer = vocabulary && new Tokenizer(vocabulary);
    return await buildModel(await preparing, file, opened, tokenizer, started, options);
  } catch (error) {
    await preparing.then(place => place.close()).catch(() => {});
    throw error;
  } finally {
    await opened.close();
  }
}

/** Threads and kernels begin to prepare themselves at once, while the header is read. */
async function placeFor(options: OpenOptions, bytes: number): Promise<Place> {
  if (options.backend === 'reference') {
    const [{ Here }, { Reference }] = await Promise.all([import('./here.ts'), import('./reference.ts')]);
    return new Here(new Reference());
  }
  const free = (options.threads ?? 'auto') === 'auto' && options.memoryLimit === undefined;
  if (options.backend === 'cuda' || (options.backend !== 'wasm' && free)) {
    const wanted = options.backend === 'cuda';
    const plugin = await gpuPlugin();
    const place = plugin || wanted ? await (await import('./gpu.ts')).gpuPlace(plugin, wanted) : undefined;
    if (place) return place;
  }
  const threads = ranksFor(options.threads ?? 'auto', bytes);
  if (threads === 0) return (await import('./here.ts')).Here.wasm();
  const { RemoteRunner } = await import('./workers/remote-runner.ts');
  return new RemoteRunner(threads);
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
  options: EstimateOptions & { signal?: AbortSignal } = {},
): Promise<FileReport> {
  checkOptions('inspect', options, ESTIMATE_RULES);
  const { report } = await import('./inspect.ts');
  const opened = await openSource(source, options.signal);
  try {
    return await report(opened, options);
  } finally {
    await opened.close();
  }
}

/**
 * How much memory a model would take when opened so, from the header alone, whether it would find it, and the longest
 * context that would.
 * @throws FileError for a file that cannot be run; OptionError
 */
export async function estimate(
  source: ModelSource,
  options: EstimateOptions & { signal?: AbortSignal } = {},
): Promise<Estimate> {
  checkOptions('estimate', options, ESTIMATE_RULES);
  const { estimateFile } = await import('./estimate.ts');
  const { signal, ...rest } = options;
  const opened = await openSource(source, signal);
  try {
    return estimateFile(await readModelFile(opened, signal), opened, rest);
  } finally {
    await opened.close();
  }
}

/**
 * Cuts a file into parts of at most `part` bytes and writes a manifest last, which `open` takes in the file's place.
 * @param sinkFor opens a file of that name to be written
 * @returns the manifest
 * @throws OptionError; FileError for what is wrong with the file; the signal's reason; what `sinkFor` and its sinks throw
 */
export async function split(
  source: ModelSource,
  sinkFor: SinkFor,
  options: SplitOptions = {},
): Promise<Manifest> {
  const { split } = await import('./sources/split.ts');
  return split(source, sinkFor, options);
}

/**
 * Writes a copy of a GGUF model whose matrices are stored in other types, piece by piece: memory does not grow with the
 * model. Vectors, and matrices that have the wanted type already, are copied as they are.
 *
 * @throws FileError for what is wrong with the file: also 'unsupported-dtype' for a type that cannot be read, or values
 *   that the wanted type cannot hold, and 'non-finite-weights'; OptionError; the signal's reason; what `sink` throws. What
 *   has been written is then no model.
 */
export async function quantize(
  source: ModelSource,
  sink: Sink,
  options: QuantizeOptions,
): Promise<QuantizeReport> {
  const { quantize } = await import('./quantize/index.ts');
  return quantize(source, sink, options);
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
    const vocabulary = vocabularyFromMetadata(header.values, opened.name);
    if (vocabulary && (size === undefined || vocabulary.types.length === size)) return vocabulary;
    throw new FileError('bad-vocabulary', {
      where: opened.name,
      expected: `a vocabulary${size === undefined ? '' : ` of ${size} pieces`}`,
      got: vocabulary ? `one of ${vocabulary.types.length}` : 'a GGUF file without one',
      hint: 'Take the tokenizer that belongs to the model.',
    });
  } finally {
    await opened.close();
  }
}
