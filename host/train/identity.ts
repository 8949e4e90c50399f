import { type OpenSource, openSource } from '../sources.ts';
import type { Tokenizer } from '../tokenizer.ts';
import type { TrainConfig } from './config.ts';
import { type DataSource, nameOf } from './data/documents.ts';
import type { TokenDataOptions } from './data/token-data.ts';
import { vocabularyHash } from './data/token-file.ts';
import { sourceHash } from './data/token-store.ts';
import { Hash128, hexOf } from './hash.ts';

/** All that decides the bits of a run. */
export interface RunInputs {
  config: TrainConfig;
  tokenizer: Tokenizer;
  sources: readonly DataSource[];
  data: Pick<TokenDataOptions, 'seed' | 'splitSeed' | 'validation' | 'split'>;
  /** The first weights, where they are given. */
  from?: Float32Array | undefined;
}

/** A name for a run: the same inputs give the same, and no others do. @internal */
export async function runIdentity(
  { config, tokenizer, sources, data, from }: RunInputs,
  open: OpenSource = openSource,
): Promise<string> {
  const texts: unknown[] = [];
  for (const source of sources) {
    texts.push([nameOf(source), source.weight ?? 1, hexOf(await sourceHash(source, undefined, open))]);
  }
  const { seed = 0, splitSeed = seed, validation = 0.05, split = 'document' } = data;
  const options = [seed, splitSeed, validation, split];
  const numbers = Object.entries(config).sort(([a], [b]) => (a < b ? -1 : 1));
  const hash = new Hash128().text(
    JSON.stringify([numbers, hexOf(vocabularyHash(tokenizer.vocabulary)), texts, options]),
  );
  if (from) hash.update(new Uint8Array(from.buffer, from.byteOffset, from.byteLength));
  return hash.hex();
}
