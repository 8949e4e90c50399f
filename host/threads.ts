import { StateError } from './errors.ts';
import type { Threads } from './runtime/runtime.ts';

/** Bytes of weights that make another rank worth its meetings. */
const WORTH = 2 ** 25;
/** Bytes of a file whose weights, cache and activations fit one memory of 4 GiB. */
const FITS = 3.5 * 2 ** 30;

/**
 * Ranks in threads of their own for a file of so many bytes; 0 for none: the model then runs in the calling thread.
 * @param runtime its threads, if it has any
 * @param threads a number, or 'auto': as many as are worth it, a processor left to the caller
 * @throws StateError 'unsupported-runtime'
 */
export function ranksFor(runtime: Threads | undefined, threads: number | 'auto', bytes: number): number {
  const most = runtime?.processors() ?? 0;
  const shares = runtime?.sharesMemory() ?? false;
  if (threads === 'auto') {
    if (most === 0) return 0;
    const needed = Math.ceil(bytes / FITS);
    const worth = Math.min(most - 1, Math.ceil(bytes / WORTH));
    return shares ? Math.max(1, needed, worth) : 1;
  }
  if (threads <= 1 && most > 0) return threads;
  if (threads === 0) return 0;
  if (most > 0 && shares) return threads;
  throw new StateError('unsupported-runtime', {
    where: 'open: threads',
    expected: most > 0 ? 'threads that share memory' : 'threads',
    got: most > 0 ? 'a page that is not isolated from other origins' : 'a runtime without them',
    hint:
      most > 0
        ? 'Serve it with Cross-Origin-Opener-Policy and -Embedder-Policy, or take 1 thread.'
        : "Take threads: 'auto' or 0.",
  });
}
