// Runtimes without a file system of their own: browsers, workers, edge functions.

import { StateError } from '../errors.ts';
import type { Source } from '../source.ts';

/** @throws StateError 'unsupported-runtime', always */
export async function openPath(path: string | URL): Promise<Source> {
  throw new StateError('unsupported-runtime', {
    where: JSON.stringify(String(path)),
    expected: 'a runtime with files',
    got: 'one without',
    hint: 'Pass an http(s) URL, a Blob or the bytes.',
  });
}
