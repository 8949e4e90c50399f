// What this machine can do from inside WebAssembly, so that figures can be given as shares of it. As a program it
// prints one JSON line; main.ts starts it once under each Node.

import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import binaryen from 'binaryen';

/** Gigabytes, or thousand millions of integer multiply-adds, a second: with one core, and with all at once. */
interface Rate {
  one: number;
  all: number;
}

export interface Machine {
  cpu: string;
  cores: number;
  memoryBytes: number;
  node: string;
  /** The processor's own integer dot products, as Linux names them: the relaxed dot needs `avx_vnni` to be one instruction. */
  features: string[];
  /** Reading memory with 128-bit loads, GB/s. */
  read: Rate;
  /** `i32x4.dot_i16x8_s` and an add: what every WebAssembly SIMD can do with integers. 10⁹ multiply-adds/s. */
  dot16: Rate;
  /** `i32x4.relaxed_dot_i8x16_i7x16_add_s`, where there is relaxed SIMD. 10⁹ multiply-adds/s. */
  dot8: Rate | undefined;
}

/** 10⁹ multiply-adds/s of `f32x4.mul` and `f32x4.add`, with so many threads at once: what training could reach. */
export async function measureF32(threads: number): Promise<number> {
  return measure(moduleBytes(false), 'f32', threads);
}

type Probe = 'read' | 'dot16' | 'dot8' | 'f32';

const READ_BYTES = 256 * 2 ** 20; // per thread: several times every last-level cache share
const READ_STREAMS = 8;
const TILE = { a: 2, b: 4 }; // 8 sums, 6 operands, 1 product: what x86 engines have in v128 registers
const SUMS = TILE.a * TILE.b;
const CHAINS = 12;
const CHAIN_LENGTH = 8;
const DOT_STEP = 128; // bytes from one step's operands to the next's
const DOT_WINDOW = 8192; // bytes: stays in the first-level cache

const list = (count: number, line: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => line(i)).join('\n');

/** One pass over `bytes` bytes in steps, through the same `window` (a power of 2) again and again. */
function loop(
  name: string,
  locals: string,
  sums: number,
  step: number,
  window: number,
  body: string,
): string {
  return `(func (export "${name}") (param $bytes i32) (result i32)
    (local $at i32) (local $ptr i32) ${locals} ${list(sums, i => `(local $s${i} v128)`)}
    (loop $next
      (local.set $ptr (i32.and (local.get $at) (i32.const ${window - 1})))
      ${body}
      (local.set $at (i32.add (local.get $at) (i32.const ${step})))
      (br_if $next (i32.lt_u (local.get $at) (local.get $bytes))))
    (i32x4.extract_lane 0 ${Array.from({ length: sums }, (_, i) => `(local.get $s${i})`).reduce(
      (left, right) => `(v128.xor ${left} ${right})`,
    )}))`;
}

function moduleBytes(relaxed: boolean): Uint8Array<ArrayBuffer> {
  const names = ['a0', 'a1', 'b0', 'b1', 'b2', 'b3']; // TILE.a and TILE.b of them
  const operands = names.map(name => `(local $${name} v128)`).join(' ');
  const loads = names.map((name, i) => `(local.set $${name} (v128.load offset=${i * 16} (local.get $ptr)))`);
  // Operands are loaded anew for each step, and no two dots of a step have the same pair: nothing to fold or hoist.
  const tile = (dot: (sum: string, a: string, b: string) => string): string =>
    loads.join('\n') +
    list(SUMS, i => {
      const [a, b] = [`(local.get $a${i % TILE.a})`, `(local.get $b${Math.floor(i / TILE.a)})`];
      return `(local.set $s${i} ${dot(`(local.get $s${i})`, a, b)})`;
    });
  const dot16 = tile((sum, a, b) => `(i32x4.add ${sum} (i32x4.dot_i16x8_s ${a} ${b}))`);
  const dot8 = tile((sum, a, b) => `(i32x4.relaxed_dot_i8x16_i7x16_add_s ${a} ${b} ${sum})`);
  // no loads, and as many chains as hide their own latency: s = s · a + b
  const chains = list(CHAINS, i => {
    return `(local.set $s${i} (f32x4.add (f32x4.mul (local.get $s${i}) (local.get $a0)) (local.get $a0)))`;
  });
  const f32 = `(local.set $a0 (v128.load (local.get $ptr))) ${chains.repeat(CHAIN_LENGTH)}`;
  const read = list(READ_STREAMS, i => {
    return `(local.set $s${i} (v128.xor (local.get $s${i}) (v128.load offset=${i * 16} (local.get $ptr))))`;
  });
  const module = binaryen.parseText(`(module (memory (export "memory") ${READ_BYTES / 65536})
    ${loop('read', '', READ_STREAMS, READ_STREAMS * 16, READ_BYTES, read)}
    ${loop('dot16', operands, SUMS, DOT_STEP, DOT_WINDOW, dot16)}
    ${loop('f32', operands, CHAINS, DOT_STEP, DOT_WINDOW, f32)}
    ${relaxed ? loop('dot8', operands, SUMS, DOT_STEP, DOT_WINDOW, dot8) : ''})`);
  module.setFeatures(binaryen.Features.SIMD128 | (relaxed ? binaryen.Features.RelaxedSIMD : 0));
  const bytes = module.emitBinary();
  module.dispose();
  return new Uint8Array(bytes);
}

/** Multiply-adds of a step. */
const MACS = { dot16: 8 * SUMS, dot8: 16 * SUMS, f32: 4 * CHAINS * CHAIN_LENGTH };

interface Job {
  wasm: Uint8Array<ArrayBuffer>;
  probe: Probe;
  /** Passed on the way: [0] threads that are ready, [1] rounds that may begin. */
  gate: Int32Array;
  rounds: number;
  bytes: number;
}

/** Runs in a worker: touches its memory, waits for the others, then answers with start and end of each round in ms. */
async function work({ wasm, probe, gate, rounds, bytes }: Job): Promise<void> {
  const { instance } = await WebAssembly.instantiate(wasm);
  const exports = instance.exports as { memory: WebAssembly.Memory } & Record<
    Probe,
    (bytes: number) => number
  >;
  const memory = new Uint8Array(exports.memory.buffer);
  memory.fill(0x3f, 0, probe === 'read' ? READ_BYTES : DOT_WINDOW);
  const run = exports[probe];
  for (let i = 0; i < 200; i++) run(DOT_WINDOW * 100); // until the optimising compiler has taken over
  const times: [number, number][] = [];
  for (let round = 0; round < rounds; round++) {
    Atomics.add(gate, 0, 1);
    Atomics.notify(gate, 0);
    Atomics.wait(gate, 1, round); // main raises it to round + 1
    const start = performance.timeOrigin + performance.now();
    run(bytes);
    times.push([start, performance.timeOrigin + performance.now()]);
  }
  parentPort!.postMessage(times);
}

/** The best of several rounds of `threads` threads: units a second, where a round is `units` a thread. */
async function measure(wasm: Uint8Array<ArrayBuffer>, probe: Probe, threads: number): Promise<number> {
  const rounds = 7;
  const gate = new Int32Array(new SharedArrayBuffer(8));
  const bytes = probe === 'read' ? READ_BYTES : DOT_STEP * 2 ** 24;
  const job: Job = { wasm, probe, gate, rounds, bytes };
  const results = Array.from({ length: threads }, () => {
    const worker = new Worker(fileURLToPath(import.meta.url), { workerData: job });
    return new Promise<[number, number][]>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
  });
  for (let round = 0; round < rounds; round++) {
    while (Atomics.load(gate, 0) < (round + 1) * threads)
      await new Promise(resolve => setTimeout(resolve, 1));
    Atomics.store(gate, 1, round + 1);
    Atomics.notify(gate, 1);
  }
  const times = await Promise.all(results);
  const units = probe === 'read' ? bytes : (bytes / DOT_STEP) * MACS[probe];
  let best = 0;
  for (let round = 0; round < rounds; round++) {
    const start = Math.min(...times.map(time => time[round]![0]));
    const end = Math.max(...times.map(time => time[round]![1]));
    best = Math.max(best, (units * threads) / ((end - start) / 1000));
  }
  return best / 1e9;
}

function dotFeatures(): string[] {
  if (process.platform !== 'linux') return [];
  const text = readFileSync('/proc/cpuinfo', 'utf8');
  return [...new Set(text.match(/\b(\w*vnni\w*|asimddp|i8mm)\b/g) ?? [])];
}

export async function measureMachine(): Promise<Machine> {
  const withRelaxed = moduleBytes(true);
  const relaxed = WebAssembly.validate(withRelaxed);
  const wasm = relaxed ? withRelaxed : moduleBytes(false);
  const cores = availableParallelism();
  const rate = async (probe: Probe): Promise<Rate> => ({
    one: await measure(wasm, probe, 1),
    all: await measure(wasm, probe, cores),
  });
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores,
    memoryBytes: totalmem(),
    node: process.version,
    features: dotFeatures(),
    read: await rate('read'),
    dot16: await rate('dot16'),
    dot8: relaxed ? await rate('dot8') : undefined,
  };
}

if (!isMainThread && workerData !== null) await work(workerData as Job);
else if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  console.log(JSON.stringify(await measureMachine()));
}
