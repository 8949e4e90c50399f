// The program of a thread that trains under Node, Deno and Bun.

import { parentPort } from 'node:worker_threads';
import { runTrainRank } from '../train/rank-program.ts';

const port = parentPort!;
runTrainRank({
  post: (message, transfer) => port.postMessage(message, transfer),
  listen: onMessage => port.on('message', onMessage),
});
