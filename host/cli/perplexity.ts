import { type Command, command, flag, integer, only } from './args.ts';
import { COUNT, modelOptions } from './options.ts';
import { Progress } from './progress.ts';
import { withModel } from './session.ts';
import { jsonLine, readStdin, readText, write } from './terminal.ts';

const windowOptions = {
  window: integer(
    'N',
    { ...COUNT, min: 1 },
    'inputs per window, each with an empty cache; default: the context',
  ),
  windows: integer('N', { ...COUNT, min: 1 }, 'stop after N windows; default: all of the text'),
};

export const perplexity: Command = command({
  name: 'cria perplexity',
  positionals: ['MODEL', 'FILE'],
  summary: 'Measure how well a model predicts a text',
  notes: 'FILE is UTF-8 text; - is stdin.',
  options: { ...windowOptions, json: flag('print one JSON object'), ...modelOptions },
  run: async (values, [path, file], interrupts) => {
    const { signal } = interrupts;
    const text = await (file === '-' ? readStdin(signal) : readText(file!, signal));
    await withModel(path!, values, interrupts, async model => {
      const progress = new Progress();
      const onProgress = (at: { windows: number; total: number; perplexity: number }) =>
        progress.show(`window ${at.windows} of ${at.total}, perplexity ${at.perplexity.toFixed(4)}`);
      const result = await model
        .perplexity(text, { ...only(windowOptions, values), signal, onProgress })
        .finally(() => progress.clear());
      if (values.json) return write(jsonLine(result));
      const counts = `${result.tokens} tokens in ${result.windows} windows`;
      return write(`perplexity ${result.perplexity.toFixed(4)}, nll ${result.nll.toFixed(4)}, ${counts}\n`);
    });
  },
});
