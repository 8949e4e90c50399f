// Calls every kernel of the GPU once or more, in a process that the sanitizers watch. What it computes is tested elsewhere.

import { GOLDEN, GOLDEN_CACHES, sequence } from './golden.ts';
import { cudaOnMock } from './gpu.ts';
import { runTogether, tinyLlama } from './models.ts';

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
console.log('done');
