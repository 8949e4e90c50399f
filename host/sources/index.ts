// The entry cria/sources under Node, Deno and Bun.

import { names } from '../runtime/node.ts';
import { type Parts, partsOn } from './all.ts';

export * from './all.ts';

/** A model in parts that lie anywhere: see `Parts`. */
export const parts: Parts = partsOn(names);
