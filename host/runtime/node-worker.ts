// The program of a thread under Node, Deno and Bun.

import { parentPort } from 'node:worker_threads';
import { runRank } from '../workers/rank-program.ts';

const port = parentPort!;
runRank({
  post: (message, transfer) => port.postMessage(message, transfer),
  listen: onMessage => port.on('message', onMessage),
});
