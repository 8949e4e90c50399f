import { kernels } from '../inlined.ts';
import type { Thread } from '../workers/thread.ts';
import type { Runtime } from './runtime.ts';
import { names, sha256 } from './web.ts';

export const runtime: Runtime = {
  kernels,
  names,
  sha256,
  threads: {
    processors: () => (typeof Worker === 'function' ? (globalThis.navigator?.hardwareConcurrency ?? 1) : 0),
    sharesMemory: () => typeof SharedArrayBuffer === 'function',
    async start(count) {
      const { RemoteRunner } = await import('../workers/remote-runner.ts');
      return RemoteRunner.start(count, startThread, kernels);
    },
  },
};

/** Starts the program of a rank. Bundlers know this form, and bundle the worker too. */
const startThread = (): Thread =>
  threadOf(new Worker(new URL('./browser-worker.js', import.meta.url), { type: 'module' }));

export function threadOf(worker: Worker): Thread {
  return {
    post: (message, transfer = []) => worker.postMessage(message, transfer),
    listen(onMessage, onEnd) {
      worker.onmessage = ({ data }) => onMessage(data);
      worker.onerror = event => {
        event.preventDefault?.(); // it is told through the model
        onEnd(event.message || 'an error while it started');
      };
    },
    hold() {},
    async end() {
      worker.terminate();
    },
  };
}
