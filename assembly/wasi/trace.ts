// The trace build's voice: a line for each op that it runs.

import { line, writeAll } from './output';
import { STDERR } from './preview1';
import { Text } from './text';

/** `op type shape…`; no type where it is −1. */
export function trace(op: string, type: i32, a: i32, b: i32 = -1, c: i32 = -1, d: i32 = -1, e: i32 = -1): void {
  const said = line();
  said.say(op);
  if (type >= 0) {
    said.say(' type');
    put(said, type);
  }
  put(said, a);
  put(said, b);
  put(said, c);
  put(said, d);
  put(said, e);
  said.byte(0x0a);
  writeAll(STDERR, said.start, said.length);
}

function put(said: Text, number: i32): void {
  if (number < 0) return;
  said.byte(0x20);
  said.number(number);
}
