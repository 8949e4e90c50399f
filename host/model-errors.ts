import { FileError, StateError } from './errors.ts';

/** For a model whose weights, though finite, make it compute NaN or infinities. */
export function notFinite(where: string, got: number): FileError {
  return new FileError('non-finite-results', {
    where,
    expected: 'finite numbers from the model',
    got: String(got),
    hint: 'The weights are damaged or too large for f32; take another checkpoint.',
  });
}

/** One rank is gone: the others would wait for it forever. */
export function threadDied(rank: number, why: string): StateError {
  return new StateError('thread-died', {
    where: `thread ${rank} of the model`,
    expected: 'a thread that runs until the model is closed',
    got: why,
    hint: 'Open the model again; with fewer threads or a smaller contextLength if memory is short.',
  });
}
