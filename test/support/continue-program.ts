// Continues a saved cache in a process of its own:
//     node continue-program.js MODEL SNAPSHOT THREADS FORMAT COUNT
// prints the number of tokens that were restored, that were not computed again, and the ids that follow.

import { readFileSync } from 'node:fs';
import { open } from '../../host/index.ts';
import { NEVER_END } from './outcomes.ts';

const [path, snapshot, threads, kvCache, count] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
];
const model = await open(path, { threads: Number(threads), kvCache: kvCache as 'f32' });
const held = await model.restoreCache(readFileSync(snapshot));
const tokens = model.tokens(held, { ...NEVER_END, temperature: 0, maxTokens: Number(count) });
const ids: number[] = [];
for (;;) {
  const { value, done } = await tokens.next();
  if (done) {
    console.log(JSON.stringify({ held: held.length, cached: value.usage.cachedTokens, ids }));
    break;
  }
  ids.push(value.id);
}
await model.close();
