// Opens a model whose cache is as large as its context, under the engine's own limit on memories, and says what happened.
//
//     node --wasm-max-mem-pages=N limited-child.js CONTEXT... [--threads T]

import { parseArgs } from 'node:util';
import { type ByteSource, CriaError, estimate, open } from '../../host/index.ts';
import { tinyModel } from './tiny-model.ts';

const { values, positionals } = parseArgs({
  options: { threads: { type: 'string', default: '0' } },
  allowPositionals: true,
});
const threads = Number(values.threads);
const bytes = tinyModel({ contextLength: 2 ** 20 });
let furthest = 0;
const source: ByteSource = {
  size: bytes.length,
  async readInto(view, offset) {
    furthest = Math.max(furthest, offset + view.length);
    view.set(bytes.subarray(offset, offset + view.length));
  },
};

const outcomes: unknown[] = [];
const { largestContextLength } = await estimate(source, { threads });
for (const given of positionals) {
  // +N and -N: beside the longest context that fits
  const contextLength = /^[+-]/.test(given) ? largestContextLength + Number(given) : Number(given);
  const { total, fits } = await estimate(source, { threads, contextLength });
  let loaded = 0;
  try {
    const onProgress = (progress: { loaded: number }) => (loaded = progress.loaded);
    const model = await open(source, { threads, contextLength, onProgress });
    await model.logits([1, 2, 3]);
    outcomes.push({ contextLength, total, fits, taken: model.info.bytes.total, loaded });
    await model.close();
  } catch (error) {
    if (!(error instanceof CriaError)) throw error;
    outcomes.push({ contextLength, total, fits, code: error.code, message: error.message, loaded });
  }
}
console.log(JSON.stringify(outcomes));
