import type { Llama } from './llama.ts';
import type { Queue } from './queue.ts';
import { turn } from './turn.ts';

/** A chunk should take no longer than this, so that the event loop stays alive. Milliseconds. */
const TARGET = 50;
/** Tokens of the next chunk by the model that takes it: 1 until something has been timed. */
const sizes = new WeakMap<Llama, number>();

/**
 * Runs tokens of one sequence from `position` on in chunks, sized by how long the last one took: any split gives the
 * same bits. After each chunk `seen(first, count)` may take its logits (`first` counts from the start of `ids`).
 * @throws the signal's reason, or StateError 'closed'
 */
export async function prefill(
  llama: Llama,
  queue: Queue,
  ids: ArrayLike<number>,
  position: number,
  signal: AbortSignal | undefined,
  seen?: (first: number, count: number) => Promise<void>,
): Promise<void> {
  let size = sizes.get(llama) ?? 1;
  for (let first = 0; first < ids.length; ) {
    const start = performance.now();
    const tokens = Array.prototype.slice.call(ids, first, first + size) as number[];
    const positions = tokens.map((_, i) => position + first + i);
    llama.forward({ tokens, slots: tokens.map(() => 0), positions });
    await seen?.(first, tokens.length);
    const perToken = (performance.now() - start) / tokens.length;
    size = Math.max(1, Math.min(llama.limits.batch, 2 * size, Math.floor(TARGET / perToken)));
    sizes.set(llama, size);
    await turn(signal);
    queue.check(signal);
    first += tokens.length;
  }
}
