import { FileError } from './errors.ts';

/** For a model whose weights, though finite, make it compute NaN or infinities. */
export function notFinite(where: string, got: number): FileError {
  return new FileError('non-finite-results', {
    where,
    expected: 'finite numbers from the model',
    got: String(got),
    hint: 'The weights are damaged or too large for f32; take another checkpoint.',
  });
}
