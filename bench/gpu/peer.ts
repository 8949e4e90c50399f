import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pythonWith } from '../../scripts/python.ts';
import { projectFolder } from '../paths.ts';
import type { Line, Session } from './session.ts';

/**
 * Runs pytorch.py and prints its lines; says so where there is no Python with torch.
 * @param share of what the session has left: it is ended then
 * @param args its options
 * @returns the most that its products of large matrices reached, in 10¹² operations a second
 */
export async function byPyTorch(
  session: Session,
  share: number,
  args: readonly string[],
): Promise<number | undefined> {
  let matmul: number | undefined;
  const seconds = share * session.left;
  await run(session, seconds, ['--minutes', String(seconds / 60), ...args], line => {
    session.print(line);
    const { what, tflops } = line as { what?: string; tflops?: number };
    if (what === 'matmul' && tflops !== undefined) matmul = Math.max(matmul ?? 0, tflops);
  });
  return matmul;
}

async function run(
  session: Session,
  seconds: number,
  args: readonly string[],
  take: (line: Line) => void,
): Promise<void> {
  if (seconds === 0) return session.print({ bench: 'pytorch', skipped: 'no time left' });
  const python = pythonWith('torch');
  if (python === undefined) return session.print({ bench: 'pytorch', skipped: 'no Python with torch' });
  const script = join(projectFolder(), 'bench', 'gpu', 'pytorch.py');
  const child = spawn(python, [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise(resolve => child.on('close', resolve));
  const killed = setTimeout(() => child.kill(), 1000 * seconds);
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', text => (complaint = (complaint + text).slice(-500)));
  for await (const line of createInterface(child.stdout)) {
    if (line.startsWith('{')) take(JSON.parse(line) as Line);
  }
  const code = await ended;
  clearTimeout(killed);
  if (child.signalCode) session.print({ bench: 'pytorch', skipped: 'no time left' });
  else if (code !== 0) session.print({ bench: 'pytorch', failed: complaint.trim() || `exit code ${code}` });
}
