import { CriaError } from '../../errors.ts';
import type { Sink } from '../../quantize/index.ts';
import type { Files } from '../../runtime/runtime.ts';
import type { Source } from '../../source.ts';
import { bytesSource } from '../../sources/bytes.ts';
import { type OpenSource, openSource } from '../../sources.ts';
import type { Tokenizer } from '../../tokenizer.ts';
import { Hash128 } from '../hash.ts';
import { checkSource, type DataSource, formatOf, nameOf, readDocuments } from './documents.ts';
import { readChunks } from './text.ts';
import { openTokens, type TokenFile, type TokenTotals, vocabularyHash, writeTokens } from './token-file.ts';

/** Where token files are kept. */
export interface TokenStore {
  /** Undefined where there is no such file. */
  open(name: string): Promise<Source | undefined>;
  /** Writes a file whole or not at all: it appears under its name once `work` is done. */
  write(name: string, work: (sink: Sink) => Promise<void>): Promise<void>;
}

/** Keeps token files in memory. */
export function memoryStore(): TokenStore {
  const files = new Map<string, Uint8Array>();
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
  };
}

/** Keeps token files in a folder, which is made when it is first written to. @internal */
export function folderStoreOn(files: Files, folder: string): TokenStore {
  return {
    async open(name) {
      try {
        return await files.open(files.within(folder, name));
      } catch (error) {
        if (error instanceof CriaError && error.code === 'file-not-found') return undefined;
        throw error;
      }
    },
    write: (name, work) => files.replace(files.within(folder, name), write => work({ write })),
  };
}

export interface TokenizeOptions {
  signal?: AbortSignal;
  /** Called while a source is tokenised. */
  onProgress?: (totals: TokenTotals) => void;
}

/**
 * The tokens of a source: from the store, if the same text was tokenised by the same vocabulary before, else made and
 * stored. A file that is torn or damaged is made again.
 *
 * @throws as `readDocuments`; what the store throws
 * @internal
 */
export async function tokensOf(
  source: DataSource,
  tokenizer: Tokenizer,
  store: TokenStore,
  { signal, onProgress }: TokenizeOptions = {},
  open: OpenSource = openSource,
): Promise<TokenFile> {
  const origin = {
    vocabulary: vocabularyHash(tokenizer.vocabulary),
    source: await sourceHash(source, signal, open),
  };
  const plain = nameOf(source)
    .replace(/[^\w.-]+/g, '_')
    .slice(0, 60);
  const both = new Hash128().update(origin.vocabulary).update(origin.source).hex();
  const name = `${plain}.${both.slice(0, 16)}.tokens`;
  const there = await store.open(name);
  if (there !== undefined) {
    try {
      return await openTokens(there, origin, signal);
    } catch (error) {
      await there.close();
      const known = error instanceof CriaError && /token-file$/.test(error.code);
      if (!known) throw error;
    }
  }
  await store.write(name, async sink => {
    await writeTokens(readDocuments(source, signal, open), tokenizer, origin.source, sink, onProgress);
  });
  const made = await store.open(name);
  if (made === undefined) throw new Error(`the store holds no ${name} though it has written it`);
  return openTokens(made, origin, signal);
}

/** Of the bytes of all files and of how they are read. @internal */
export async function sourceHash(
  source: DataSource,
  signal?: AbortSignal,
  open: OpenSource = openSource,
): Promise<Uint8Array> {
  checkSource(source);
  const hash = new Hash128().text(JSON.stringify([source.separator ?? null, source.field ?? null]));
  for (const file of source.files) {
    const opened = await open(file, signal);
    try {
      const own = new Hash128().text(formatOf(source, opened.name));
      for await (const chunk of readChunks(opened, signal)) own.update(chunk);
      hash.update(own.bytes());
    } finally {
      await opened.close();
    }
  }
  return hash.bytes();
}
