/** What a run logged, as `cria plot` draws it. */
export interface PlotRun {
  name: string;
  /** Loss of every step that was logged, by step. */
  losses: readonly Point[];
  validation: readonly Point[];
  /** Learning rates. */
  rates: readonly Point[];
}

export type Point = readonly [step: number, value: number];

/** Units of the drawing: on a phone one is less than a pixel, and letters can still be read. */
const WIDTH = 480;
const MARGIN = { left: 64, right: 16, top: 24, bottom: 36 };
/** Points that a curve is drawn of. */
const MOST_POINTS = 400;

/** Colours that are told apart on white and on black, by people who see red and green alike too (Okabe and Ito 2008). */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9'];

/** The lines of a `log.jsonl` that can be drawn; a torn last line is none. */
export function plotRun(name: string, log: string): PlotRun {
  const run = { name, losses: [] as Point[], validation: [] as Point[], rates: [] as Point[] };
  for (const line of log.split('\n')) {
    const { kind, step, loss, learningRate } = parsed(line);
    if (typeof step !== 'number') continue;
    if (kind === 'step' && typeof loss === 'number') run.losses.push([step, loss]);
    if (kind === 'step' && typeof learningRate === 'number') run.rates.push([step, learningRate]);
    if (kind === 'validation' && typeof loss === 'number') run.validation.push([step, loss]);
  }
  return run;
}

function parsed(line: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(line));
  } catch {
    return {};
  }
}

/** Loss curves and learning rates as one SVG that needs nothing else; it follows the reader's light or dark. */
export function plotSvg(runs: readonly PlotRun[]): string {
  const legend = 20 * runs.length + 16;
  const [lossHeight, rateHeight] = [320, 160];
  const height = legend + lossHeight + rateHeight;
  const keys = runs.map(({ name, validation }, i) => {
    const last = validation.at(-1)?.[1];
    const label = `${name}${last === undefined ? '' : `, validation ${last.toFixed(4)}`}`;
    const y = 20 * i + 18;
    return (
      `<line x1="${MARGIN.left}" x2="${MARGIN.left + 24}" y1="${y}" y2="${y}" stroke="${colour(i)}" stroke-width="3"/>` +
      `<text x="${MARGIN.left + 32}" y="${y + 4}">${escaped(label)}</text>`
    );
  });
  const losses = runs.flatMap((run, i) => [
    { points: smoothed(run.losses), colour: colour(i), style: run.validation.length > 0 ? 'thin' : 'line' },
    { points: run.validation, colour: colour(i), style: 'dots' },
  ]);
  const rates = runs.map((run, i) => ({
    points: smoothed(run.rates),
    colour: colour(i),
    style: 'line',
  }));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif" font-size="13" role="img">
<title>${escaped(`Training of ${runs.map(({ name }) => name).join(', ')}`)}</title>
<style>
  svg { --ink: #222; --faint: #ddd; background: #fff; max-width: 100%; height: auto }
  text { fill: var(--ink) } .grid { stroke: var(--faint) } path { fill: none; stroke-linejoin: round; stroke-linecap: round }
  .line { stroke-width: 2 } .thin { stroke-width: 1; opacity: .55 } .dots { stroke-width: 4 }
  @media (prefers-color-scheme: dark) { svg { --ink: #eee; --faint: #444; background: #111 } }
</style>
${keys.join('\n')}
${panel(losses, legend, lossHeight, 'loss, nats a token (thick: validation)')}
${panel(rates, legend + lossHeight, rateHeight, 'learning rate')}
</svg>
`;
}

/** A page around a drawing, for a browser. */
export function plotHtml(runs: readonly PlotRun[]): string {
  const style = ':root { color-scheme: light dark } body { margin: 0 } svg { display: block; margin: auto }';
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Training</title><style>${style}</style>
${plotSvg(runs)}</html>
`;
}

interface Curve {
  points: readonly Point[];
  colour: string;
  style: string;
}

function panel(curves: readonly Curve[], top: number, height: number, title: string): string {
  const all = curves.flatMap(({ points }) => points);
  if (all.length === 0) return '';
  const steps = all.map(([step]) => step);
  const values = all.map(([, value]) => value);
  const x = axis(0, largest(steps), MARGIN.left, WIDTH - MARGIN.right);
  const low = -largest(values.map(value => -value));
  const y = axis(low, largest(values), top + height - MARGIN.bottom, top + MARGIN.top);
  const grid = y.ticks.map(
    value =>
      `<line class="grid" x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${y.at(value)}" y2="${y.at(value)}"/>` +
      `<text x="${MARGIN.left - 6}" y="${y.at(value) + 4}" text-anchor="end">${label(value)}</text>`,
  );
  const below = x.ticks.map(
    value =>
      `<text x="${x.at(value)}" y="${top + height - MARGIN.bottom + 18}" text-anchor="middle">${label(value)}</text>`,
  );
  const paths = curves.map(({ points, colour, style }) => {
    // of one point a line without length, which is drawn as a dot
    const d = points.map(([step, value], i) => {
      const at = `${x.at(step)} ${y.at(value)}`;
      return i === 0 ? `M${at}h0` : `L${at}`;
    });
    return `<path class="${style}" stroke="${colour}" d="${d.join('')}"/>`;
  });
  const heading = `<text x="${MARGIN.left}" y="${top + 12}" font-weight="600">${title}</text>`;
  return [heading, ...grid, ...below, ...paths].join('\n');
}

interface Axis {
  at(value: number): number;
  ticks: number[];
}

function axis(low: number, high: number, from: number, to: number): Axis {
  const range = high - low || Math.abs(high) || 1;
  // 1, 2 or 5 times a power of ten, for about five ticks
  const rough = range / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find(factor => factor * power >= rough) ?? 10);
  const first = Math.ceil(low / step - 1e-9);
  const count = Math.floor((low + range) / step + 1e-9) - first + 1;
  return {
    at: value => Number((from + ((value - low) / range) * (to - from)).toFixed(1)),
    ticks: Array.from({ length: count }, (_, i) => (first + i) * step),
  };
}

/** Means of as many stretches as a curve has points. */
function smoothed(points: readonly Point[]): Point[] {
  const together = Math.ceil(points.length / MOST_POINTS);
  return Array.from({ length: Math.ceil(points.length / together) || 0 }, (_, i) => {
    const some = points.slice(i * together, (i + 1) * together);
    return [some.at(-1)![0], some.reduce((sum, [, value]) => sum + value, 0) / some.length] as const;
  });
}

const largest = (values: readonly number[]): number =>
  values.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
const colour = (run: number): string => COLOURS[run % COLOURS.length]!;
const label = (value: number): string => String(Number(value.toPrecision(3)));

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, character => `&#${character.charCodeAt(0)};`);
}
