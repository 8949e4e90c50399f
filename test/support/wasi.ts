/** A host of WASI preview 1 in memory: one folder of files, no real input or output, so that thousands of runs take seconds. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from './shared.ts';

/** A file of `size` bytes that begins with `bytes` and goes on with zeros. */
export interface File {
  bytes: Uint8Array;
  size: number;
}

export interface Run {
  args?: (string | Uint8Array)[];
  env?: Record<string, string>;
  /** By path below the one folder. */
  files?: Record<string, Uint8Array | File>;
  /** The folder's name; `.` by default. */
  folder?: string;
  stdin?: string | Uint8Array;
  /** Most bytes of one read, write: short ones are the host's right. */
  piece?: number;
}

export interface Ended {
  code: number;
  stdout: Buffer;
  stderr: string;
}

export type Build = 'cria' | 'cria-trace';

const compiled = new Map<Build, WebAssembly.Module>();

/** The built command. */
export function commandModule(build: Build = 'cria'): WebAssembly.Module {
  const known = compiled.get(build);
  if (known) return known;
  const made = new WebAssembly.Module(readFileSync(join(projectRoot, 'dist', 'wasm', `${build}.wasm`)));
  compiled.set(build, made);
  return made;
}

class Exit extends Error {
  readonly code: number;
  constructor(code: number) {
    super(`exit ${code}`);
    this.code = code;
  }
}

const BADF = 8;
const NOENT = 44;
const FOLDER = 3;
const FILE = 4;

/** Runs the command to its end; a trap is thrown. */
export function runCommand(run: Run, build?: Build): Ended {
  const { args = [], env = {}, files = {}, folder = '.', piece = Number.POSITIVE_INFINITY } = run;
  const utf8 = new TextEncoder();
  const texts = (items: (string | Uint8Array)[]) =>
    items.map(item => Buffer.concat([typeof item === 'string' ? utf8.encode(item) : item, Uint8Array.of(0)]));
  const argv = texts(['cria.wasm', ...args]);
  const environ = texts(Object.entries(env).map(([name, value]) => `${name}=${value}`));
  let stdin = typeof run.stdin === 'string' ? utf8.encode(run.stdin) : (run.stdin ?? new Uint8Array());
  const out: { 1: Buffer[]; 2: Buffer[] } = { 1: [], 2: [] };
  let opened: File | undefined;
  let memory: WebAssembly.Memory;
  const view = () => new DataView(memory.buffer);
  const bytes = (at: number, length: number) => new Uint8Array(memory.buffer, at >>> 0, length >>> 0);
  const sizes = (items: Uint8Array[]) => (count: number, total: number) => {
    view().setUint32(count >>> 0, items.length, true);
    const sum = items.reduce((length, item) => length + item.length, 0);
    view().setUint32(total >>> 0, sum, true);
    return 0;
  };
  const get = (items: Uint8Array[]) => (addresses: number, place: number) => {
    for (const [i, item] of items.entries()) {
      view().setUint32((addresses >>> 0) + 4 * i, place >>> 0, true);
      bytes(place, item.length).set(item);
      place += item.length;
    }
    return 0;
  };
  /** The one vector that the command passes. */
  const vector = (vectors: number) => {
    const at = view().getUint32(vectors >>> 0, true);
    return bytes(at, Math.min(piece, view().getUint32((vectors >>> 0) + 4, true)));
  };
  const done = (place: number, count: number) => {
    view().setUint32(place >>> 0, count, true);
    return 0;
  };
  const imports = {
    args_sizes_get: sizes(argv),
    args_get: get(argv),
    environ_sizes_get: sizes(environ),
    environ_get: get(environ),
    fd_prestat_get(fd: number, place: number) {
      if (fd !== FOLDER) return BADF;
      view().setUint32(place >>> 0, 0, true);
      return done(place + 4, utf8.encode(folder).length);
    },
    fd_prestat_dir_name(_: number, place: number, length: number) {
      bytes(place, length).set(utf8.encode(folder));
      return 0;
    },
    path_open(
      fd: number,
      _lookup: number,
      path: number,
      length: number,
      _flags: number,
      _rights: bigint,
      _inheriting: bigint,
      _fdflags: number,
      place: number,
    ) {
      if (fd !== FOLDER) return BADF;
      const found = files[new TextDecoder().decode(bytes(path, length).slice())];
      if (found === undefined) return NOENT;
      opened = found instanceof Uint8Array ? { bytes: found, size: found.length } : found;
      return done(place, FILE);
    },
    fd_filestat_get(fd: number, place: number) {
      if (fd !== FILE) return BADF;
      view().setUint8((place >>> 0) + 16, 4);
      view().setBigUint64((place >>> 0) + 32, BigInt(opened!.size), true);
      return 0;
    },
    fd_pread(fd: number, vectors: number, _count: number, offset: bigint, place: number) {
      if (fd !== FILE) return BADF;
      const at = Number(offset);
      const into = vector(vectors);
      const length = Math.max(0, Math.min(into.length, opened!.size - at));
      into.subarray(0, length).fill(0);
      into.set(opened!.bytes.subarray(at, at + length));
      return done(place, length);
    },
    fd_read(fd: number, vectors: number, _count: number, place: number) {
      if (fd !== 0) return BADF;
      const into = vector(vectors);
      const part = stdin.subarray(0, into.length);
      into.set(part);
      stdin = stdin.subarray(part.length);
      return done(place, part.length);
    },
    fd_write(fd: number, vectors: number, _count: number, place: number) {
      if (fd !== 1 && fd !== 2) return BADF;
      const part = vector(vectors);
      out[fd].push(Buffer.from(part));
      return done(place, part.length);
    },
    clock_time_get(_clock: number, _precision: bigint, place: number) {
      view().setBigUint64(place >>> 0, process.hrtime.bigint(), true);
      return 0;
    },
    random_get(place: number, length: number) {
      crypto.getRandomValues(bytes(place, length));
      return 0;
    },
    proc_exit(code: number) {
      throw new Exit(code);
    },
  };
  const instance = new WebAssembly.Instance(commandModule(build), { wasi_snapshot_preview1: imports });
  memory = instance.exports['memory'] as WebAssembly.Memory;
  let code = 0;
  try {
    (instance.exports['_start'] as () => void)();
  } catch (error) {
    if (!(error instanceof Exit)) throw error;
    code = error.code;
  }
  return { code, stdout: Buffer.concat(out[1]), stderr: Buffer.concat(out[2]).toString() };
}

/** The code that a failure's line begins with. */
export function codeOf({ code, stderr }: Ended): string | undefined {
  if (code === 0) return undefined;
  const lines = stderr.split('\n');
  const said = /^cria: ([a-z-]+): [^\n]+: expected [^\n]+, got [^\n]+\. [^\n]+\.$/.exec(lines[0]!)?.[1];
  if (code !== 1 || said === undefined || lines.length !== 2) throw new Error(`exit ${code}: ${stderr}`);
  return said;
}
