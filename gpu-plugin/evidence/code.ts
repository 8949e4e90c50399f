// What the compilers say of kernels: ptxas's report, and the instructions of the PTX.

import type { Arch, Unit } from './machine.ts';

export interface Resources {
  registers: number;
  /** Bytes of shared memory that the code itself declares. */
  shared: number;
}

/** @param report what `ptxas -v` printed */
export function resourcesOf(report: string): Map<string, Partial<Record<Arch, Resources>>> {
  const all = new Map<string, Partial<Record<Arch, Resources>>>();
  for (const part of report.split('Compiling entry function ').slice(1)) {
    const [, name, arch] = /^'(\w+)' for '(\w+)'/.exec(part)!;
    const number = (pattern: RegExp) => Number(pattern.exec(part)?.[1] ?? 0);
    const own = { registers: number(/Used (\d+) registers/), shared: number(/(\d+) bytes smem/) };
    all.set(name!, { ...all.get(name!), [arch as Arch]: own });
  }
  return all;
}

/** Instructions as they stand in the code, not as often as they run. */
export interface Mix {
  /** Loads of global memory, by bytes. */
  loads: Record<number, number>;
  stores: number;
  copies: number;
  matrices: number;
  mma: number;
  mmaBytes: number;
  dp4a: number;
  fma: number;
  shuffles: number;
  barriers: number;
}

const LOAD = /\bld\.global(?:\.\w+)*?(?:\.v(\d))?\.[a-z]+(\d+)\b/g;

export function mixesOf(ptx: string): Map<string, Mix> {
  const mixes = new Map<string, Mix>();
  for (const part of ptx.split('.visible .entry ').slice(1)) {
    const name = /^\w+/.exec(part)![0];
    const code = part.slice(0, part.indexOf('\n}'));
    const count = (pattern: RegExp) => code.match(pattern)?.length ?? 0;
    const loads: Record<number, number> = {};
    for (const [, vector = '1', bits] of code.matchAll(LOAD)) {
      const bytes = (Number(vector) * Number(bits)) / 8;
      loads[bytes] = (loads[bytes] ?? 0) + 1;
    }
    mixes.set(name, {
      loads,
      stores: count(/\bst\.global\b/g),
      copies: count(/\bcp\.async\.c[ag]\b/g),
      matrices: count(/\bldmatrix\b/g),
      mma: count(/\bmma\.sync\b/g),
      mmaBytes: count(/\bmma\.sync\S*\.s8\b/g),
      dp4a: count(/\bdp4a\b/g),
      fma: count(/\bfma\.rn\.f32\b/g),
      shuffles: count(/\bshfl\.sync\b/g),
      barriers: count(/\bbar\.sync\b/g),
    });
  }
  return mixes;
}

export function unitOf({ mma, mmaBytes, dp4a }: Mix): Unit {
  if (mmaBytes > 0) return 'mma s8';
  if (mma > 0) return 'mma';
  return dp4a > 0 ? 'dp4a' : 'fma';
}
