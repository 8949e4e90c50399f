import { type OpenSource, openSource } from '../../sources.ts';
import type { Tokenizer } from '../../tokenizer.ts';
import { type DataSource, nameOf } from './documents.ts';
import { TokenData, type TokenDataOptions } from './token-data.ts';
import type { TokenFile } from './token-file.ts';
import { memoryStore, type TokenizeOptions, type TokenStore, tokensOf } from './token-store.ts';

export interface OpenDataOptions extends TokenDataOptions, TokenizeOptions {
  /** Where token files are kept. Default: memory. */
  store?: TokenStore;
}

/**
 * Tokenises what is not in the store yet, and gives the batches.
 * @throws as `tokensOf` and `TokenData` do; no file is open then
 * @internal
 */
export async function openData(
  sources: readonly DataSource[],
  tokenizer: Tokenizer,
  options: OpenDataOptions,
  open: OpenSource = openSource,
): Promise<TokenData> {
  const { store = memoryStore(), ...rest } = options;
  const files: TokenFile[] = [];
  try {
    for (const source of sources) files.push(await tokensOf(source, tokenizer, store, rest, open));
    const named = sources.map((source, i) => ({
      name: nameOf(source),
      file: files[i]!,
      ...(source.weight !== undefined && { weight: source.weight }),
    }));
    return new TokenData(named, rest);
  } catch (error) {
    await Promise.all(files.map(file => file.close()));
    throw error;
  }
}
