import { StateError } from '../errors.ts';
import type { Runtime } from './runtime.ts';

/** WebCrypto takes bytes whole. */
export const sha256: Runtime['sha256'] = () => {
  throw new StateError('unsupported-runtime', {
    where: 'split',
    expected: 'a runtime that hashes bytes piece by piece',
    got: 'one that does not',
    hint: 'Split the model with Node, Deno or Bun.',
  });
};
