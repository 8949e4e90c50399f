import { FileError } from '../../errors.ts';
import type { Source } from '../../source.ts';

/** Bytes read at once. */
const CHUNK = 2 ** 20;
const LINE_FEED = 0x0a;
/** Characters behind a match that a pattern may look at. */
const AHEAD = 1000;

/** The bytes of a source in order. */
export async function* readChunks(source: Source, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < source.size; at += CHUNK) {
    signal?.throwIfAborted();
    const chunk = new Uint8Array(Math.min(CHUNK, source.size - at));
    await source.readInto(chunk, at, signal);
    yield chunk;
  }
}

/**
 * The parts of a UTF-8 text between separators, a text or a global pattern, without a byte order mark at its beginning.
 * @throws FileError 'bad-text'
 */
export async function* readText(
  source: Source,
  separator: string | RegExp,
  signal?: AbortSignal,
): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let held = '';
  let at = 0;
  for await (const chunk of readChunks(source, signal)) {
    try {
      held += decoder.decode(chunk, { stream: true });
    } catch (cause) {
      throw notUtf8(source.name, at + firstWrong(chunk, at > 0), cause);
    }
    at += chunk.length;
    const parts = partsOf(held, separator, at < source.size);
    held = parts.pop()!;
    yield* parts;
  }
  try {
    held += decoder.decode();
  } catch (cause) {
    throw notUtf8(source.name, at, cause);
  }
  yield held;
}

/**
 * A pattern is matched on each document by itself, wherever reads end.
 * @param more whether the text goes on, which may change what a pattern finds near its end
 */
function partsOf(text: string, separator: string | RegExp, more: boolean): string[] {
  if (typeof separator === 'string') return text.split(separator);
  const parts: string[] = [];
  let rest = text;
  for (;;) {
    separator.lastIndex = 0;
    let match = separator.exec(rest);
    if (match && match.index + match[0].length === 0) {
      separator.lastIndex = 1; // before the first character there is no document
      match = separator.exec(rest);
    }
    const end = match ? match.index + match[0].length : rest.length;
    if (!match || (more && end > rest.length - AHEAD)) return [...parts, rest];
    parts.push(rest.slice(0, match.index));
    rest = rest.slice(end);
  }
}

/**
 * The lines of a UTF-8 text, which end with "\n" or "\r\n" or the text, numbered from 1.
 * @throws FileError 'bad-text'
 */
export async function* readLines(
  source: Source,
  signal?: AbortSignal,
): AsyncGenerator<{ text: string; number: number }> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let held: Uint8Array[] = [];
  let number = 0;
  let at = 0;
  const decode = (line: Uint8Array): string => {
    number++;
    try {
      return decoder.decode(line);
    } catch (cause) {
      throw notUtf8(`${source.name}: line ${number}`, firstWrong(line, false), cause);
    }
  };
  for await (const chunk of readChunks(source, signal)) {
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      const line =
        held.length === 0 ? chunk.subarray(start, end) : join([...held, chunk.subarray(start, end)]);
      held = [];
      start = end + 1;
      yield { text: decode(line), number };
    }
    held.push(chunk.subarray(start));
    at += chunk.length;
  }
  const last = join(held);
  if (at > 0 && last.length > 0) yield { text: decode(last), number };
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * Where bytes stop being UTF-8.
 * @param inside whether they may begin within a character
 */
function firstWrong(bytes: Uint8Array, inside: boolean): number {
  let start = 0;
  while (inside && start < 3 && (bytes[start]! & 0xc0) === 0x80) start++;
  const fails = (end: number): boolean => {
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(start, end), { stream: true });
      return false;
    } catch {
      return true;
    }
  };
  let low = start;
  for (let high = bytes.length; low < high; ) {
    const middle = (low + high) >> 1;
    if (fails(middle + 1)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function notUtf8(where: string, byte: number, cause: unknown): FileError {
  return new FileError('bad-text', {
    where: `${where}: byte ${byte}`,
    expected: 'UTF-8',
    got: 'other bytes',
    hint: 'Convert the text to UTF-8 (iconv does it), or name the format if it is no text.',
    cause,
  });
}
