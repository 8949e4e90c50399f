// What all runtimes without a file system of their own have in common.

import { StateError } from '../errors.ts';
import { openUrl, urlBeside, urlOf } from '../sources/urls.ts';
import type { Names } from './runtime.ts';

export { sha256 } from './whole-hashes.ts';

export const names: Names = {
  async open(name, signal, window) {
    const url = urlOf(name);
    if (url && url.protocol !== 'file:') return openUrl(url, signal, window);
    throw new StateError('unsupported-runtime', {
      where: JSON.stringify(String(name)),
      expected: 'a runtime with files',
      got: 'one without',
      hint: 'Pass an http(s) URL, a Blob or the bytes.',
    });
  },
  beside: (name, file) => urlBeside(new URL(name), file),
};
