// The program of a thread in a browser.

import { runRank } from '../workers/rank-program.ts';

const scope = globalThis as unknown as Worker;
runRank({
  post: (message, transfer = []) => scope.postMessage(message, transfer),
  listen(onMessage) {
    scope.onmessage = ({ data }) => onMessage(data);
  },
});
