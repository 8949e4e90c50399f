import type { Backend } from './backend.ts';
import { Llama, type LlamaLimits } from './llama.ts';
import { LocalRunner } from './local-runner.ts';
import { takeMemory } from './memory.ts';
import type { ModelFile } from './model-file.ts';
import { Pace } from './pace.ts';
import type { LoadCalls, Place } from './place.ts';
import { shareOf } from './ranks/share.ts';
import type { Runner } from './runner.ts';
import type { Source } from './source.ts';
import { Wasm } from './wasm.ts';
import { instantiate } from './wasm-kernels.ts';
import { loadWeights } from './weights.ts';

/** The calling thread has other things to do, and may be kept from them for a tenth of a second. */
const PIECE_MS = 80;

/** The calling thread as the place of a model. */
export class Here implements Place {
  readonly threads = 0;
  readonly #backend: Backend;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  static wasm(kernels: WebAssembly.Module): Here {
    return new Here(new Wasm(instantiate(kernels)));
  }

  get backend(): Backend['name'] {
    return this.#backend.name;
  }

  async load(
    file: Pick<ModelFile, 'config' | 'tensors'>,
    source: Source,
    limits: LlamaLimits,
    calls: LoadCalls,
  ): Promise<Runner> {
    takeMemory(this.#backend, file, limits, shareOf(file.config), source.name);
    const weights = await loadWeights(this.#backend, file, source, calls);
    const llama = new Llama(this.#backend, file.config, weights, limits);
    // a GPU's work keeps nobody from anything
    const least = this.backend === 'cuda' ? limits.batch : 1;
    return new LocalRunner(llama, new Pace(PIECE_MS, least, limits.batch));
  }

  async close(): Promise<void> {
    this.#backend.dispose();
  }
}
