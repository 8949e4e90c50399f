// A worker of one's own: `open` computes in it, or in threads that it starts. Import maps do not reach workers; a bundler
// makes this `import { open } from 'cria'`.

import { open } from '/dist/lib/browser.js';

const opening = open(new URL('model.gguf', import.meta.url));

self.onmessage = async ({ data: prompt }) => {
  const model = await opening;
  for await (const piece of model.generate(prompt, { maxTokens: 200, seed: 1 })) postMessage(piece);
};
