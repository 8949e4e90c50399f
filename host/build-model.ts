import type { ModelInfo, OpenOptions } from './api.ts';
import type { Backend } from './backend.ts';
import { Fingerprint } from './fingerprint.ts';
import { Llama } from './llama.ts';
import { LocalRunner } from './local-runner.ts';
import { checkMemory, limitsOf, planMemory } from './memory.ts';
import { Model } from './model.ts';
import type { ModelFile } from './model-file.ts';
import { Pace } from './pace.ts';
import { Queue } from './queue.ts';
import type { Runner } from './runner.ts';
import type { Source } from './source.ts';
import type { Tokenizer } from './tokenizer.ts';
import { loadWeights, storedBytes } from './weights.ts';
import { RemoteRunner } from './workers/remote-runner.ts';

/** In the calling thread, which has other things to do. */
const PIECE_MS = 50;

/** Loads the weights and makes the model: on a backend in this thread, or in other threads. On failure all is freed. */
export async function buildModel(
  place: Backend | RemoteRunner,
  file: ModelFile,
  source: Source,
  tokenizer: Tokenizer | undefined,
  started: number,
  options: OpenOptions,
): Promise<Model> {
  try {
    const { signal, onProgress } = options;
    const limits = limitsOf(file.config, options);
    const remote = place instanceof RemoteRunner;
    if (remote || place.name === 'wasm') {
      checkMemory(planMemory(file, options, remote ? place.ranks : 1), source.name);
    }
    const total = storedBytes(file.tensors.values());
    let loaded = 0;
    const onLoaded = (bytes: number) => {
      // ranks that hold the same rows count them twice
      loaded = Math.min(total, loaded + bytes);
      onProgress?.({ loaded, total });
    };
    const fingerprint = new Fingerprint(source, file);
    let runner: Runner;
    if (remote) {
      await place.load(file, fingerprint, limits, { signal, onLoaded });
      runner = place;
    } else {
      const weights = await loadWeights(place, file, fingerprint, { signal, onLoaded });
      const llama = new Llama(place, file.config, weights, limits);
      runner = new LocalRunner(llama, new Pace(PIECE_MS, 1, limits.batch));
    }
    const loadMs = performance.now() - started;
    const { config } = file;
    const threads = remote ? place.ranks : 0;
    const info = infoOf(file, runner.bytes, threads, remote ? 'wasm' : place.name, options);
    return new Model(info, { runner, queue: new Queue(), tokenizer, config, limits, fingerprint, loadMs });
  } catch (error) {
    if (place instanceof RemoteRunner) await place.close();
    else place.dispose();
    throw error;
  }
}

function infoOf(
  file: ModelFile,
  bytes: number,
  threads: number,
  backend: Backend['name'],
  options: OpenOptions,
): ModelInfo {
  const { config, metadata, format, tensors } = file;
  const limits = limitsOf(config, options);
  const memory = planMemory(file, options, Math.max(1, threads));
  const name = metadata.get('general.name');
  const dtypes: ModelInfo['dtypes'] = {};
  for (const { dtype } of tensors.values()) dtypes[dtype] = (dtypes[dtype] ?? 0) + 1;
  return {
    ...config,
    architecture: 'llama',
    name: typeof name === 'string' ? name : undefined,
    format,
    backend,
    threads,
    sequences: limits.slots,
    kvCache: limits.cache,
    contextLength: limits.contextLength,
    trainedContextLength: config.contextLength,
    parameters: [...tensors.values()].reduce((sum, { rows, cols }) => sum + rows * cols, 0),
    bytes: { weights: memory.weights, cache: memory.cache, total: bytes },
    dtypes,
    metadata,
  };
}
