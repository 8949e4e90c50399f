// The program of a rank's thread: loads its share of the weights; then the first rank serves calls and the others
// follow it.

import { starter } from '#runtime';
import { Llama } from '../llama.ts';
import { LocalRunner } from '../local-runner.ts';
import { takeMemory } from '../memory.ts';
import { Pace } from '../pace.ts';
import { Exchange } from '../ranks/exchange.ts';
import { follow, LeadingLlama } from '../ranks/leader.ts';
import { RankWasm } from '../ranks/rank-wasm.ts';
import { shareOf } from '../ranks/share.ts';
import { instantiate, Wasm } from '../wasm.ts';
import { loadWeights } from '../weights.ts';
import { toPlain } from './plain-error.ts';
import type { FromWorker, Task, ToWorker } from './protocol.ts';
import { AskedSource } from './remote-source.ts';
import { Server } from './server.ts';

/** A call hears of an abort between two pieces of work, which nobody waits for: large ones go faster. */
const PIECE_MS = 200;
const LEAST_TOKENS = 16;

const port = starter();
let source: AskedSource | undefined;
let server: Server | undefined;

const post = (message: FromWorker, transfer?: ArrayBuffer[]) => port.post(message, transfer);

port.listen(received => {
  const message = received as ToWorker;
  if (message.kind === 'load') void start(message);
  else if (message.kind === 'bytes') source?.answer(message);
  else server?.hear(message);
});

async function start({ file, limits, rank, shared, module, ...task }: Task): Promise<void> {
  try {
    source = new AskedSource(task.source, post);
    const share = shareOf(file.config, rank, shared?.ranks ?? 1);
    const exchange = shared && new Exchange(shared);
    const instance = instantiate(module);
    const backend = exchange ? new RankWasm(instance, exchange) : new Wasm(instance);
    takeMemory(backend, file, limits, share, task.source.name);
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
    server = new Server(new LocalRunner(llama, new Pace(PIECE_MS, LEAST_TOKENS, limits.batch)), post);
    post({ kind: 'ready', bytes: backend.bytes });
  } catch (error) {
    post({ kind: 'failed', error: toPlain(error) });
  }
}
