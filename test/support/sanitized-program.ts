// Calls every kernel of the GPU once or more, in a process that the sanitizers watch. What it computes is tested elsewhere.

import { GOLDEN, GOLDEN_CACHES, sequence } from './golden.ts';
import { cudaOnMock, trainCudaOnMock } from './gpu.ts';
import { runTogether, tinyLlama } from './models.ts';
import { runCase, SMALL } from './train-ops.ts';

for (const { options, cache = 'f32' } of [...GOLDEN, ...GOLDEN_CACHES]) {
  const backend = cudaOnMock();
  const llama = await tinyLlama(backend, options, { cache, slots: 2 });
  const { vocabSize } = llama.config;
  // nine tokens share tiles of weights, two do not
  await runTogether(llama, [{ ids: sequence(1, 11), slot: 1, chunk: 9 }]);
  llama.copySlot(1, 0, 5);
  const logits = llama.logits([0, 1]);
  const ids = backend.allocI32(3);
  const values = backend.allocF32(3);
  backend.writeI32(ids, [4, 2, 7]);
  backend.penalize(logits, ids, ids, 3, 1.1, 0.1, 0.1);
  backend.crossEntropy(values, logits, ids, 2, vocabSize);
  backend.addBias(logits, ids, values, 2);
  backend.topLogprobs(ids, values, logits, vocabSize, 3);
  backend.sample(ids, logits, vocabSize, 1, 0, 0.9, 0.01, 0.5);
  await backend.readI32(ids, 3);
  backend.dispose();
}
for (const kase of SMALL) {
  const backend = trainCudaOnMock();
  await runCase(backend, kase);
  backend.dispose();
}
const backend = trainCudaOnMock();
const [w, m, v, gradient] = [0, 1, 2, 3].map(() => backend.allocF32(5)) as [number, number, number, number];
for (const buf of [w, m, v, gradient]) backend.zero(buf, 5);
backend.adamw(w, m, v, gradient, 5, 1, 0.1, 0.9, 0.95, 1e-5, 0.1, 1);
backend.sumSquares(gradient, w, 5);
await backend.readF32(gradient, 1);
backend.dispose();
console.log('done');
