import { CriaError, type ErrorCode, FileError, OptionError, StateError } from '../errors.ts';

/** An error as it goes from one thread to another. */
export interface PlainError {
  kind: 'file' | 'option' | 'state' | 'other';
  code: ErrorCode | undefined;
  where: string;
  expected: string;
  got: string;
  hint: string;
  message: string;
}

const CLASSES = { file: FileError, option: OptionError, state: StateError };

export function toPlain(error: unknown): PlainError {
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  if (!(error instanceof CriaError)) {
    return { kind: 'other', code: undefined, where: '', expected: '', got: '', hint: '', message };
  }
  const { code, where, expected, got, hint } = error;
  const kind = error instanceof FileError ? 'file' : error instanceof OptionError ? 'option' : 'state';
  return { kind, code, where, expected, got, hint, message };
}

export function fromPlain(plain: PlainError): Error {
  if (plain.kind === 'other' || plain.code === undefined) return new Error(plain.message);
  return new CLASSES[plain.kind](plain.code, plain);
}
