// The program of a test's rank: as host/workers/rank-program.ts, but below the public interface, and for one model after
// another, since threads are slow to start.

import { parentPort } from 'node:worker_threads';
import { readModelFile } from '../../host/checkpoint.ts';
import { type Build, compileBuild } from '../../host/inlined.ts';
import { Llama, type LlamaLimits } from '../../host/llama.ts';
import { Exchange, type Shared } from '../../host/ranks/exchange.ts';
import { follow, LeadingLlama } from '../../host/ranks/leader.ts';
import { RankWasm } from '../../host/ranks/rank-wasm.ts';
import { shareOf } from '../../host/ranks/share.ts';
import { openSource } from '../../host/sources.ts';
import { Wasm } from '../../host/wasm.ts';
import { instantiate } from '../../host/wasm-kernels.ts';
import { loadWeights } from '../../host/weights.ts';
import { type Feed, runTogether } from './models.ts';
import { hashOf } from './numbers.ts';

export interface Job {
  model: Uint8Array;
  build: Build;
  limits: LlamaLimits;
  rank: number;
  shared: Shared | undefined;
  /** Sequences that run together, one list after another. */
  plans: Feed[][];
}

/** Hashes of every sequence's logits by plan, from the first rank. */
export type Answer = string[][] | undefined;

class Over extends Error {}

/** A copy of nothing ends it. */
class Follower extends Llama {
  override copySlot(from: number, to: number, count: number): void {
    if (count === 0) throw new Over();
    super.copySlot(from, to, count);
  }
}

parentPort!.on('message', async (job: Job) => {
  parentPort!.postMessage(await run(job));
});

async function run({ model, build, limits, rank, shared, plans }: Job): Promise<Answer> {
  const source = await openSource(model);
  const file = await readModelFile(source);
  const share = shareOf(file.config, rank, shared?.ranks ?? 1);
  const kernels = instantiate(await compileBuild(build));
  const exchange = shared && new Exchange(shared);
  const backend = exchange ? new RankWasm(kernels, exchange) : new Wasm(kernels);
  const weights = await loadWeights(backend, file, source, { share });
  if (exchange && rank > 0) {
    try {
      return await follow(new Follower(backend, file.config, weights, limits, share), exchange);
    } catch (error) {
      if (error instanceof Over) return undefined;
      throw error;
    }
  }
  const llama = exchange
    ? new LeadingLlama(backend, file.config, weights, limits, share, exchange)
    : new Llama(backend, file.config, weights, limits, share);
  const hashes: string[][] = [];
  for (const feeds of plans) hashes.push((await runTogether(llama, feeds)).map(hashOf));
  if (exchange) llama.copySlot(0, 0, 0);
  return hashes;
}
