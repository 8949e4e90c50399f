// Cria under Node, Deno and Bun, which have node:fs and node:worker_threads.

import { type Cria, criaOn } from './cria.ts';
import { runtime } from './runtime/node.ts';

export * from './exports.ts';

const cria = criaOn(runtime);
/** Opens a GGUF or llama2.c model: see `Cria.open`. */
export const open: Cria['open'] = cria.open;
/** Opens a vocabulary alone: see `Cria.openTokenizer`. */
export const openTokenizer: Cria['openTokenizer'] = cria.openTokenizer;
/** What a file's header says: see `Cria.inspect`. */
export const inspect: Cria['inspect'] = cria.inspect;
/** How much memory a model would take: see `Cria.estimate`. */
export const estimate: Cria['estimate'] = cria.estimate;
/** Cuts a file into parts: see `Cria.split`. */
export const split: Cria['split'] = cria.split;
/** Writes a copy of a model in other types: see `Cria.quantize`. */
export const quantize: Cria['quantize'] = cria.quantize;
