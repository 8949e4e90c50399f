import { statSync } from 'node:fs';
import type { Machine } from './machine.ts';
import { makeModel, parseName } from './make-model.ts';
import type { Report } from './protocol.ts';
import { bytesPerToken, CONTEXT, cacheBytes, promptMacs } from './synthetic.ts';
import { recordedFigures, SYSTEMS, type System, weightBytes } from './systems.ts';

/** What the machine can do at most, with one core and with all: GB/s read, 10⁹ integer multiply-adds/s. */
export interface Limits {
  one: { read: number; macs: number };
  all: { read: number; macs: number };
}

/** One system at one model and number of threads. */
export interface Row {
  system: string;
  model: string;
  threads: number;
  /** Whether it was validated, or why it was not timed. */
  status: string;
  report: Report | undefined;
  /** The machine's load average when the row began: what else was running. */
  load: number;
}

const number = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
const rate = ({ one, all }: { one: number; all: number }): string =>
  `${number(one)} (all cores ${number(all)})`;

export function machineLines(machines: Machine[], browser: string | undefined, load: number): string[] {
  const [first] = machines;
  const lines = [
    `${first!.cpu}, ${first!.cores} cores, ${(first!.memoryBytes / 2 ** 30).toFixed(0)} GiB${browser ? `, ${browser}` : ''}`,
    `integer dot instructions of the processor: ${first!.features.join(' ') || 'unknown or none'}`,
  ];
  for (const { node, read, dot16, dot8 } of machines) {
    const relaxed = dot8 === undefined ? 'none' : rate(dot8);
    lines.push(
      `Node ${node}: reads ${rate(read)} GB/s; 10⁹ multiply-adds/s: i16 ${rate(dot16)}, relaxed ${relaxed}`,
    );
  }
  if (load > 0.5) lines.push(`! load average ${load.toFixed(1)}: other work is running, figures are too low`);
  return lines;
}

/** Pads every column to its widest cell; all but the first and last to the right. */
function align(cells: string[][]): string[] {
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map(row => row[column]!.length)));
  return cells.map(row =>
    row
      .map((cell, i) =>
        i === 0 || i === row.length - 1 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!),
      )
      .join('  ')
      .trimEnd(),
  );
}

/** Megabytes, and how much more they are than the file and the kv cache. */
function memoryCell({ cacheNumber }: System, { model, report }: Row): string {
  const peak = report?.peakMemoryBytes;
  if (peak === undefined) return '-';
  const megabytes = (peak / 1e6).toFixed(0);
  if (cacheNumber === undefined) return `${megabytes}      `;
  const needed = statSync(makeModel(model)).size + cacheBytes(parseName(model).shape, CONTEXT, cacheNumber);
  return `${megabytes} ${`+${(100 * (peak / needed - 1)).toFixed(0)}%`.padStart(5)}`;
}

/** The table of one model. A share is of what the machine's memory, or its integer units, would allow at most. */
export function modelLines(model: string, rows: Row[], limits: Limits): string[] {
  const { shape, type } = parseName(model);
  const lengths = [128, 512];
  const cells = [
    ['', 'threads', 'load s', ...lengths.map(n => `prompt ${n} tok/s`), 'decode tok/s', 'memory MB', ''],
  ];
  const { figures } = recordedFigures();
  for (const row of rows) {
    const system = SYSTEMS.find(({ name }) => name === row.system)!;
    const { report } = row;
    const limit = row.threads === 1 ? limits.one : limits.all;
    const share = (part: number, whole: number): string =>
      `${((100 * part) / whole).toFixed(0)}%`.padStart(4);
    if (report?.decode === undefined) {
      const old = figures.filter(figure => figure.system === row.system && figure.model === model);
      if (old.length === 0) cells.push([system.label, '', '', ...lengths.map(() => ''), '', '', row.status]);
      for (const { threads, prompts, decode, version } of old) {
        const earlier = lengths.map(n => (prompts[n] === undefined ? '-' : `${number(prompts[n])}*    `));
        const status = `${row.status} (* recorded: ${version})`;
        cells.push([system.label, `${threads}`, '', ...earlier, `${number(decode)}*    `, '', status]);
      }
      continue;
    }
    const prompts = lengths.map(n => {
      const figure = report.prompts[n];
      if (figure === undefined) return '-';
      const macs = (figure.median * promptMacs(shape, n)) / n;
      return `${number(figure.median)} ${share(macs / 1e9, limit.macs)}`;
    });
    const { median } = report.decode;
    const bytes = median * weightBytes(system, shape, type);
    const load = (report.loadMs / 1000).toFixed(2);
    const decode = `${number(median)} ${share(bytes / 1e9, limit.read)}`;
    cells.push([
      system.label,
      `${row.threads}`,
      load,
      ...prompts,
      decode,
      memoryCell(system, row),
      row.status,
    ]);
  }
  const megabytes = (bytesPerToken(shape, type) / 1e6).toFixed(1);
  const most = (limits.one.read * 1e9) / bytesPerToken(shape, type);
  return [
    '',
    `${model}: a token reads ${megabytes} MB, so one core's memory allows ${number(most)} tok/s`,
    ...align(cells),
  ];
}
