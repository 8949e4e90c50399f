/** What went wrong, as a stable string that programs may compare. The message is for people and may change. */
export type ErrorCode =
  // the bytes of a file
  | 'file-not-found'
  | 'file-unreadable'
  | 'file-unwritable'
  | 'file-changed'
  | 'access-denied'
  | 'network-failed'
  | 'bad-range'
  | 'unknown-size'
  | 'needs-random-access'
  | 'file-empty'
  | 'file-truncated'
  | 'bad-magic'
  | 'bad-version'
  | 'bad-count'
  | 'bad-string'
  | 'bad-key'
  | 'duplicate-key'
  | 'bad-value-type'
  | 'bad-value'
  | 'bad-alignment'
  | 'bad-tensor-name'
  | 'duplicate-tensor'
  | 'bad-dimensions'
  | 'size-overflow'
  | 'unknown-dtype'
  | 'bad-offset'
  | 'tensor-overlap'
  | 'tensor-outside-file'
  // a model of another layout
  | 'bad-json'
  | 'bad-safetensors'
  | 'bad-zip'
  | 'bad-pickle'
  | 'refused-pickle'
  // a model in parts
  | 'bad-manifest'
  | 'wrong-hash'
  // what the file describes
  | 'missing-key'
  | 'wrong-key-type'
  | 'bad-hyperparameter'
  | 'unsupported-architecture'
  | 'unsupported-dtype'
  | 'unsupported-rope-scaling'
  | 'missing-tensor'
  | 'wrong-shape'
  | 'unexpected-tensor'
  | 'no-weights'
  | 'non-finite-weights'
  | 'non-finite-results'
  | 'bad-vocabulary'
  | 'unsupported-tokenizer'
  | 'bad-message'
  // what is learned from
  | 'no-text'
  | 'bad-text'
  | 'bad-record'
  | 'bad-parquet'
  | 'bad-token-file'
  | 'foreign-token-file'
  | 'bad-config'
  | 'diverged'
  | 'bad-checkpoint'
  | 'foreign-checkpoint'
  // what the caller asked for
  | 'option-type'
  | 'option-range'
  | 'option-unknown'
  | 'needs-tokenizer'
  | 'prompt-too-long'
  | 'chat-too-long'
  | 'chat-format'
  | 'chat-markers'
  | 'token-out-of-range'
  // what the machine or the model's state allows
  | 'out-of-memory'
  | 'unsupported-runtime'
  | 'needs-package'
  | 'thread-died'
  | 'gpu-unavailable'
  | 'gpu-failed'
  // a saved cache
  | 'bad-snapshot'
  | 'foreign-snapshot'
  | 'closed';

/** The parts of an error message. */
export interface ErrorParts {
  /** The place: a file and key, an option's name, a call. */
  where: string;
  expected: string;
  got: string;
  /** What the reader can do about it, as a sentence. */
  hint: string;
  cause?: unknown;
}

/** Every error that a caller or a file can cause. `code` is stable; the fields say the same as the message. */
export class CriaError extends Error {
  // spelt out, since the package's classes have short names
  override readonly name: string = 'CriaError';
  readonly code: ErrorCode;
  readonly where: string;
  readonly expected: string;
  readonly got: string;
  readonly hint: string;

  constructor(code: ErrorCode, { where, expected, got, hint, cause }: ErrorParts) {
    super(`${where}: expected ${expected}, got ${got}. ${hint}`, cause === undefined ? undefined : { cause });
    this.code = code;
    this.where = where;
    this.expected = expected;
    this.got = got;
    this.hint = hint;
  }
}

/** The bytes of a file, or the model that they describe, cannot be used. */
export class FileError extends CriaError {
  override readonly name: string = 'FileError';
}

/** An argument or option is of the wrong kind, out of range or at odds with the model. */
export class OptionError extends CriaError {
  override readonly name: string = 'OptionError';
}

/** The machine lacks something, or the model is closed. */
export class StateError extends CriaError {
  override readonly name: string = 'StateError';
}

/** Shortens and quotes text from outside so that it is safe and readable inside a message. */
export function quote(text: string): string {
  const short = text.length > 60 ? `${text.slice(0, 57)}...` : text;
  return JSON.stringify(short);
}
