import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { familyMemory } from '../../bench/family-memory.ts';

/** A program under measurement; it runs in a process group of its own. */
export interface Started {
  /** Resolves with the whole of its output when it has ended; rejects if it fails. */
  readonly ended: Promise<string>;
  /** Bytes, the most that was seen: the proportional set size of it and all that it started. 0 if it was not looked at. */
  peak(): number;
  stop(): Promise<void>;
}

/** Looking at a browser's memory takes it, and us, some time. */
const SAMPLE_MS = 500;

/**
 * @param watched whether its memory is looked at, which costs time
 * @param onOutput called with its output, piece by piece
 */
export function start(
  command: string,
  args: string[],
  options: SpawnOptions,
  watched: boolean,
  onOutput: (text: string) => void = () => {},
): Started {
  const child = spawn(command, args, { ...options, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let [output, errors] = ['', ''];
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    onOutput(text);
  });
  child.stderr!.on('data', text => (errors += text));
  let most = 0;
  const look = () => {
    most = Math.max(most, familyMemory() ?? 0);
  };
  const timer = watched ? setInterval(look, SAMPLE_MS) : undefined;
  const closed = new Promise<void>(resolve => {
    child.on('close', () => resolve());
    child.on('error', () => resolve());
  });
  void closed.then(() => clearInterval(timer));
  const ended = new Promise<string>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${command} ended with ${signal ?? `code ${code}`}\n${output}${errors}`));
    });
  });
  ended.catch(() => {}); // whoever waits hears it
  return {
    ended,
    peak: () => most,
    async stop() {
      kill(child);
      await closed;
    },
  };
}

/** The whole group: browsers leave processes behind otherwise. */
function kill(child: ChildProcess): void {
  try {
    process.kill(-child.pid!, 'SIGKILL');
  } catch {} // it has ended
}
