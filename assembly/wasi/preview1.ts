// What the command asks of its host: functions of WASI preview 1 (WebAssembly/WASI, phases/snapshot/docs.md), by their
// own names. Each gives an errno, 0 for success.

export const STDIN = 0, STDOUT = 1, STDERR = 2;
/** The first folder that the host may have opened. */
export const FIRST_FOLDER = 3;

export const EAGAIN = 6, ENOENT = 44, ENOTDIR = 54, EPIPE = 64;

export const REGULAR_FILE: u8 = 4;

/** fd_read, fd_seek, fd_filestat_get */
export const RIGHTS_TO_READ: u64 = (1 << 1) | (1 << 2) | (1 << 21);
export const FOLLOW_LINKS = 1;
export const MONOTONIC = 1;

// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "args_sizes_get")
export declare function args_sizes_get(count: usize, bytes: usize): i32;

// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "args_get")
export declare function args_get(addresses: usize, texts: usize): i32;

// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "environ_sizes_get")
export declare function environ_sizes_get(count: usize, bytes: usize): i32;

// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "environ_get")
export declare function environ_get(addresses: usize, texts: usize): i32;

// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "fd_prestat_get")
export declare function fd_prestat_get(fd: i32, prestat: usize): i32;

// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "fd_prestat_dir_name")
export declare function fd_prestat_dir_name(fd: i32, path: usize, length: u32): i32;

// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "path_open")
export declare function path_open(
  folder: i32, lookup: i32, path: usize, length: u32, flags: i32, rights: u64, inheriting: u64, fdflags: i32, fd: usize,
): i32;

// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "fd_filestat_get")
export declare function fd_filestat_get(fd: i32, stat: usize): i32;

// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "fd_read")
export declare function fd_read(fd: i32, vectors: usize, count: i32, done: usize): i32;

// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "fd_pread")
export declare function fd_pread(fd: i32, vectors: usize, count: i32, offset: u64, done: usize): i32;

// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "fd_write")
export declare function fd_write(fd: i32, vectors: usize, count: i32, done: usize): i32;

// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "clock_time_get")
export declare function clock_time_get(clock: i32, precision: u64, nanoseconds: usize): i32;

// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "random_get")
export declare function random_get(out: usize, length: u32): i32;

// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "proc_exit")
export declare function proc_exit(code: i32): void;
