import { rowBytes } from './dtype.ts';
import type { ModelFile, StoredTensor } from './model-file.ts';
import type { Source } from './source.ts';

/** Bytes of each tensor that tell models apart: so many of its first row, which is read whole, whoever reads it. */
const SAMPLE = 1024;

/** Looks on while a model's weights are read, to tell the model from others afterwards. */
export class Fingerprint {
  readonly #file: Pick<ModelFile, 'config' | 'tensors'>;
  /** Beginnings of the tensors. */
  readonly #samples = new Map<StoredTensor, Uint8Array<ArrayBuffer>>();

  constructor(file: Pick<ModelFile, 'config' | 'tensors'>) {
    this.#file = file;
  }

  /** A source to read the weights from instead of `source`, which is not kept. */
  watch(source: Source): Source {
    const tensors = new Map([...this.#file.tensors.values()].map(tensor => [tensor.offset, tensor]));
    return {
      name: source.name,
      size: source.size,
      ordered: source.ordered ?? false,
      readInto: async (view, offset, signal) => {
        await source.readInto(view, offset, signal);
        const tensor = tensors.get(offset);
        if (!tensor) return;
        const bytes = tensor.int8 ? tensor.cols : rowBytes(tensor.dtype, tensor.cols);
        this.#samples.set(tensor, view.slice(0, Math.min(SAMPLE, bytes)) as Uint8Array<ArrayBuffer>);
      },
      close: () => source.close(),
    };
  }

  /** SHA-256 of the shape and of the beginning of every tensor, in the order of their names. */
  async hash(): Promise<Uint8Array> {
    const { config, tensors } = this.#file;
    const sorted = [...tensors.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    const table = sorted.map(({ name, dtype, rows, cols }) => [name, dtype, rows, cols]);
    const shape = JSON.stringify([Object.entries(config).sort(), table]);
    const parts: Uint8Array<ArrayBuffer>[] = [new TextEncoder().encode(shape)];
    for (const tensor of sorted) {
      const sample = this.#samples.get(tensor);
      if (sample) parts.push(sample);
      else if (tensor.rows > 0) throw new Error(`${tensor.name} was never read`);
    }
    return new Uint8Array(await crypto.subtle.digest('SHA-256', await new Blob(parts).arrayBuffer()));
  }
}
