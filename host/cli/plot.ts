import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { plotHtml, plotRun, plotSvg } from '../train/index.ts';
import { type Command, command, text, UsageError } from './args.ts';
import { writeNewFile } from './new-file.ts';
import { readText } from './terminal.ts';

export const plot: Command = command({
  name: 'cria plot',
  positionals: ['RUNS...'],
  summary: 'Draw the loss curves and learning rates of runs',
  notes: 'RUNS are folders of runs, or their logs. --out is written as its name ends: .svg, or .html.',
  options: { out: text('FILE', 'where to write; default loss.svg') },
  run: async ({ out = 'loss.svg' }, paths) => {
    if (!/\.(svg|html)$/.test(out)) throw new UsageError(`--out: expected FILE.svg or FILE.html, got ${out}`);
    const runs = await Promise.all(
      paths.map(async path => {
        const folder = (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
        const log = folder ? join(path, 'log.jsonl') : path;
        const run = plotRun(basename(folder ? path : dirname(path)), await readText(log));
        if (run.losses.length === 0) throw new UsageError(`${log}: expected the log of a run, got no steps`);
        return run;
      }),
    );
    const drawn = new TextEncoder().encode(out.endsWith('.svg') ? plotSvg(runs) : plotHtml(runs));
    await writeNewFile(out, paths[0]!, write => write(drawn));
  },
});
