// The program of a thread that trains in a browser.

import { runTrainRank } from '../train/rank-program.ts';

const scope = globalThis as unknown as Worker;
runTrainRank({
  post: (message, transfer = []) => scope.postMessage(message, transfer),
  listen(onMessage) {
    scope.onmessage = ({ data }) => onMessage(data);
  },
});
