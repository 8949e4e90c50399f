// Failures: one line on standard error and an exit code, 1 for what is wrong with a file or a request, 2 for wrong usage.
// The codes and their meaning are those of host/errors.ts.

import { line, exitSaying } from './output';
import { Text } from './text';

/** What the messages are about: the file, and the key, tensor or part of it that is looked at. */
let fileStart: usize = 0;
let fileLength: u32 = 0;
let place: string = '';
let nameStart: usize = 0;
let nameLength: u32 = 0;

export function aboutFile(start: usize, length: u32): void {
  fileStart = start;
  fileLength = length;
}

/** @param name bytes that belong to the place, if any */
export function at(where: string, name: usize = 0, length: u32 = 0): void {
  place = where;
  nameStart = name;
  nameLength = length;
}

/** Never returns. A `#` in `got` is where the number goes. */
export function fail(code: string, expected: string, got: string, hint: string, number: i64 = 0): void {
  const message = line();
  message.say('cria: ');
  message.say(code);
  message.say(': ');
  if (fileLength) {
    message.quote(fileStart, fileLength);
    message.say(': ');
  }
  message.say(place);
  if (nameStart) {
    message.byte(0x20);
    message.quote(nameStart, nameLength);
  }
  message.say(': expected ');
  message.say(expected);
  message.say(', got ');
  for (let i = 0; i < got.length; i++) {
    if (got.charCodeAt(i) == 0x23) message.number(number);
    else message.byte(got.charCodeAt(i));
  }
  message.say('. ');
  message.say(hint);
  exitSaying(message, 1);
  unreachable();
}

/** Never returns. */
export function failUsage(message: Text): void {
  message.say('\nUsage: cria.wasm MODEL [PROMPT] [options]; --help lists them');
  exitSaying(message, 2);
  unreachable();
}
