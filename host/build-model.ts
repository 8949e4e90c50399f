import type { ModelInfo, OpenOptions } from './api.ts';
import { Fingerprint } from './fingerprint.ts';
import { checkMemory, limitsOf, planMemory, storedBytes } from './memory.ts';
import { Model } from './model.ts';
import type { ModelFile } from './model-file.ts';
import type { Place } from './place.ts';
import { Queue } from './queue.ts';
import type { Runner } from './runner.ts';
import type { Source } from './source.ts';
import type { Tokenizer } from './tokenizer.ts';

/** Loads the weights and makes the model. On failure the place is closed. */
export async function buildModel(
  place: Place,
  file: ModelFile,
  source: Source,
  tokenizer: Tokenizer | undefined,
  started: number,
  options: OpenOptions,
): Promise<Model> {
  try {
    const { signal, onProgress } = options;
    const { config } = file;
    const limits = limitsOf(config, options, place.backend);
    if (place.backend === 'wasm') {
      const plan = planMemory(file, options, Math.max(1, place.threads), source.held);
      checkMemory(plan, source.name, options.memoryLimit);
    }
    const total = storedBytes(file.tensors.values());
    let loaded = 0;
    const onLoaded = (bytes: number) => {
      // ranks that hold the same rows count them twice
      loaded = Math.min(total, loaded + bytes);
      onProgress?.({ loaded, total });
    };
    const fingerprint = new Fingerprint(file);
    const loading = place.load(file, fingerprint.watch(source), limits, { signal, onLoaded });
    // where threads load, this one has the time
    if (place.threads > 0) tokenizer?.prepare();
    const runner = await loading;
    const loadMs = performance.now() - started;
    const info = infoOf(file, place, runner, options);
    return new Model(info, { runner, queue: new Queue(), tokenizer, config, limits, fingerprint, loadMs });
  } catch (error) {
    await place.close();
    throw error;
  }
}

function infoOf(file: ModelFile, place: Place, runner: Runner, options: OpenOptions): ModelInfo {
  const { config, name, format, tensors } = file;
  const { contextLength, slots, cache } = limitsOf(config, options);
  const memory = planMemory(file, options, Math.max(1, place.threads));
  const dtypes: ModelInfo['dtypes'] = {};
  for (const { dtype } of tensors.values()) dtypes[dtype] = (dtypes[dtype] ?? 0) + 1;
  return {
    ...config,
    architecture: 'llama',
    name,
    format,
    backend: place.backend,
    threads: place.threads,
    sequences: slots,
    kvCache: cache,
    contextLength,
    trainedContextLength: config.contextLength,
    parameters: [...tensors.values()].reduce((sum, { rows, cols }) => sum + rows * cols, 0),
    bytes: { weights: memory.weights, cache: memory.cache, total: runner.bytes },
    dtypes,
    get metadata() {
      return file.metadata;
    },
  };
}
