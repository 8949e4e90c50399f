/**
 * Runs kernels with every memory access checked against the operands of the running call. Each byte of memory belongs
 * to at most one range, so an access is inside an operand exactly if its first and its last byte belong to the same
 * range. Between operands lies what belongs to nobody. Between statics there may be nothing: an access that falls whole
 * into a neighbour of the static that was meant goes unseen.
 */

import type { Random } from '../../host/random.ts';
import { type Instrumented, instrument, type Site } from './instrument.ts';
import type { OpCase, Role } from './operands.ts';

/** Operands lie from here on: one place for all builds, so that a layout can be run on each. */
const BASE = 65536;
const MEMORY = 4 << 20;

/** Bytes that one call may touch: a part of an operand, or static memory of the module. */
interface Range {
  name: string;
  role: Role | 'table' | 'scratch';
  start: number;
  bytes: number;
}

/** A case with its operands at addresses. */
export interface Layout {
  op: string;
  shape: Record<string, number>;
  args: number[];
  ranges: Range[];
  /** Initial memory from `base` on. */
  base: number;
  image: Uint8Array;
  expected?: Uint8Array;
}

export interface Outcome {
  /** What went wrong, or undefined. */
  violation?: string;
  /** The bytes of all outputs. */
  outputs: Uint8Array;
  result: number | undefined;
}

/** Puts the operands of a case at random addresses, in random order, with gaps; no alignment beyond what is owed. */
export function layOut(opCase: OpCase, random: Random): Layout {
  const operands = [...opCase.operands];
  for (let i = operands.length - 1; i > 0; i--) {
    const j = Math.floor(random.next() * (i + 1));
    [operands[i], operands[j]] = [operands[j]!, operands[i]!];
  }
  const addresses = new Map<string, number>();
  const ranges: Range[] = [];
  let end = BASE;
  for (const { name, role, data, align, parts } of operands) {
    const start = align * Math.ceil((end + 16 + 48 * random.next()) / align);
    addresses.set(name, start);
    for (const [offset, bytes] of merged(parts ?? [[0, data.length]])) {
      ranges.push({ name: `${name} + ${offset}`, role, start: start + offset, bytes });
    }
    end = start + data.length;
  }
  // -1 as an index and NaN as a number: what nobody should read does harm if it is read
  const image = new Uint8Array(end + 64 - BASE).fill(0xff);
  for (const { name, role, data } of operands) {
    if (role === 'in' || role === 'inout') image.set(data, addresses.get(name)! - BASE);
  }
  const args = opCase.args.map(arg => (typeof arg === 'number' ? arg : addresses.get(arg)!));
  return { ...opCase, args, ranges, base: BASE, image };
}

/** Sorted, and parts that touch become one: an access may span them. */
function merged(parts: [number, number][]): [number, number][] {
  const result: [number, number][] = [];
  for (const [offset, bytes] of [...parts].sort((a, b) => a[0] - b[0])) {
    const last = result.at(-1);
    if (last && offset <= last[0] + last[1]) last[1] = Math.max(last[1], offset + bytes - last[0]);
    else result.push([offset, bytes]);
  }
  return result;
}

class Violation extends Error {}

export class RedZones {
  readonly exports: string[];
  /** Which sites of the module were ever reached. */
  readonly reached: Uint8Array;
  readonly sites: Site[];
  readonly #kernels: Record<string, (...args: number[]) => number | undefined>;
  readonly #memory: Uint8Array;
  /** For each byte the number of its range, 0 for none. */
  readonly #owner = new Uint16Array(MEMORY);
  readonly #written = new Uint8Array(MEMORY);
  readonly #statics: Range[];
  #ranges: Range[] = [];

  /** @param build 'debug' keeps each static segment apart; the optimiser of 'release' has cut and merged them */
  constructor(binary: Uint8Array, build: 'debug' | 'release') {
    const { module, sites, segments } = instrument(binary);
    this.sites = sites;
    this.reached = new Uint8Array(sites.length);
    // what the debug build wants besides is never called here: no assertion fails
    const unreachable = () => {
      throw new Violation('a failed assertion');
    };
    const { exports } = new WebAssembly.Instance(module, {
      redZones: { check: this.#check.bind(this) },
      wasi_snapshot_preview1: { fd_write: unreachable },
    });
    const memory = exports['memory'] as WebAssembly.Memory;
    memory.grow((MEMORY - memory.buffer.byteLength) / 65536);
    this.#memory = new Uint8Array(memory.buffer);
    this.#kernels = exports as Record<string, () => number>;
    this.exports = Object.keys(exports).filter(name => typeof exports[name] === 'function');
    const heapBase = this.#kernels['heapBase']!()!;
    if (heapBase > BASE) throw new Error(`the module's statics end at ${heapBase}: raise BASE`);
    this.#statics = build === 'debug' ? staticRanges(segments) : [wholeStatic(heapBase)];
    this.#own(this.#statics, 1);
  }

  /** See assembly/fours.ts. */
  useFours(yes: number): void {
    this.#kernels['useFours']!(yes);
  }

  run({ op, args, ranges, image, shape, expected }: Layout): Outcome {
    this.#memory.set(image, BASE);
    this.#owner.fill(0, BASE, BASE + image.length);
    this.#written.fill(0, BASE, BASE + image.length);
    this.#own(ranges, 1 + this.#statics.length);
    this.#ranges = ranges;
    try {
      const result = this.#kernels[op]!(...args);
      const outputs = this.#outputs();
      const wrong = this.#unwritten() ?? unexpected(outputs, expected);
      return { outputs, result, ...(wrong && { violation: describe(op, shape, wrong) }) };
    } catch (error) {
      if (!(error instanceof Violation || error instanceof WebAssembly.RuntimeError)) throw error;
      return { outputs: this.#outputs(), result: undefined, violation: describe(op, shape, error.message) };
    }
  }

  #own(ranges: Range[], first: number): void {
    for (const [i, { start, bytes }] of ranges.entries()) this.#owner.fill(first + i, start, start + bytes);
  }

  #check(site: number, address: number, count: number): void {
    const { offset, isStore } = this.sites[site]!;
    const bytes = count >>> 0;
    if (bytes === 0) return;
    this.reached[site] = 1;
    const start = (address >>> 0) + offset;
    const id = this.#owner[start]; // undefined beyond memory
    if (!id || id !== this.#owner[start + bytes - 1]) this.#fail(site, start, bytes, 'outside every operand');
    const { role } =
      id > this.#statics.length ? this.#ranges[id - 1 - this.#statics.length]! : this.#statics[id - 1]!;
    if (isStore) {
      if (role === 'in' || role === 'table') this.#fail(site, start, bytes, 'to read-only memory');
      for (let i = start; i < start + bytes; i++) this.#written[i] = 1;
    } else if (role === 'out' || role === 'work') {
      for (let i = start; i < start + bytes; i++) {
        if (!this.#written[i]) this.#fail(site, start, bytes, 'of an output, before it was written');
      }
    }
  }

  #fail(site: number, start: number, bytes: number, what: string): never {
    const distance = (range: Range) =>
      Math.max(range.start - start, start + bytes - range.start - range.bytes);
    const [nearest] = this.#ranges.concat(this.#statics).sort((a, b) => distance(a) - distance(b));
    const { op, function: where } = this.sites[site]!;
    const place = nearest
      ? `(${nearest.name}) + ${start - nearest.start}, of ${nearest.bytes} bytes for '${nearest.role}'`
      : `${start}`;
    throw new Violation(`${op} of ${bytes} bytes ${what}, at ${place}, in ${where}`);
  }

  /** Where an output lacks a byte that was never stored. */
  #unwritten(): string | undefined {
    for (const { name, role, start, bytes } of this.#ranges) {
      if (role !== 'out' && role !== 'inout') continue;
      const at = this.#written.subarray(start, start + bytes).indexOf(0);
      if (at >= 0) return `never stored: (${name}) + ${at}, of ${bytes} bytes for '${role}'`;
    }
    return undefined;
  }

  #outputs(): Uint8Array {
    const outputs = this.#ranges.filter(({ role }) => role === 'out' || role === 'inout');
    return Buffer.concat(outputs.map(({ start, bytes }) => this.#memory.subarray(start, start + bytes)));
  }
}

/** Where an output is not what it must be. */
function unexpected(outputs: Uint8Array, expected = outputs): string | undefined {
  const at = outputs.findIndex((byte, i) => byte !== expected[i]);
  return at < 0 ? undefined : `not what it must be: byte ${at} of ${expected.length} in the output`;
}

function staticRanges(segments: Instrumented['segments']): Range[] {
  return segments.map(({ start, bytes, isScratch }) => {
    return { name: `static ${start}`, role: isScratch ? 'scratch' : 'table', start, bytes };
  });
}

/** AssemblyScript leaves the first 16 bytes free: address 0 is no address. */
function wholeStatic(heapBase: number): Range {
  return { name: 'static', role: 'scratch', start: 16, bytes: heapBase - 16 };
}

function describe(op: string, shape: Record<string, number>, what: string): string {
  const sizes = Object.entries(shape).map(([name, size]) => `${name} ${size}`);
  return `${op} (${sizes.join(', ')}): ${what}`;
}
