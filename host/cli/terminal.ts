import { readFile } from 'node:fs/promises';
import { addAbortSignal } from 'node:stream';
import { FileError } from '../index.ts';

// Control characters move the cursor and recolour the screen; bidirectional marks reorder what is read.
const UNSAFE = /[\p{Cc}\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/gu;

function escaped(character: string): string {
  if (character === '\n') return '\\n';
  if (character === '\r') return '\\r';
  if (character === '\t') return '\\t';
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** Text from outside as one line that cannot steer the terminal. */
export function oneLine(text: string): string {
  return text.replace(UNSAFE, escaped);
}

/** Text from outside that keeps its lines and tabs. */
export function manyLines(text: string): string {
  return text.replace(UNSAFE, character => (/[\n\t]/.test(character) ? character : escaped(character)));
}

/** A JSON line. JSON itself leaves some control characters as they are, and `\u` escapes mean the same. */
export function jsonLine(value: unknown): string {
  return `${oneLine(JSON.stringify(value))}\n`;
}

/** The text of a model for stdout: exact for a program, harmless for a terminal. */
export function generated(text: string): string {
  return process.stdout.isTTY ? manyLines(text) : text;
}

/** Writes to stdout and settles when the text has left the program, so that a slow reader is waited for. */
export function write(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, error => (error ? reject(error) : resolve()));
  });
}

/** Writes a message for people. It is about the work and not of it, so nobody waits for it. */
export function say(text: string): void {
  process.stderr.write(`${manyLines(text)}\n`);
}

/** Whether the reader of stdout has gone, as in `cria run … | head -1`. */
export function isClosedPipe(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED';
}

async function* stdinText(signal: AbortSignal): AsyncGenerator<string> {
  // A byte order mark is text to a tokenizer; invalid UTF-8 becomes U+FFFD.
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  for await (const chunk of addAbortSignal(signal, process.stdin))
    yield decoder.decode(chunk, { stream: true });
  yield decoder.decode();
}

/** All of stdin, as it is: a newline at its end is part of the text. */
export async function readStdin(signal: AbortSignal): Promise<string> {
  if (process.stdin.isTTY) say('Type the text; Ctrl-D on a line of its own ends it.');
  let all = '';
  for await (const text of stdinText(signal)) all += text;
  return all;
}

/** The lines of stdin as they arrive, split at "\n" only. A last line counts without one, unless it is empty. */
export async function* stdinLines(signal: AbortSignal): AsyncGenerator<string[]> {
  let held = '';
  for await (const text of stdinText(signal)) {
    const lines = text.split('\n');
    lines[0] = held + lines[0];
    held = lines.pop()!;
    if (lines.length > 0) yield lines;
  }
  if (held !== '') yield [held];
}

/** @throws FileError 'file-not-found', 'file-unreadable'; the signal's reason */
export async function readText(path: string, signal?: AbortSignal): Promise<string> {
  try {
    return await readFile(path, { encoding: 'utf8', signal });
  } catch (cause) {
    signal?.throwIfAborted();
    const { code } = cause as NodeJS.ErrnoException;
    const missing = code === 'ENOENT';
    throw new FileError(missing ? 'file-not-found' : 'file-unreadable', {
      where: JSON.stringify(path),
      expected: 'a text file that can be read',
      got: missing ? 'no such file' : String(code),
      hint: missing ? 'Check the path.' : 'Check the path and its permissions.',
      cause,
    });
  }
}
