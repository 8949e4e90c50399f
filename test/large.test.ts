// A model larger than a WebAssembly memory runs when ranks hold it together. Takes some minutes, 9 GB of memory and
// 200 MB of disk: a part of the full tests.

import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CriaError, open } from '../host/index.ts';
import { hashOf } from './support/numbers.ts';
import { SPARSE, writeSparseModel } from './support/sparse-model.ts';

const GIB = 2 ** 30;
/** Llama 2 7B (Touvron et al. 2023, table 1), opened with a short context. */
const SEVEN_B = {
  dim: 4096,
  hiddenDim: 11008,
  nLayers: 32,
  nHeads: 32,
  nKvHeads: 32,
  headDim: 128,
  vocabSize: 32000,
  contextLength: 4096,
  normEps: 1e-5,
  ropeTheta: 10000,
  ropeScale: 1,
};

if (process.env['CRIA_FULL']) {
  test('a 7B model in Q8_0 runs on two ranks and on three, with the same bits', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cria-'));
    try {
      const path = join(folder, '7B-Q8_0.gguf');
      writeSparseModel(path, SEVEN_B);
      const { size } = statSync(path);
      assert.ok(size > 7e9, `${size} bytes`);
      const contextLength = 64;
      for (const threads of [0, 1]) {
        const error = await open(path, { threads, contextLength }).catch(error => error);
        assert.ok(error instanceof CriaError && error.code === 'out-of-memory', String(error));
      }
      // ids whose embeddings are not zero, in the shares of all ranks
      const ids = [0, 100, 200, 300, 400, 499].map(i => i * SPARSE);
      const hashes: string[] = [];
      const texts: number[][] = [];
      for (const threads of [2, 3]) {
        const model = await open(path, { threads, contextLength });
        try {
          assert.ok(model.info.bytes.total > 7 * GIB * 0.95, 'all weights are in memory');
          const logits = await model.logits(ids);
          assert.ok(logits.some(value => Math.abs(value) > 1));
          hashes.push(hashOf(logits));
          const drawn: number[] = [];
          const options = { temperature: 0, maxTokens: 4, logitBias: { 1: -100, 2: -100 } };
          for await (const { id } of model.tokens(ids, options)) drawn.push(id);
          texts.push(drawn);
        } finally {
          await model.close();
        }
      }
      assert.is(hashes[0], hashes[1]);
      assert.equal(texts[0], texts[1]);
      const peak = process.resourceUsage().maxRSS / 2 ** 20;
      console.log(`figures: ${(size / GIB).toFixed(2)} GiB file, peak memory ${peak.toFixed(2)} GiB`);
      assert.ok(peak < 24);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
  test.run();
} else {
  console.log('skipped: a 7B model on two ranks (npm run test:full)');
}
