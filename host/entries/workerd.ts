// Cria on Cloudflare Workers.

import { type Cria, criaOn } from '../cria.ts';
import { runtime } from '../runtime/workerd.ts';

export * from '../exports.ts';

const cria = criaOn(runtime);
export const open: Cria['open'] = cria.open;
export const openTokenizer: Cria['openTokenizer'] = cria.openTokenizer;
export const inspect: Cria['inspect'] = cria.inspect;
export const estimate: Cria['estimate'] = cria.estimate;
export const split: Cria['split'] = cria.split;
export const quantize: Cria['quantize'] = cria.quantize;
