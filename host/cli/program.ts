import { createRequire } from 'node:module';
import { CriaError } from '../index.ts';
import { type Command, UsageError, wantsHelp } from './args.ts';
import { commandHelp, programHelp, usageLine } from './help.ts';
import { Interrupted, Interrupts } from './interrupts.ts';
import { isClosedPipe, oneLine, write } from './terminal.ts';

const inference = () => import('./inference-commands.ts');
const training = () => import('./training-commands.ts');

/** Loaded when they are needed. */
const commands = new Map<string, () => Promise<Command>>([
  ['run', async () => (await inference()).run],
  ['chat', async () => (await inference()).chat],
  ['show', async () => (await inference()).show],
  ['tokenize', async () => (await inference()).tokenize],
  ['perplexity', async () => (await inference()).perplexity],
  ['split', async () => (await inference()).split],
  ['quantize', async () => (await inference()).quantize],
  ['train', async () => (await training()).train],
  ['export', async () => (await training()).exportModel],
  ['plot', async () => (await training()).plot],
  ['tokenizer train', async () => (await training()).tokenizerTrain],
  ['data report', async () => (await training()).dataReport],
  ['carbon', async () => (await training()).carbon],
]);

const PROGRAM_USAGE = 'Usage: cria COMMAND [arguments] [options]; cria --help lists the commands';

/** Runs the subcommand that `argv` names and gives the exit code. */
export async function program(argv: string[]): Promise<number> {
  const [name, ...rest] = argv;
  const found = find(argv);
  if (found) return execute(await found.load(), found.rest);
  return guarded(PROGRAM_USAGE, async () => {
    if (name === '--version') return write(`${version()}\n`);
    if (name === 'help' || name === '--help' || name === '-h') return write(await help(rest));
    if (name === undefined) throw new UsageError('a command is missing');
    throw unknown(argv);
  });
}

/** The command that arguments begin with; a name may be two words. */
function find(argv: string[]): { load: () => Promise<Command>; rest: string[] } | undefined {
  for (const words of [1, 2]) {
    const load = commands.get(argv.slice(0, words).join(' '));
    if (load && argv.length >= words) return { load, rest: argv.slice(words) };
  }
  return undefined;
}

function unknown([name, second]: string[]): UsageError {
  const longer = [...commands.keys()].filter(known => known.startsWith(`${name} `));
  if (longer.length === 0) return new UsageError(`unknown command ${JSON.stringify(name)}`);
  const got = second === undefined ? 'nothing' : JSON.stringify(second);
  return new UsageError(`${name}: expected ${longer.join(' or ')}, got ${got}`);
}

/** Runs one command and gives the exit code. */
export function execute(command: Command, argv: string[]): Promise<number> {
  return guarded(usageLine(command), interrupts =>
    wantsHelp(argv) ? write(commandHelp(command)) : command.execute(argv, interrupts),
  );
}

async function help(words: string[]): Promise<string> {
  const found = find(words);
  if (found) return commandHelp(await found.load());
  if (words.length === 0) {
    return programHelp(await Promise.all([...commands.values()].map(load => load())));
  }
  throw unknown(words);
}

function version(): string {
  const read = createRequire(import.meta.url);
  return (read('cria/package.json') as { version: string }).version;
}

/** Turns whatever ends `work` into an exit code and at most one line on stderr (two for wrong usage). */
async function guarded(usage: string, work: (interrupts: Interrupts) => Promise<void>): Promise<number> {
  // Failed writes are reported to whoever waits for them; without a listener they would end the process.
  process.stdout.on('error', () => {});
  process.stderr.on('error', () => {});
  const interrupts = new Interrupts();
  try {
    await work(interrupts);
    return 0;
  } catch (error) {
    const { aborted, reason } = interrupts.signal;
    if (aborted && reason instanceof Interrupted) return reason.exitCode;
    if (isClosedPipe(error)) return 0;
    process.stderr.write(`cria: ${oneLine(messageOf(error))}\n`);
    if (!(error instanceof UsageError)) return 1;
    process.stderr.write(`${usage}\n`);
    return 2;
  } finally {
    interrupts.dispose();
  }
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof CriaError) {
    const hint = error.code === 'needs-tokenizer' ? ' Here: --tokenizer FILE.' : '';
    return `${error.message}${hint}`;
  }
  // A bug of ours rather than of the call: the class helps whoever reports it.
  const isBug = error instanceof TypeError || error instanceof ReferenceError;
  return isBug ? `internal error: ${error.name}: ${error.message}` : error.message;
}
