// What Cria does, on any runtime. What a first token does not need is imported where it is used: each file that is loaded costs
// about half a millisecond of a cold start.

import type { ModelSource, OpenOptions } from './api.ts';
import { buildModel } from './build-model.ts';
import { checkOptions, describe, ESTIMATE_RULES, OPEN_RULES, VOCABULARY_RULES } from './check.ts';
import { readGgufHeader, readModelFile } from './checkpoint.ts';
import { FileError, OptionError, StateError } from './errors.ts';
import type { Estimate, EstimateOptions } from './estimate.ts';
import type { FileReport } from './inspect.ts';
import type { Model } from './model.ts';
import type { ModelFile, Vocabulary } from './model-file.ts';
import type { Place } from './place.ts';
import type { QuantizeOptions, QuantizeReport, Sink } from './quantize/index.ts';
import type { Runtime } from './runtime/runtime.ts';
import type { Source } from './source.ts';
import type { Manifest } from './sources/manifest.ts';
import type { SinkFor, SplitOptions } from './sources/split.ts';
import { type OpenSource, openSource, readAll } from './sources.ts';
import { ranksFor } from './threads.ts';
import { Tokenizer } from './tokenizer.ts';
import { vocabularyFromLlama2c, vocabularyFromMetadata } from './vocabulary.ts';

/** The functions that a runtime's entry exports. */
export interface Cria {
  /**
   * Opens a model: GGUF, llama2.c, or any file of one in Hugging Face's layout (safetensors, config.json) or Meta's
   * (consolidated.NN.pth, params.json), whose other files lie beside it.
   * @throws FileError for what is wrong with the file, OptionError with the options, StateError with the machine; the
   * signal's reason. Nothing stays allocated then.
   */
  open(source: ModelSource, options?: OpenOptions): Promise<Model>;
  /**
   * Opens a vocabulary alone: a GGUF file, with or without weights, SentencePiece's `tokenizer.model`, or llama2.c's
   * tokenizer file.
   * @throws FileError
   */
  openTokenizer(source: ModelSource, options?: { signal?: AbortSignal }): Promise<Tokenizer>;
  /**
   * What a file's header says, and what it would take to run it; no weights are read.
   * @throws FileError if the header cannot be read; what keeps a readable file from running is in the report.
   */
  inspect(source: ModelSource, options?: EstimateOptions & { signal?: AbortSignal }): Promise<FileReport>;
  /**
   * How much memory a model would take when opened so, from the header alone, whether it would find it, and the longest
   * context that would.
   * @throws FileError for a file that cannot be run; OptionError
   */
  estimate(source: ModelSource, options?: EstimateOptions & { signal?: AbortSignal }): Promise<Estimate>;
  /**
   * Cuts a file into parts of at most `part` bytes and writes a manifest last, which `open` takes in the file's place.
   * @param sinkFor opens a file of that name to be written
   * @returns the manifest
   * @throws OptionError; FileError for what is wrong with the file; the signal's reason; what `sinkFor` and its sinks throw;
   *   StateError 'unsupported-runtime' where bytes cannot be hashed piece by piece
   */
  split(source: ModelSource, sinkFor: SinkFor, options?: SplitOptions): Promise<Manifest>;
  /**
   * Writes a copy of a GGUF model whose matrices are stored in other types, piece by piece: memory does not grow with the
   * model. Vectors, and matrices that have the wanted type already, are copied as they are.
   *
   * @throws FileError for what is wrong with the file: also 'unsupported-dtype' for a type that cannot be read, or values
   *   that the wanted type cannot hold, and 'non-finite-weights'; OptionError; the signal's reason; what `sink` throws. What
   *   has been written is then no model.
   */
  quantize(source: ModelSource, sink: Sink, options: QuantizeOptions): Promise<QuantizeReport>;
}

/** Cria on a runtime. @internal */
export function criaOn(runtime: Runtime): Cria {
  const openOn: OpenSource = (source, signal) => openSource(source, signal, runtime.names);

  return {
    async open(source, options = {}) {
      checkOptions('open', options, OPEN_RULES);
      const { signal } = options;
      const started = performance.now();
      signal?.throwIfAborted();
      const opening = openOn(source, signal);
      const preparing = placeFor(runtime, options, opening);
      preparing.catch(() => {}); // heard below, after what is wrong with the file
      const close = () => preparing.then(place => place.close()).catch(() => {});
      const opened = await opening.catch(async error => {
        await close();
        throw error;
      });
      let file: ModelFile | undefined;
      try {
        file = await readModelFile(opened, signal);
        const vocabulary =
          options.tokenizer === undefined
            ? file.vocabulary
            : await readVocabulary(await openOn(options.tokenizer, signal), file.config.vocabSize, signal);
        const tokenizer = vocabulary && new Tokenizer(vocabulary);
        return await buildModel(await preparing, file, file.source ?? opened, tokenizer, started, options);
      } catch (error) {
        await close();
        throw error;
      } finally {
        await (file?.source ?? opened).close();
      }
    },

    async openTokenizer(source, options = {}) {
      checkOptions('openTokenizer', options, VOCABULARY_RULES);
      const { signal } = options;
      return new Tokenizer(await readVocabulary(await openOn(source, signal), undefined, signal));
    },

    async inspect(source, options = {}) {
      checkOptions('inspect', options, ESTIMATE_RULES);
      const { report } = await import('./inspect.ts');
      const opened = await openOn(source, options.signal);
      try {
        return await report(opened, options, runtime.threads);
      } finally {
        await opened.close();
      }
    },

    async estimate(source, options = {}) {
      checkOptions('estimate', options, ESTIMATE_RULES);
      const { estimateFile } = await import('./inspect.ts');
      const { signal, ...rest } = options;
      const opened = await openOn(source, signal);
      let file: ModelFile | undefined;
      try {
        file = await readModelFile(opened, signal);
        return estimateFile(file, file.source ?? opened, rest, runtime.threads);
      } finally {
        await (file?.source ?? opened).close();
      }
    },

    async split(source, sinkFor, options = {}) {
      const { split } = await import('./sources/split.ts');
      return split(source, sinkFor, options, openOn, runtime.sha256);
    },

    async quantize(source, sink, options) {
      const { quantize } = await import('./quantize/index.ts');
      return quantize(source, sink, options, openOn);
    },
  };
}

/** Threads and kernels begin to prepare themselves at once, while the file is opened and its header read. */
async function placeFor(runtime: Runtime, options: OpenOptions, opening: Promise<Source>): Promise<Place> {
  const { backend = 'auto', threads = 'auto', memoryLimit, gpus } = options;
  const wanted = backend === 'cuda';
  if (gpus !== undefined && !wanted) {
    throw new OptionError('option-range', {
      where: 'open: gpus',
      expected: "backend: 'cuda'",
      got: describe(backend),
      hint: "Ask for backend: 'cuda' too, or leave gpus out.",
    });
  }
  if (backend === 'reference') {
    const [{ Here }, { Reference }] = await Promise.all([import('./here.ts'), import('./reference.ts')]);
    return new Here(new Reference());
  }
  if (wanted || (backend === 'auto' && threads === 'auto' && memoryLimit === undefined)) {
    const place = await runtime.gpu?.(wanted, gpus);
    if (place) return place;
    if (wanted) {
      throw new StateError('gpu-unavailable', {
        where: "open: backend 'cuda'",
        expected: 'Node, Deno or Bun, which load addons',
        got: 'a runtime that does not',
        hint: "Open the model with backend: 'wasm'.",
      });
    }
  }
  if (ranksFor(runtime.threads, threads, 0) > 0) {
    try {
      return await runtime.threads!.start(
        opening.then(({ size }) => ranksFor(runtime.threads, threads, size)),
      );
    } catch (error) {
      // a bundle may have left the program of the threads behind
      if (threads !== 'auto' || (error as StateError).code !== 'thread-died') throw error;
    }
  }
  const { Here } = await import('./here.ts');
  return Here.wasm(await runtime.kernels());
}

/** The vocabulary of a file of its own: a `tokenizer.model` or llama2.c's. */
async function vocabularyFromFile(
  source: Source,
  size: number | undefined,
  signal: AbortSignal | undefined,
): Promise<Vocabulary> {
  const bytes = await readAll(source, signal);
  const { isSentencePiece, vocabularyFromSentencePiece } = await import('./sentencepiece.ts');
  return isSentencePiece(bytes)
    ? vocabularyFromSentencePiece(bytes, source.name)
    : vocabularyFromLlama2c(bytes, size, source.name);
}

/** Closes what it reads. */
async function readVocabulary(
  opened: Source,
  size: number | undefined,
  signal: AbortSignal | undefined,
): Promise<Vocabulary> {
  try {
    const header = await readGgufHeader(opened, signal);
    const vocabulary = header
      ? vocabularyFromMetadata(header.values, opened.name)
      : await vocabularyFromFile(opened, size, signal);
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
