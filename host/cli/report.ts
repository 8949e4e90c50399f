import type { Completion, Timing } from '../index.ts';
import { bytes } from './format.ts';

/** The largest memory of the process so far. */
function peakMemoryBytes(): number {
  return process.resourceUsage().maxRSS * 1024;
}

/** The last line of `run --json`. */
export function doneLine({ done, usage, timing }: Completion): {
  done: Completion['done'];
  usage: Completion['usage'];
  timing: Timing & { peakMemoryBytes: number };
} {
  return { done, usage, timing: { ...timing, peakMemoryBytes: peakMemoryBytes() } };
}

/** What `--verbose` says. */
export function verboseText({ done, usage, timing, seed }: Completion): string {
  const phase = (name: string, tokens: number, ms: number, rate: number) =>
    `${name.padEnd(12)} ${tokens} tokens in ${ms.toFixed(0)} ms, ${rate.toFixed(1)} tok/s`;
  return [
    `load         ${timing.loadMs.toFixed(0)} ms`,
    phase('prompt', usage.promptTokens, timing.promptMs, timing.promptTokensPerSecond),
    phase('decode', usage.completionTokens, timing.decodeMs, timing.decodeTokensPerSecond),
    `first token  ${timing.timeToFirstTokenMs.toFixed(0)} ms`,
    `peak memory  ${bytes(peakMemoryBytes())}`,
    `seed         ${seed}`,
    `end          ${done}`,
  ].join('\n');
}
