import * as assert from 'uvu/assert';
import { CriaError, type ErrorCode } from '../../host/errors.ts';

/** The error that `run` ends with, which must be ours and have this code. */
export async function rejects(run: () => unknown, code: ErrorCode): Promise<CriaError> {
  try {
    await run();
  } catch (error) {
    if (!(error instanceof CriaError)) throw error;
    assert.is(error.code, code, error.message);
    return error;
  }
  throw new Error(`expected ${code}, and nothing was thrown`);
}
