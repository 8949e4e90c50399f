import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { rivalFile } from '../paths.ts';
import { runContender, timeTokens } from '../protocol.ts';
import { CONTEXT } from '../synthetic.ts';

/** The part of node-llama-cpp 3 that is used here. */
interface Library {
  getLlama(options: object): Promise<{ loadModel(options: object): Promise<LoadedModel> }>;
}
interface LoadedModel {
  createContext(options: object): Promise<{ getSequence(): Sequence }>;
}
interface Sequence {
  clearHistory(): Promise<void>;
  evaluate(tokens: number[], options: object): AsyncGenerator<number>;
}

await runContender(async ({ path, threads }) => {
  const file = rivalFile('node-llama-cpp', 'dist', 'index.js')!;
  const library = (await import(pathToFileURL(file).href)) as Library;
  const llama = await library.getLlama({
    gpu: false,
    build: 'never',
    logLevel: 'error',
    maxThreads: threads,
  });
  const model = await llama.loadModel({ modelPath: path, gpuLayers: 0 });
  const context = await model.createContext({ contextSize: CONTEXT, batchSize: 512, threads });
  const sequence = context.getSequence();
  const manifest = JSON.parse(readFileSync(rivalFile('node-llama-cpp', 'package.json')!, 'utf8')) as {
    version: string;
  };
  return {
    version: manifest.version,
    async generate(prompt, n) {
      await sequence.clearHistory();
      const start = performance.now();
      return timeTokens(start, sequence.evaluate(prompt.ids, { temperature: 0, yieldEogToken: true }), n);
    },
    close: async () => {
      setTimeout(() => process.exit(0), 100); // its thread pool keeps the process alive
    },
  };
});
