import type { Files } from '../runtime/runtime.ts';
import { bytesSource } from '../sources/bytes.ts';
import { readAll } from '../sources.ts';
import { folderStoreOn, type TokenStore } from './data/token-store.ts';

/** Where the files of a run are kept. What `write` has written is there after a loss of power, too. */
export interface RunStore extends TokenStore {
  names(): Promise<string[]>;
  remove(name: string): Promise<void>;
}

/** A folder, which is made when it is first written to. @internal */
export function runFolderOn(files: Files, folder: string): RunStore {
  return {
    ...folderStoreOn(files, folder),
    names: () => files.names(folder),
    remove: name => files.remove(files.within(folder, name)),
  };
}

/** Keeps the files of a run in memory, by their names. */
export function memoryRun(files: Map<string, Uint8Array<ArrayBuffer>> = new Map()): RunStore {
  return {
    async open(name) {
      const bytes = files.get(name);
      return bytes && bytesSource(bytes, name);
    },
    async write(name, work) {
      const pieces: Uint8Array<ArrayBuffer>[] = [];
      await work({ write: async bytes => void pieces.push(bytes.slice() as Uint8Array<ArrayBuffer>) });
      files.set(name, new Uint8Array(await new Blob(pieces).arrayBuffer()));
    },
    names: async () => [...files.keys()],
    remove: async name => void files.delete(name),
  };
}

/** @returns undefined where there is no such file. */
export async function readFrom(store: TokenStore, name: string): Promise<Uint8Array | undefined> {
  const source = await store.open(name);
  try {
    return source && (await readAll(source));
  } finally {
    await source?.close();
  }
}

/** What a process that was killed has left half written. */
const HALF = /^\.[\w-]+\.tmp$/;

export async function removeHalves(store: RunStore): Promise<void> {
  for (const name of await store.names()) if (HALF.test(name)) await store.remove(name);
}
