import { CriaError, FileError } from '../errors.ts';
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from './checkpoint-file.ts';
import { type RunStore, readFrom } from './run-store.ts';

const NAME = /^step-(\d{8,})\.ckpt$/;

export interface FoundCheckpoint {
  name: string;
  checkpoint: Checkpoint;
  /** Later ones that could not be used, with what is wrong with them. */
  torn: { name: string; error: FileError }[];
}

/** Names of the checkpoints in a store, the latest first. */
export async function checkpointNames(store: RunStore): Promise<string[]> {
  const steps = (await store.names()).flatMap(name => {
    const step = NAME.exec(name)?.[1];
    return step === undefined ? [] : [{ name, step: Number(step) }];
  });
  return steps.sort((a, b) => b.step - a.step).map(({ name }) => name);
}

/** The checkpoint of the lowest validation loss. */
export const BEST = 'best.ckpt';

export async function saveBest(store: RunStore, checkpoint: Omit<Checkpoint, 'size'>): Promise<void> {
  const bytes = await encodeCheckpoint(checkpoint);
  await store.write(BEST, sink => sink.write(bytes));
}

/**
 * Writes a checkpoint and then removes all but the last `keep`. What fails before the file is whole leaves those before it.
 * @throws what the store throws
 */
export async function saveCheckpoint(
  store: RunStore,
  checkpoint: Omit<Checkpoint, 'size'>,
  keep: number,
): Promise<string> {
  const name = `step-${String(checkpoint.state.step).padStart(8, '0')}.ckpt`;
  const bytes = await encodeCheckpoint(checkpoint);
  await store.write(name, sink => sink.write(bytes));
  for (const old of (await checkpointNames(store)).slice(Math.max(1, keep))) {
    if (old !== name) await store.remove(old);
  }
  return name;
}

/**
 * The latest checkpoint that is whole.
 * @returns undefined where there is none
 * @throws what the store throws
 */
export async function latestCheckpoint(store: RunStore): Promise<FoundCheckpoint | undefined> {
  const torn: FoundCheckpoint['torn'] = [];
  for (const name of await checkpointNames(store)) {
    try {
      const bytes = await readFrom(store, name);
      if (bytes) return { name, checkpoint: await decodeCheckpoint(bytes, name), torn };
    } catch (error) {
      if (!(error instanceof CriaError) || error.code !== 'bad-checkpoint') throw error;
      torn.push({ name, error });
    }
  }
  return undefined;
}

/** @throws FileError 'foreign-checkpoint' */
export function checkSameRun({ name, checkpoint }: FoundCheckpoint, run: string): void {
  if (checkpoint.run === run) return;
  throw new FileError('foreign-checkpoint', {
    where: name,
    expected: 'a checkpoint of the same configuration, texts and vocabulary',
    got: 'one of another run',
    hint: 'Resume with the configuration that the run was started with, or begin in a new folder.',
  });
}
