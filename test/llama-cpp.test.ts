// What `quantize` and training write is opened by llama.cpp itself, which computes the same from it.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { open, QUANTIZE_TYPES, type QuantizeType, quantize } from '../host/index.ts';
import { LlamaCpp, llamaCppFile } from './support/llama-cpp.ts';
import { nmse } from './support/numbers.ts';
import { projectRoot, shared, sharedFile } from './support/shared.ts';

/** llama.cpp rounds activations too, and in another way. */
const BOUND = 1e-3;
const GREEDY = 64;

async function quantized(source: string, type: QuantizeType): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  await quantize(source, { write: async piece => void pieces.push(piece) }, { type });
  return Buffer.concat(pieces);
}

const file = llamaCppFile();
if (file === undefined || shared('.') === undefined) {
  const why = file === undefined ? 'npm run test:llama-cpp installs it' : '../shared is not there';
  console.log(`skipped: what quantize writes, opened by llama.cpp (${why})`);
} else {
  const test = suite('llama.cpp');
  const folder = mkdtempSync(join(tmpdir(), 'cria-'));
  const llamaCpp = await LlamaCpp.load(file);
  const written = async (source: string, type: QuantizeType): Promise<string> => {
    const path = join(folder, `${type}.gguf`);
    writeFileSync(path, await quantized(source, type));
    return path;
  };

  for (const type of QUANTIZE_TYPES) {
    test(`${type}: logits of rows of 256 agree`, async () => {
      const path = await written(sharedFile('data/models/quant/synth256.F32.gguf'), type);
      const model = await open(path, { threads: 0 });
      const ids = Array.from({ length: 12 }, (_, i) => 3 + ((i * 37) % (model.info.vocabSize - 3)));
      const own = await model.logits(ids);
      const { vocabSize } = model.info;
      await model.close();
      const error = nmse(own, await llamaCpp.logits(path, ids, vocabSize));
      assert.ok(error < BOUND, `NMSE ${error}`);
    });
  }

  const greedy: Record<string, () => Promise<string>> = {
    'F16 of stories260K': () => written(sharedFile('data/models/stories260K.gguf'), 'F16'),
    'BF16 of stories260K': () => written(sharedFile('data/models/stories260K.gguf'), 'BF16'),
    'the model that ships': async () => join(projectRoot, 'models', 'stories.gguf'),
  };
  for (const [what, file] of Object.entries(greedy)) {
    test(`${what}: the first ${GREEDY} greedy ids agree, or differ at a near tie`, async () => {
      const path = await file();
      const model = await open(path, { threads: 0, contextLength: 128 });
      const prompt = model.tokenizer.encode('Once upon a time');
      const own: number[] = [];
      for await (const { id } of model.tokens(prompt, { temperature: 0, maxTokens: GREEDY })) own.push(id);
      const other = await llamaCpp.greedy(path, prompt, GREEDY);
      const at = own.findIndex((id, i) => id !== other[i]);
      if (at >= 0) {
        const { vocabSize } = model.info;
        const ids = [...prompt, ...own.slice(0, at)];
        const mine = (await model.logits(ids)).slice(-vocabSize);
        const theirs = (await llamaCpp.logits(path, ids, vocabSize)).slice(-vocabSize);
        const error = mine.reduce((most, logit, i) => Math.max(most, Math.abs(logit - theirs[i]!)), 0);
        const gap = Math.abs(mine[own[at]!]! - mine[other[at]!]!);
        assert.ok(gap <= 2 * error, `token ${at}: a gap of ${gap}, an error of ${error}`);
      }
      await model.close();
    });
  }

  test.after(async () => {
    rmSync(folder, { recursive: true });
    await llamaCpp.close();
    setTimeout(() => process.exit(), 100); // llama.cpp's threads keep the process alive
  });
  test.run();
}
