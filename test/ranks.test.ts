// The same bits for any number of ranks, build, chunking and company: one product over all of them, with real threads.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { CacheDType } from '../host/dtype.ts';
import { type Build, compileBuild } from '../host/inlined.ts';
import { Wasm } from '../host/wasm.ts';
import { instantiate } from '../host/wasm-kernels.ts';
import { BACKENDS } from './support/backends.ts';
import { GOLDEN, GOLDEN_CACHES, GOLDEN_HEADS, GOLDEN_IDS, sequence } from './support/golden.ts';
import { type Feed, llamaOf, runTogether } from './support/models.ts';
import { hashOf } from './support/numbers.ts';
import { RankThreads } from './support/rank-threads.ts';
import { type TinyModelOptions, tinyModel } from './support/tiny-model.ts';

const BUILDS = Object.keys(BACKENDS) as Build[];
/** Alone; as many as kv heads; more, so that groups are split; as many as query heads; more, so that one has none. */
const RANKS = [1, 2, 3, 4, 5];
const LIMITS = { contextLength: 64, slots: 5, batch: 64, outputs: 64 };

/** The golden sequence alone, in chunks of 60, 1, 7 and 32, and as the third of five. */
const OTHERS: Feed[] = [1, 3, 5, 2].map((chunk, i) => ({ ids: sequence(i, 20 + 9 * i), slot: i, chunk }));
const PLANS: Feed[][] = [
  ...[60, 1, 7, 32].map((chunk, slot): Feed[] => [{ ids: GOLDEN_IDS, slot, chunk }]),
  [...OTHERS.slice(0, 2), { ids: GOLDEN_IDS, slot: 4, chunk: 7 }, ...OTHERS.slice(2)],
];

const test = suite('ranks');
const threads = new RankThreads(Math.max(...RANKS));
test.after(() => threads.close());

/** The builds that a number of ranks runs on: all of one build, and three ranks, which split groups, of the other. */
const buildsOf = (ranks: number) => (ranks === 3 ? BUILDS : BUILDS.slice(-1));

/** Hashes of the golden sequence and the four others, each alone in the calling thread. */
async function aloneOf(model: Uint8Array, cache: CacheDType): Promise<string[]> {
  const llama = await llamaOf(new Wasm(instantiate(await compileBuild('simd'))), model, {
    ...LIMITS,
    cache,
  });
  const hashes: string[] = [];
  for (const feed of [{ ids: GOLDEN_IDS, slot: 4, chunk: 60 }, ...OTHERS])
    hashes.push(hashOf((await runTogether(llama, [feed]))[0]!));
  return hashes;
}

async function checkAll(options: TinyModelOptions, cache: CacheDType, golden: string): Promise<void> {
  const model = tinyModel(options);
  const [whole, a, b, c, d] = await aloneOf(model, cache);
  assert.is(whole, golden);
  const expected = [[golden], [golden], [golden], [golden], [a, b, golden, c, d]];
  const limits = { ...LIMITS, cache };
  for (const ranks of RANKS) {
    for (const build of buildsOf(ranks)) {
      const hashes = await threads.run(ranks, { model, build, limits, plans: PLANS });
      assert.equal(hashes, expected, `${build}, ${ranks} ranks`);
    }
  }
}

for (const { options, cache = 'f32', hash } of [...GOLDEN, ...GOLDEN_HEADS, ...GOLDEN_CACHES]) {
  const { nHeads = 4, nKvHeads = 2, dtype } = options;
  const label = `${dtype}, ${nHeads} heads, ${nKvHeads} kv heads, cache in ${cache}`;
  test(`${label}: the golden bits, whatever the build, the ranks, the chunks and the company`, () =>
    checkAll(options, cache, hash));
}

test.run();
