/** llama.cpp itself, through node-llama-cpp, where it is installed: opens what Cria writes and says what it computes. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { projectRoot } from './shared.ts';

/** The part of node-llama-cpp 3 that is used here. */
interface Library {
  getLlama(options: object): Promise<Llama>;
}
interface Llama {
  loadModel(options: object): Promise<{
    createContext(options: object): Promise<{ getSequence(): Sequence }>;
    dispose(): Promise<void>;
  }>;
  dispose(): Promise<void>;
}
interface Sequence {
  controlledEvaluate(
    input: [number, object][],
  ): Promise<({ next: { logits?: Map<number, number> } } | undefined)[]>;
  evaluate(tokens: number[], options: object): AsyncGenerator<number>;
}

/** The tests' own package, or that of the benchmarks. */
const FOLDERS = ['test/llama-cpp', 'bench/rivals'];

/** Where node-llama-cpp lies, or undefined. */
export function llamaCppFile(): string | undefined {
  return FOLDERS.map(folder =>
    join(projectRoot, folder, 'node_modules', 'node-llama-cpp', 'dist', 'index.js'),
  ).find(existsSync);
}

export class LlamaCpp {
  readonly #llama: Llama;

  private constructor(llama: Llama) {
    this.#llama = llama;
  }

  static async load(file: string): Promise<LlamaCpp> {
    const library = (await import(pathToFileURL(file).href)) as Library;
    const options = { gpu: false, build: 'never', logLevel: 'error', maxThreads: 1 };
    return new LlamaCpp(await library.getLlama(options));
  }

  /** Logits after each of `ids`, (ids.length, vocabSize). */
  async logits(path: string, ids: number[], vocabSize: number): Promise<Float32Array> {
    return this.#with(path, ids.length, async sequence => {
      const wanted = { generateNext: { logits: true } };
      const items = await sequence.controlledEvaluate(ids.map(id => [id, wanted]));
      const out = new Float32Array(ids.length * vocabSize);
      for (const [i, item] of items.entries()) {
        for (const [id, logit] of item!.next.logits!) out[i * vocabSize + id] = logit;
      }
      return out;
    });
  }

  /** The `count` most probable ids after a prompt, one after another. */
  async greedy(path: string, prompt: number[], count: number): Promise<number[]> {
    return this.#with(path, prompt.length + count, async sequence => {
      const ids: number[] = [];
      for await (const id of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
        ids.push(id);
        if (ids.length === count) break;
      }
      return ids;
    });
  }

  close(): Promise<void> {
    return this.#llama.dispose();
  }

  async #with<T>(path: string, length: number, use: (sequence: Sequence) => Promise<T>): Promise<T> {
    const model = await this.#llama.loadModel({ modelPath: path, gpuLayers: 0 });
    const context = await model.createContext({
      contextSize: Math.max(64, length),
      batchSize: 64,
      threads: 1,
    });
    try {
      return await use(context.getSequence());
    } finally {
      await model.dispose();
    }
  }
}
