// The program of a rank's thread: loads its share of the weights; then the first rank serves calls and the others
// follow it.

import { Llama } from '../llama.ts';
import { LocalRunner } from '../local-runner.ts';
import { takeMemory } from '../memory.ts';
import { Pace } from '../pace.ts';
import { Exchange } from '../ranks/exchange.ts';
import { follow, LeadingLlama } from '../ranks/leader.ts';
import { RankWasm } from '../ranks/rank-wasm.ts';
import { shareOf } from '../ranks/share.ts';
import { Wasm } from '../wasm.ts';
import { instantiate } from '../wasm-kernels.ts';
import { loadWeights } from '../weights.ts';
import { toPlain } from './plain-error.ts';
import type { FromWorker, Task, ToWorker } from './protocol.ts';
import { AskedSource } from './remote-source.ts';
import { Server } from './server.ts';
import type { Starter } from './thread.ts';

/** A call hears of an abort between two pieces of work, which nobody waits for: large ones go faster. */
const PIECE_MS = 200;
const LEAST_TOKENS = 16;

/** Runs a rank for the thread that started this one. */
export function runRank(starter: Starter): void {
  const post: Post = (message, transfer) => starter.post(message, transfer);
  let source: AskedSource | undefined;
  let server: Server | undefined;
  starter.listen(received => {
    const message = received as ToWorker;
    if (message.kind === 'load') {
      source = new AskedSource(message.source, post);
      void start(message, source, post).then(started => {
        server = started;
      });
    } else if (message.kind === 'bytes') source?.answer(message);
    else server?.hear(message);
  });
  post({ kind: 'started' });
}

type Post = (message: FromWorker, transfer?: ArrayBuffer[]) => void;

/** The server of the first rank's calls; a rank that follows comes back only if it cannot load. */
async function start(task: Task, source: AskedSource, post: Post): Promise<Server | undefined> {
  const { file, limits, rank, shared, module } = task;
  try {
    const share = shareOf(file.config, rank, shared?.ranks ?? 1);
    const exchange = shared && new Exchange(shared);
    const instance = instantiate(module);
    const backend = exchange ? new RankWasm(instance, exchange) : new Wasm(instance);
    takeMemory(backend, file, limits, share, source.name);
    const onLoaded = (bytes: number) => post({ kind: 'loaded', bytes });
    const weights = await loadWeights(backend, file, source, { share, onLoaded });
    if (exchange && rank > 0) {
      const llama = new Llama(backend, file.config, weights, limits, share);
      post({ kind: 'ready', bytes: backend.bytes });
      await follow(llama, exchange);
    }
    const llama = exchange
      ? new LeadingLlama(backend, file.config, weights, limits, share, exchange)
      : new Llama(backend, file.config, weights, limits, share);
    const server = new Server(new LocalRunner(llama, new Pace(PIECE_MS, LEAST_TOKENS, limits.batch)), post);
    post({ kind: 'ready', bytes: backend.bytes });
    return server;
  } catch (error) {
    post({ kind: 'failed', error: toPlain(error) });
    return undefined;
  }
}
