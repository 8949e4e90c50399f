import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface Running {
  child: ChildProcess;
  /** Resolves once `text` has come out of either stream; rejects if the program ends without it. */
  until: (text: string) => Promise<void>;
  ended: Promise<Ended>;
}

const MAIN = fileURLToPath(new URL('../../lib/cli.js', import.meta.url));
export const START: string = fileURLToPath(new URL('../../lib/start.js', import.meta.url));

/** Starts the built command. Its stdin stays open; `output` is a file for its stdout instead of a pipe. */
export function start(
  args: string[],
  env: Record<string, string> = {},
  script: string = MAIN,
  output: number | 'pipe' = 'pipe',
): Running {
  const child = spawn(process.execPath, [script, ...args], {
    env: { ...process.env, ...env },
    stdio: ['pipe', output, 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout?.setEncoding('utf8').on('data', text => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', text => {
    stderr += text;
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', code => resolve({ code, stdout, stderr }));
  });
  const until = (text: string) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        if (stdout.includes(text) || stderr.includes(text)) resolve();
      };
      child.stdout?.on('data', look);
      child.stderr?.on('data', look);
      child.on('close', () => reject(new Error(`ended without ${JSON.stringify(text)}: ${stdout}${stderr}`)));
      look();
    });
  return { child, until, ended };
}

/** Runs the built command to its end. */
export function cria(args: string[], input: string | Uint8Array = ''): Promise<Ended> {
  const { child, ended } = start(args);
  // A program that does not read its stdin may be gone before all is written.
  child.stdin!.on('error', () => {});
  child.stdin!.end(input);
  return ended;
}

/** A folder for the files of one test run, removed at its end. */
export function temporaryFolder(): { file: (name: string, content: string | Uint8Array) => string } {
  const folder = mkdtempSync(join(tmpdir(), 'cria-cli-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  return {
    file: (name, content) => {
      const path = join(folder, name);
      writeFileSync(path, content);
      return path;
    },
  };
}
