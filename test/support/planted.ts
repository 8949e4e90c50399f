/** Compiles kernels with a bug planted in their source. The sources on disk stay as they are. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import asc from 'assemblyscript/asc';
import { projectRoot } from './shared.ts';

export interface Planted {
  op: string;
  /** A file of assembly/, and what in it is replaced wherever it stands. */
  file: string;
  replace: string;
  by: string;
}

const ENTRY = 'assembly/planted.ts';

/** The one kernel as a module, unoptimised. */
export async function compile({ op, file, replace, by }: Planted): Promise<Uint8Array> {
  const sources: Record<string, string> = {
    [ENTRY]: `export { ${op}, heapBase } from './index';`,
    [`assembly/${file}`]: plant(file, replace, by),
  };
  let binary: Uint8Array | undefined;
  const options = ['--runtime', 'stub', '--enable', 'simd', '--noAssert', '--use', 'abort=', '--debug'];
  const { error, stderr } = await asc.main([ENTRY, ...options, '--outFile', 'planted.wasm'], {
    readFile: name => sources[name] ?? source(name),
    writeFile: (_, contents) => {
      if (typeof contents !== 'string') binary = contents;
    },
  });
  if (error || !binary) throw new Error(`${op} with "${by}" does not compile:\n${stderr}`);
  return binary;
}

function plant(file: string, replace: string, by: string): string {
  const text = source(`assembly/${file}`);
  if (!text?.includes(replace))
    throw new Error(`assembly/${file} has no "${replace}" any more: plant it anew`);
  return text.replaceAll(replace, by);
}

/** Only kernels: asconfig.json, which the compiler looks for too, belongs to the real builds. */
function source(name: string): string | null {
  if (!name.startsWith('assembly/')) return null;
  try {
    return readFileSync(join(projectRoot, name), 'utf8');
  } catch {
    return null;
  }
}
