import { type Mix, type Resources, unitOf } from './code.ts';
import { type Arch, blocksPerMultiprocessor, GPUS, type Gpu, MULTIPROCESSORS } from './machine.ts';
import type { Counted } from './trace.ts';

/** What is known of each kernel's code, by its name. */
export interface Code {
  resources: Map<string, Partial<Record<Arch, Resources>>>;
  mixes: Map<string, Mix>;
}

/** Launches of one kernel, added up. */
interface Row {
  name: string;
  launches: number;
  weights: number;
  cache: number;
  activations: number;
  flops: number;
  /** Seconds on each of GPUS, launch by launch the longer of memory and arithmetic. */
  seconds: number[];
}

function rooflineOf({ bytes, flops, name }: Counted, { mixes }: Code, { bandwidth, peaks }: Gpu): number {
  const memory = (bytes.weights + bytes.cache + bytes.activations) / (bandwidth * 1e9);
  return Math.max(memory, flops / (peaks[unitOf(mixes.get(name)!)] * 1e12));
}

export function rowsOf(launches: readonly Counted[], code: Code): Row[] {
  const rows = new Map<string, Row>();
  for (const launch of launches) {
    const { name, bytes, flops } = launch;
    const row = rows.get(name) ?? {
      ...{ name, launches: 0, weights: 0, cache: 0, activations: 0, flops: 0 },
      seconds: GPUS.map(() => 0),
    };
    rows.set(name, {
      name,
      launches: row.launches + 1,
      weights: row.weights + bytes.weights,
      cache: row.cache + bytes.cache,
      activations: row.activations + bytes.activations,
      flops: row.flops + flops,
      seconds: row.seconds.map((sum, i) => sum + rooflineOf(launch, code, GPUS[i]!)),
    });
  }
  return [...rows.values()].sort((a, b) => b.seconds[0]! - a.seconds[0]!);
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const align = head.map((_, i) => (i === 0 ? '---' : '---:'));
  return [head, align, ...rows].map(line).join('\n');
}

/** Three digits, no exponents. */
function short(x: number): string {
  if (x === 0) return '0';
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(x))));
  return digits > 6 ? '0' : x.toFixed(Math.min(3, digits));
}

/** @param tokens that the launches compute */
export function workTable(launches: readonly Counted[], code: Code, tokens: number): string {
  const rows = rowsOf(launches, code);
  const total = (of: (row: Row) => number) => rows.reduce((sum, row) => sum + of(row), 0);
  const bytesOf = ({ weights, cache, activations }: Row) => weights + cache + activations;
  const all = total(bytesOf);
  const cells = (row: Row, unit: string): string[] => [
    `\`${row.name}\``,
    String(row.launches),
    ...[row.weights, row.cache, row.activations].map(bytes => short(bytes / 1e6)),
    `${((100 * bytesOf(row)) / all).toFixed(1)} %`,
    short(row.flops / bytesOf(row)),
    unit,
    ...row.seconds.map(seconds => short(1e6 * seconds)),
  ];
  const sum: Row = {
    name: 'all',
    launches: launches.length,
    weights: total(row => row.weights),
    cache: total(row => row.cache),
    activations: total(row => row.activations),
    flops: total(row => row.flops),
    seconds: GPUS.map((_, i) => total(row => row.seconds[i]!)),
  };
  const units = (row: Row) => (row.flops === 0 ? '' : unitOf(code.mixes.get(row.name)!));
  const head = ['kernel', 'launches', 'weights MB', 'cache MB', 'activations MB', 'share', 'FLOP/byte', 'by'];
  const rates = GPUS.map(({ name }, i) => `${name} ${short(tokens / sum.seconds[i]!)}`).join(', ');
  return `${table(
    [...head, ...GPUS.map(({ name }) => `${name} µs`)],
    [...rows.map(row => cells(row, units(row))), cells(sum, '')],
  )}\n\nTokens a second, at most: ${rates}.`;
}

export function resourceTable(launches: readonly Counted[], code: Code): string {
  const archs = Object.keys(MULTIPROCESSORS) as Arch[];
  const seen = new Map(
    launches.map(({ name, threads, shared }) => [`${name} ${threads}`, { name, threads, shared }]),
  );
  const rows = [...seen.values()].sort((a, b) =>
    a.name < b.name ? -1 : a.name > b.name ? 1 : a.threads - b.threads,
  );
  return table(
    [
      'kernel',
      'threads',
      'dynamic shared',
      ...archs.flatMap(arch => [`${arch} registers`, 'shared', 'blocks', 'warps of 64']),
    ],
    rows.map(({ name, threads, shared: dynamic }) => [
      `\`${name}\``,
      String(threads),
      String(dynamic),
      ...archs.flatMap(arch => {
        const { registers, shared } = code.resources.get(name)![arch]!;
        const blocks = blocksPerMultiprocessor(arch, threads, registers, shared + dynamic);
        return [registers, shared, blocks, (blocks * threads) / 32].map(String);
      }),
    ]),
  );
}

export function mixTable(names: readonly string[], { mixes }: Code): string {
  const widths = [1, 2, 4, 8, 16];
  return table(
    [
      'kernel',
      ...widths.map(bytes => `ld ${bytes}`),
      'st',
      'cp.async',
      'ldmatrix',
      'mma',
      'dp4a',
      'fma',
      'shfl',
      'bar.sync',
    ],
    names.map(name => {
      const { loads, stores, copies, matrices, mma, dp4a, fma, shuffles, barriers } = mixes.get(name)!;
      const counts = [
        ...widths.map(bytes => loads[bytes] ?? 0),
        stores,
        copies,
        matrices,
        mma,
        dp4a,
        fma,
        shuffles,
        barriers,
      ];
      return [`\`${name}\``, ...counts.map(String)];
    }),
  );
}
