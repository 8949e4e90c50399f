import type { Engine } from './generate.ts';
import { readSnapshot, type Shape, writeSnapshot } from './snapshot.ts';

/** @throws the signal's reason; StateError 'closed' */
export async function saveCache(engine: Engine, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const { runner, queue } = engine;
  const turn = await queue.enter(signal);
  try {
    const all = runner.save(turn.signal);
    let tokens: number[] = [];
    const rows: Uint8Array[] = [];
    for (;;) {
      const { value, done } = await queue.computing(all.next());
      if (done) return await writeSnapshot(await shapeOf(engine), tokens, rows);
      if (value instanceof Uint8Array) rows.push(value);
      else tokens = value;
    }
  } finally {
    turn.leave();
  }
}

/** @throws FileError 'bad-snapshot', 'foreign-snapshot'; the signal's reason; StateError 'closed' */
export async function restoreCache(
  engine: Engine,
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<number[]> {
  const { tokens, rows } = await readSnapshot(bytes, await shapeOf(engine));
  const { runner, queue } = engine;
  const turn = await queue.enter(signal);
  try {
    const all = runner.restore(tokens, rows, turn.signal);
    while (!(await queue.computing(all.next())).done);
    return tokens;
  } finally {
    turn.leave();
  }
}

async function shapeOf({ config, limits, fingerprint }: Engine): Promise<Shape> {
  const { cache: format, contextLength } = limits;
  return { config, format, contextLength, fingerprint: await fingerprint.hash() };
}
