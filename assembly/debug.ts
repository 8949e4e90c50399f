// The debug build's entry: the ABI, and what it says when an assertion fails: one line on standard error through WASI's
// fd_write, then a trap.

export * from './train';

// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "fd_write")
declare function fd_write(fd: i32, vectors: usize, count: i32, written: usize): i32;

const SIZE = 512;
const text = memory.data(SIZE);
/** One WASI iovec (address, length) and the place for the number of bytes written. */
const vector = memory.data(12, 4);

function append(at: i32, part: string | null): i32 {
  if (part === null) return at;
  const left = SIZE - at;
  const length = min(String.UTF8.byteLength(part), left);
  String.UTF8.encodeUnsafe(changetype<usize>(part), min(part.length, left / 3), text + at);
  return at + length;
}

export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  let end = append(0, message);
  end = append(end, ' at ');
  end = append(end, file);
  end = append(end, ':');
  end = append(end, line.toString());
  end = append(end, ':');
  end = append(end, column.toString());
  end = append(end, '\n');
  store<usize>(vector, text);
  store<i32>(vector, end, 4);
  fd_write(2, vector, 1, vector + 8);
  unreachable();
}
