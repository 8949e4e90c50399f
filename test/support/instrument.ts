/**
 * Rewrites a compiled module so that every memory access asks first: each load, store, memory.copy and memory.fill
 * becomes a call of a small function that hands its site, address and length to the import `redZones.check` and then
 * does the access. The check comes after the operands are evaluated and right before the access, in the order in which
 * the machine would do it. An instruction that touches memory and is not known here is an error, not a gap.
 */

import binaryen from 'binaryen';

/** A memory access in the module. memory.copy has two: what it reads and what it writes. */
export interface Site {
  /** The function it stands in: a name in debug builds, a number in release builds. */
  function: string;
  op: string;
  /** Added to the address. */
  offset: number;
  isStore: boolean;
}

/** Initialised static memory. Segments of zeros are scratch, the others are tables, which nobody may write to. */
export interface Segment {
  start: number;
  bytes: number;
  isScratch: boolean;
}

export interface Instrumented {
  module: WebAssembly.Module;
  sites: Site[];
  segments: Segment[];
}

/** An s-expression: a list, or an atom as it is written, strings with their quotes. */
type Node = string | Node[];

export function instrument(binary: Uint8Array): Instrumented {
  const tree = read(textOf(binary));
  const sites: Site[] = [];
  const helpers: Node[] = [];
  for (const field of tree) {
    if (!Array.isArray(field) || field[0] !== 'func') continue;
    for (const [i, node] of field.entries()) field[i] = rewrite(node, String(field[1]), sites, helpers);
  }
  const check = read('(import "redZones" "check" (func $redZones.check (param i32 i32 i32)))');
  // imports stand before everything that is defined
  tree.splice(1, 0, check);
  tree.push(...helpers);
  return { module: new WebAssembly.Module(binaryOf(print(tree))), sites, segments: segmentsOf(tree) };
}

function textOf(binary: Uint8Array): string {
  const module = binaryen.readBinaryWithFeatures(binary, binaryen.Features.All);
  const text = module.emitText();
  module.dispose();
  return text;
}

function binaryOf(text: string): Uint8Array<ArrayBuffer> {
  const module = binaryen.parseText(text);
  module.setFeatures(binaryen.Features.All);
  const binary = module.emitBinary();
  module.dispose();
  return new Uint8Array(binary);
}

/** Reads one s-expression. Binaryen writes instructions folded: operands are the lists inside. */
function read(text: string): Node[] {
  const stack: Node[][] = [[]];
  for (const [token] of text.matchAll(/;;[^\n]*|\$?"(?:[^"\\]|\\.)*"|[()]|[^\s()";]+/g)) {
    if (token.startsWith(';;')) continue;
    if (token === '(') stack.push([]);
    else if (token === ')') {
      const list = stack.pop()!;
      stack.at(-1)!.push(list);
    } else stack.at(-1)!.push(token);
  }
  return stack[0]![0] as Node[];
}

function print(node: Node): string {
  return Array.isArray(node) ? `(${node.map(print).join(' ')})` : node;
}

function rewrite(node: Node, inside: string, sites: Site[], helpers: Node[]): Node {
  if (!Array.isArray(node)) return node;
  const op = String(node[0]);
  const operands = node.slice(1).filter(Array.isArray);
  const rewritten = operands.map(operand => rewrite(operand, inside, sites, helpers));
  const access = accessOf(op);
  if (!access) {
    let next = 0;
    return node.map(part => (Array.isArray(part) ? rewritten[next++]! : part));
  }
  const immediates = node.slice(1).filter(part => !Array.isArray(part)) as string[];
  const name = `$checked.${helpers.length}`;
  const offset = Number(immediates.find(i => i.startsWith('offset='))?.slice('offset='.length) ?? 0);
  const checks = access.checks.map(({ address, bytes, isStore }) => {
    sites.push({ function: inside, op, offset, isStore });
    return `(call $redZones.check (i32.const ${sites.length - 1}) (local.get ${address}) ${bytes})`;
  });
  const result = access.result ? `(result ${access.result})` : '';
  const locals = access.params.map((_, i) => `(local.get ${i})`).join(' ');
  const body = `${checks.join(' ')} (${op} ${immediates.join(' ')} ${locals})`;
  helpers.push(read(`(func ${name} (param ${access.params.join(' ')}) ${result} ${body})`));
  return ['call', name, ...rewritten];
}

/** The types of an instruction that touches memory, and what it touches; undefined for all other instructions. */
interface Access {
  params: string[];
  result: string | undefined;
  checks: { address: number; bytes: string; isStore: boolean }[];
}

const NATURAL: Record<string, number> = { i32: 4, i64: 8, f32: 4, f64: 8, v128: 16 };

function accessOf(op: string): Access | undefined {
  const bulk = (...checks: Access['checks']) => ({
    params: ['i32', 'i32', 'i32'],
    result: undefined,
    checks,
  });
  const count = '(local.get 2)';
  const store = { address: 0, bytes: count, isStore: true };
  if (op === 'memory.copy') return bulk({ address: 1, bytes: count, isStore: false }, store);
  if (op === 'memory.fill') return bulk(store);
  if (op === 'memory.size' || op === 'memory.grow') return undefined;
  // i32.load8_s, v128.load8x8_u, v128.load32_splat, v128.load64_zero, v128.store16_lane …
  const match = /^(i32|i64|f32|f64|v128)\.(load|store)(\d+)?(x\d+)?(_[su]|_splat|_zero|_lane)?$/.exec(op);
  if (!match) {
    if (/load|store|atomic|^memory\./.test(op)) throw new Error(`${op} touches memory and is not known here`);
    return undefined;
  }
  const [, type, direction, bits, lanes, suffix] = match as unknown as [string, string, string, ...string[]];
  const bytes = lanes ? 8 : bits ? Number(bits) / 8 : NATURAL[type]!;
  const isStore = direction === 'store';
  return {
    params: isStore || suffix === '_lane' ? ['i32', type] : ['i32'],
    result: isStore ? undefined : type,
    checks: [{ address: 0, bytes: `(i32.const ${bytes})`, isStore }],
  };
}

function segmentsOf(tree: Node[]): Segment[] {
  return tree.flatMap(field => {
    if (!Array.isArray(field) || field[0] !== 'data') return [];
    const start = Number((field.find(Array.isArray) as Node[])[1]);
    const bytes = [
      ...String(field.at(-1))
        .slice(1, -1)
        .matchAll(/\\[0-9a-f]{2}|\\.|./gs),
    ];
    return [{ start, bytes: bytes.length, isScratch: bytes.every(([byte]) => byte === '\\00') }];
  });
}
