import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** Proportional set size of all processes below this one, such as a whole browser, in bytes. Linux only. */
export function familyMemory(): number | undefined {
  if (!existsSync('/proc/self/smaps_rollup')) return undefined;
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 4).split(' ')[0]);
      children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
    } catch {} // it ended meanwhile
  }
  let bytes = 0;
  const below = (pid: number): void => {
    for (const child of children.get(pid) ?? []) {
      try {
        const rollup = readFileSync(`/proc/${child}/smaps_rollup`, 'utf8');
        bytes += 1024 * Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0);
      } catch {}
      below(child);
    }
  };
  below(process.pid);
  return bytes;
}
