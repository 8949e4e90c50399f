import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { type Command, command, flag, integer, only, text, UsageError, type Values } from './args.ts';
import type { Interrupts } from './interrupts.ts';
import { generationOptions, modelOptions, verboseOption } from './options.ts';
import { doneLine, verboseText } from './report.ts';
import { consume, withModel } from './session.ts';
import { generated, jsonLine, readStdin, say, write } from './terminal.ts';

const logprobsOption = {
  logprobs: integer(
    'N',
    { min: 0, max: 100 },
    'with --json: the log-probability of each token and of the N best',
  ),
};
const options = {
  json: flag('one JSON object a line: each token, then how it ended and how long it took'),
  ...generationOptions,
  ...logprobsOption,
  ...modelOptions,
  verbose: verboseOption,
};

async function generate(
  path: string,
  prompt: string | undefined,
  values: Values<typeof options>,
  interrupts: Interrupts,
): Promise<void> {
  if (values.logprobs !== undefined && !values.json) {
    throw new UsageError('--logprobs needs --json: plain text has no place for numbers');
  }
  const { signal } = interrupts;
  const given = prompt ?? (await readStdin(signal));
  const chosen = only({ ...generationOptions, ...logprobsOption }, values);
  await withModel(path, values, interrupts, async model => {
    try {
      const completion = await consume(model.tokens(given, { ...chosen, signal }), event =>
        write(values.json ? jsonLine(event) : generated(event.piece)),
      );
      if (values.json) await write(jsonLine(doneLine(completion)));
      if (values.verbose) say(`${process.stdout.isTTY ? '\n' : ''}${verboseText(completion)}`);
    } finally {
      // The shell's prompt should not stand at the end of the text; a program gets the text alone.
      if (process.stdout.isTTY && !values.json && !values.verbose) await write('\n');
    }
  });
}

export const run: Command = command({
  name: 'cria run',
  positionals: ['MODEL', '[PROMPT]'],
  summary: 'Continue a text',
  notes: 'Without PROMPT the text is read from stdin, its last newline included. `--` ends the options.',
  options,
  run: (values, [path, prompt], interrupts) => generate(path!, prompt, values, interrupts),
});

/** Where the model lies that ships with the package. */
function shipped(): string {
  const root = dirname(createRequire(import.meta.url).resolve('cria/package.json'));
  return join(root, 'models', 'stories.gguf');
}

/** `npm start`: `run` for somebody who has just cloned the project. */
export const start: Command = command({
  name: 'npm start --',
  positionals: ['[PROMPT]'],
  summary: 'Continue a story, or a text with a model of your own',
  options: {
    model: text('FILE', 'the model; default: the environment variable CRIA_MODEL, or the one that ships'),
    ...options,
  },
  run: ({ model, ...values }, [prompt], interrupts) =>
    generate(model ?? (process.env['CRIA_MODEL'] || shipped()), prompt, values, interrupts),
});
