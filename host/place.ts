import type { Backend } from './backend.ts';
import type { LlamaLimits } from './llama.ts';
import type { ModelFile } from './model-file.ts';
import type { Runner } from './runner.ts';
import type { Source } from './source.ts';

export interface LoadCalls {
  signal?: AbortSignal | undefined;
  /** Called with the bytes of each piece of the weights. */
  onLoaded: (bytes: number) => void;
}

/** Where a model will compute. */
export interface Place {
  readonly backend: Backend['name'];
  /** 0: in the calling thread. */
  readonly threads: number;
  /** @throws FileError, StateError; the signal's reason. The place must then be closed. */
  load(
    file: Pick<ModelFile, 'config' | 'tensors'>,
    source: Source,
    limits: LlamaLimits,
    calls: LoadCalls,
  ): Promise<Runner>;
  close(): Promise<void>;
}
