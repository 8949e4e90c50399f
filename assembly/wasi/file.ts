// The model file: found below a folder that the host has opened, and read straight into place.

import { aboutFile, at, fail } from './errors';
import { commit, extend, take } from './memory';
import {
  EAGAIN, ENOENT, ENOTDIR, FIRST_FOLDER, FOLLOW_LINKS, REGULAR_FILE, RIGHTS_TO_READ, STDIN,
  fd_filestat_get, fd_pread, fd_prestat_dir_name, fd_prestat_get, fd_read, path_open,
} from './preview1';

/** A prestat (type, length of the name), a file descriptor, an iovec and the place for a number of bytes; a filestat. */
const PLACES = memory.data(12, 4);
const STAT = memory.data(64, 8);
const FOLDER_BYTES: u32 = 4096;
const FOLDER = memory.data(4096);

let fd: i32 = -1;
/** Bytes of the file. */
export let fileSize: u64 = 0;

/** How much of a path a folder's name takes; −1 if the folder does not hold it. */
function lengthInPath(path: usize, length: u32, folder: usize, folderLength: u32): i32 {
  while (folderLength > 1 && load<u8>(folder + folderLength - 1) == 0x2f) folderLength--;
  if (folderLength == 0 || (folderLength == 1 && load<u8>(folder) == 0x2e)) {
    return load<u8>(path) == 0x2f ? -1 : 0;
  }
  if (folderLength == 1 && load<u8>(folder) == 0x2f) return load<u8>(path) == 0x2f ? 1 : -1;
  if (length <= folderLength || memory.compare(path, folder, folderLength) != 0) return -1;
  return load<u8>(path + folderLength) == 0x2f ? <i32>folderLength + 1 : -1;
}

/** Opens a path below the folder whose name takes most of it. */
export function openFile(path: usize, length: u32): void {
  aboutFile(path, length);
  at('file');
  // `./model.gguf` is `model.gguf`
  while (length > 2 && load<u8>(path) == 0x2e && load<u8>(path, 1) == 0x2f) {
    path += 2;
    length -= 2;
  }
  let folder = -1, taken = -1;
  for (let candidate = FIRST_FOLDER; fd_prestat_get(candidate, PLACES) == 0; candidate++) {
    const nameLength = load<u32>(PLACES, 4);
    if (nameLength > FOLDER_BYTES || fd_prestat_dir_name(candidate, FOLDER, nameLength)) continue;
    const most = lengthInPath(path, length, FOLDER, nameLength);
    if (most <= taken) continue;
    taken = most;
    folder = candidate;
  }
  if (folder < 0) {
    const hint = 'Tell the runtime which folder the command may read, as in --dir .';
    fail('file-not-found', 'a path in a folder that the command may read', 'one that is not', hint);
  }
  const errno = path_open(folder, FOLLOW_LINKS, path + taken, length - taken, 0, RIGHTS_TO_READ, 0, 0, PLACES);
  if (errno == ENOENT || errno == ENOTDIR) {
    fail('file-not-found', 'a file that can be read', 'no such file', 'Check the path.');
  }
  if (errno) unreadable(errno);
  fd = load<i32>(PLACES);
  const statErrno = fd_filestat_get(fd, STAT);
  if (statErrno) unreadable(statErrno);
  if (load<u8>(STAT, 16) != REGULAR_FILE) {
    fail('file-unreadable', 'a file that can be read', 'no regular file', 'Check the path.');
  }
  fileSize = load<u64>(STAT, 32);
}

function unreadable(errno: i32): void {
  const hint = 'Check the path and what the command may read.';
  fail('file-unreadable', 'a file that can be read', 'WASI errno #', hint, errno);
}

/** Reads bytes of the file from `offset` on. */
export function readAt(out: usize, length: usize, offset: u64): void {
  while (length > 0) {
    store<usize>(PLACES, out);
    store<usize>(PLACES, length, 4);
    const errno = fd_pread(fd, PLACES, 1, offset, PLACES + 8);
    if (errno) unreadable(errno);
    const done = load<u32>(PLACES, 8);
    if (done == 0) {
      const hint = 'The file changed or is incomplete; download it again.';
      fail('file-truncated', 'more bytes', 'the end of the file at byte #', hint, offset);
    }
    out += done;
    length -= done;
    offset += done;
  }
}

/** All of standard input, at the end of the memory. */
export let inputLength: u32 = 0;
export function readInput(): usize {
  const PIECE: u32 = 65536;
  const start = take(PIECE);
  let done: u32 = 1;
  while (done > 0) {
    store<usize>(PLACES, start + inputLength);
    store<u32>(PLACES, PIECE, 4);
    const errno = fd_read(STDIN, PLACES, 1, PLACES + 8);
    if (errno == EAGAIN) continue;
    at('standard input');
    if (errno) unreadable(errno);
    done = load<u32>(PLACES, 8);
    inputLength += done;
    extend(done);
    commit();
  }
  return start;
}
