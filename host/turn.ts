/**
 * Lets the event loop turn once, so that timers, input and aborts are heard between two pieces of work.
 * @throws the signal's reason if it is aborted, before or after the turn.
 */
export async function turn(signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>(later);
  signal?.throwIfAborted();
}

/** Node, Bun and Deno have `setImmediate`; elsewhere a message to oneself is not clamped as timers are. */
const later: (resolve: () => void) => void =
  typeof setImmediate === 'function'
    ? resolve => void setImmediate(resolve)
    : typeof MessageChannel === 'function'
      ? resolve => {
          const { port1, port2 } = new MessageChannel();
          port1.onmessage = () => {
            port1.close();
            resolve();
          };
          port2.postMessage(0);
        }
      : resolve => void setTimeout(resolve);
