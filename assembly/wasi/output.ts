// What leaves the command: texts and numbers to standard output, messages to standard error.

import { EAGAIN, EPIPE, STDERR, STDOUT, fd_write, proc_exit } from './preview1';
import { Text } from './text';

/** An iovec (address, length) and the place for a number of bytes. */
const VECTOR = memory.data(12, 4);
const LINE_BYTES = 2048;
const LINE = memory.data(LINE_BYTES, 8);

/** A line that is being made; the next call begins another. */
export function line(): Text {
  return Text.at(LINE, LINE_BYTES);
}

export function writeAll(fd: i32, start: usize, length: u32): void {
  while (length > 0) {
    store<u32>(VECTOR, start);
    store<u32>(VECTOR, length, 4);
    const errno = fd_write(fd, VECTOR, 1, VECTOR + 8);
    if (errno == EAGAIN) continue; // a pipe that is full for now
    // whoever read the text has gone: that is an end, and no failure
    if (errno) proc_exit(errno == EPIPE && fd == STDOUT ? 0 : 1);
    start += load<u32>(VECTOR, 8);
    length -= load<u32>(VECTOR, 8);
  }
}

/** Ends with a line that says what is wrong. */
export function exitSaying(message: Text, code: i32): void {
  message.byte(0x0a);
  writeAll(STDERR, message.start, message.length);
  proc_exit(code);
}
