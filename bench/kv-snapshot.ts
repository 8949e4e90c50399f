// npm run bench:snapshot: what a saved kv cache takes, and what it saves: a first token after a restored prompt beside one
// whose prompt is computed, in the calling thread, as on an edge platform.

import { open } from '../host/index.ts';
import { makeModel } from './make-model.ts';
import { makePrompt } from './synthetic.ts';

const MODEL = '15M-Q8_0';
const LENGTHS = [100, 400, 900];
const REPS = 7;

const path = makeModel(MODEL);
const rows: string[][] = [];
for (const kvCache of ['f32', 'f16'] as const) {
  const options = { threads: 0, contextLength: 1024, kvCache };
  for (const length of LENGTHS) {
    const { ids } = makePrompt(length, 'kv snapshot');
    const model = await open(path, options);
    const first = async () => {
      const from = performance.now();
      for await (const _ of model.tokens(ids, { maxTokens: 1, temperature: 0 }));
      return performance.now() - from;
    };
    let [computed, restoring, restored, bytes] = [Infinity, Infinity, Infinity, 0];
    for (let rep = 0; rep < REPS; rep++) {
      // another prompt, so that nothing of this one is there
      await model.logits([5]);
      computed = Math.min(computed, await first());
      const saved = await model.saveCache();
      bytes = saved.length;
      await model.logits([5]);
      const from = performance.now();
      await model.restoreCache(saved);
      restoring = Math.min(restoring, performance.now() - from);
      restored = Math.min(restored, await first());
    }
    await model.close();
    rows.push([
      `${length}, ${kvCache}`,
      `${(bytes / 1e6).toFixed(2)} MB`,
      (bytes / length).toFixed(0),
      computed.toFixed(1),
      `${(restoring + restored).toFixed(1)} (${restoring.toFixed(1)} of it restoring)`,
    ]);
  }
}
const head = ['tokens of prompt, kv cache', 'snapshot', 'bytes a token', 'first token, ms', 'restored, ms'];
console.log(`${MODEL}, best of ${REPS}`);
for (const row of [head, head.map(() => '---'), ...rows]) console.log(`| ${row.join(' | ')} |`);
