// The entry cria/sources where there are no files.

import { names } from '../runtime/web.ts';
import { type Parts, partsOn } from '../sources/all.ts';

export * from '../sources/all.ts';

export const parts: Parts = partsOn(names);
