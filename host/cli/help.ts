import { type Command, flagOf } from './args.ts';

export function usageLine({ name, positionals }: Command): string {
  return `Usage: ${name} ${[...positionals, '[options]'].join(' ')}`;
}

export function commandHelp(command: Command): string {
  const rows = Object.entries(command.options).map(([key, { value, help }]): [string, string] => [
    value === undefined ? flagOf(key) : `${flagOf(key)} ${value}`,
    help,
  ]);
  rows.push(['--help', 'print this']);
  const notes = command.notes === undefined ? '' : `\n${command.notes}\n`;
  return `${usageLine(command)}\n\n${command.summary}\n${notes}\nOptions:\n${columns(rows)}`;
}

export function programHelp(commands: Command[]): string {
  const rows = commands.map((command): [string, string] => [
    [command.name, ...command.positionals].join(' '),
    command.summary,
  ]);
  rows.push(['cria help COMMAND', 'The options of a command'], ['cria --version', 'The version']);
  return `Usage: cria COMMAND [arguments] [options]\n\nRuns Llama 2 models: GGUF and llama2.c files.\n\n${columns(rows)}`;
}

function columns(rows: [string, string][]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}\n`).join('');
}
