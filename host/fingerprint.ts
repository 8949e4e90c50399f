import type { ModelFile } from './model-file.ts';
import type { Source } from './source.ts';

/** Bytes of each tensor that tell models apart. */
const SAMPLE = 1024;

/** Looks on while a model's weights are read, to tell the model from others afterwards. */
export class Fingerprint implements Source {
  readonly name: string;
  readonly size: number;
  readonly ordered: boolean;
  readonly #source: Source;
  readonly #file: Pick<ModelFile, 'config' | 'tensors'>;
  /** Beginnings of the tensors, by their offset. */
  readonly #samples = new Map<number, Uint8Array<ArrayBuffer> | undefined>();

  constructor(source: Source, file: Pick<ModelFile, 'config' | 'tensors'>) {
    this.name = source.name;
    this.size = source.size;
    this.ordered = source.ordered ?? false;
    this.#source = source;
    this.#file = file;
    for (const { offset } of file.tensors.values()) this.#samples.set(offset, undefined);
  }

  async readInto(view: Uint8Array, offset: number, signal?: AbortSignal): Promise<void> {
    await this.#source.readInto(view, offset, signal);
    if (this.#samples.has(offset))
      this.#samples.set(offset, view.slice(0, SAMPLE) as Uint8Array<ArrayBuffer>);
  }

  close(): Promise<void> {
    return this.#source.close();
  }

  /** SHA-256 of the shape and of the beginning of every tensor, in the order of their names. */
  async hash(): Promise<Uint8Array> {
    const { config, tensors } = this.#file;
    const sorted = [...tensors.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    const table = sorted.map(({ name, dtype, rows, cols }) => [name, dtype, rows, cols]);
    const shape = JSON.stringify([Object.entries(config).sort(), table]);
    const parts: Uint8Array<ArrayBuffer>[] = [new TextEncoder().encode(shape)];
    for (const { offset, rows } of sorted) {
      const sample = this.#samples.get(offset);
      if (sample) parts.push(sample);
      else if (rows > 0) throw new Error(`the weights at ${offset} were never read`);
    }
    return new Uint8Array(await crypto.subtle.digest('SHA-256', await new Blob(parts).arrayBuffer()));
  }
}
