import { createInterface, type Interface } from 'node:readline';
import { stdinLines } from './terminal.ts';

export type LineEvent =
  | { kind: 'line'; text: string }
  /** Ctrl-C; `isTyping` if the line had text, which is given up. */
  | { kind: 'interrupt'; isTyping: boolean }
  | { kind: 'end' };

/** Where a chat's lines come from. */
export interface LineSource {
  next: (prompt: string) => Promise<LineEvent>;
  close: () => void;
}

/** Lines of a pipe or file: no prompts, no line editing. */
export function pipedLines(signal: AbortSignal): LineSource {
  const lines = flatten(stdinLines(signal));
  return {
    next: async () => {
      const step = await lines.next();
      return step.done ? { kind: 'end' } : { kind: 'line', text: step.value.replace(/\r$/, '') };
    },
    close: () => void lines.return(undefined),
  };
}

async function* flatten(batches: AsyncGenerator<string[]>): AsyncGenerator<string, void> {
  for await (const batch of batches) yield* batch;
}

/**
 * Lines edited on a terminal. Outside of `next` the terminal is in its normal mode: Ctrl-C is then a signal to the
 * program, and what is typed during an answer waits for the next prompt.
 */
export function typedLines(signal: AbortSignal): LineSource {
  const { stdin, stdout } = process;
  const editor = createInterface({ input: stdin, output: stdout, historySize: 1000 });
  // A pasted text brings several lines at once.
  const waiting: LineEvent[] = [];
  let deliver: ((event: LineEvent) => void) | undefined;
  const arrived = (event: LineEvent) => {
    if (deliver) deliver(event);
    else waiting.push(event);
    deliver = undefined;
  };
  const end = () => arrived({ kind: 'end' });
  editor.on('line', text => arrived({ kind: 'line', text }));
  editor.on('SIGINT', () => arrived({ kind: 'interrupt', isTyping: giveUpLine(editor) }));
  editor.on('close', end);
  signal.addEventListener('abort', end);
  const listen = (listening: boolean) => {
    if (listening) editor.resume();
    else editor.pause();
    stdin.setRawMode(listening);
  };
  listen(false);
  return {
    next: async prompt => {
      const early = waiting.shift();
      if (early) return early;
      listen(true);
      editor.setPrompt(prompt);
      // Keeps what of a pasted text stands on the line already.
      editor.prompt(true);
      const event = await new Promise<LineEvent>(resolve => {
        deliver = resolve;
      });
      // A closed editor has restored the terminal already, on the prompt's line, and may not be paused.
      if (event.kind === 'end') stdout.write('\n');
      else listen(false);
      return event;
    },
    close: () => {
      signal.removeEventListener('abort', end);
      editor.close();
    },
  };
}

/** Empties the line being edited and says whether it had text. */
function giveUpLine(editor: Interface): boolean {
  const isTyping = editor.line !== '';
  editor.write(null, { ctrl: true, name: 'e' });
  editor.write(null, { ctrl: true, name: 'u' });
  process.stdout.write('\n');
  return isTyping;
}
