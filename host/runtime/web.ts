// Runtimes without a file system of their own: browsers, workers, edge functions.

import { StateError } from '../errors.ts';
import type { Sha256, Source } from '../source.ts';
import type { Starter, Thread } from '../workers/thread.ts';

/** Processors that this page or worker may use; 0 where there are no threads. */
export const processors = (): number =>
  typeof Worker === 'function' ? (globalThis.navigator?.hardwareConcurrency ?? 1) : 0;

/** Whether threads can share memory here: pages must be isolated from other origins for it. */
export const sharesMemory = (): boolean => typeof SharedArrayBuffer === 'function';

/** Starts a rank's program in a thread. */
export function startThread(): Thread {
  const worker = new Worker(new URL('../workers/rank-worker.js', import.meta.url), { type: 'module' });
  return {
    post: (message, transfer = []) => worker.postMessage(message, transfer),
    listen(onMessage, onEnd) {
      worker.onmessage = ({ data }) => onMessage(data);
      worker.onerror = event => onEnd(event.message ?? 'an error while it started');
    },
    hold() {},
    async end() {
      worker.terminate();
    },
  };
}

/** In a thread that `startThread` started: the one that started it. */
export function starter(): Starter {
  const scope = globalThis as unknown as Worker;
  return {
    post: (message, transfer = []) => scope.postMessage(message, transfer),
    listen(onMessage) {
      scope.onmessage = ({ data }) => onMessage(data);
    },
  };
}

/** Addons are for runtimes with files. */
export const gpuPlugin = async (): Promise<undefined> => undefined;

/** Without files there are no folders. */
export const pathBeside = (_path: string, name: string): string => name;

/** @throws StateError 'unsupported-runtime', always: WebCrypto takes bytes whole */
export function sha256(): Sha256 {
  throw new StateError('unsupported-runtime', {
    where: 'split',
    expected: 'a runtime that hashes bytes piece by piece',
    got: 'one that does not',
    hint: 'Split the model with Node, Deno or Bun.',
  });
}

/** @throws StateError 'unsupported-runtime', always */
export async function openPath(path: string | URL): Promise<Source> {
  throw new StateError('unsupported-runtime', {
    where: JSON.stringify(String(path)),
    expected: 'a runtime with files',
    got: 'one without',
    hint: 'Pass an http(s) URL, a Blob or the bytes.',
  });
}
