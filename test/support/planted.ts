/** Compiles kernels with a bug planted in their source. The sources on disk stay as they are. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import asc from 'assemblyscript/asc';
import type { Build } from './forms.ts';
import { projectRoot } from './shared.ts';

export interface Planted {
  /** A file of assembly/, and what in it is replaced wherever it stands. */
  file: string;
  replace: string;
  by: string;
}

const ENTRY = 'assembly/planted.ts';

/** These kernels as a module, unoptimised. */
export async function compile(
  { file, replace, by }: Planted,
  ops: string[],
  build: Build = 'simd',
): Promise<Uint8Array<ArrayBuffer>> {
  const sources: Record<string, string> = {
    [ENTRY]: `export { ${ops}, heapBase } from './train';`,
    [`assembly/${file}`]: plant(file, replace, by),
  };
  let binary: Uint8Array<ArrayBuffer> | undefined;
  const options = ['--runtime', 'stub', '--enable', 'simd', '--noAssert', '--use', 'abort=', '--debug'];
  if (build === 'relaxed') options.push('--enable', 'relaxed-simd');
  const { error, stderr } = await asc.main([ENTRY, ...options, '--outFile', 'planted.wasm'], {
    readFile: name => sources[name] ?? source(name),
    writeFile: (_, contents) => {
      if (typeof contents !== 'string') binary = Uint8Array.from(contents);
    },
  });
  if (error || !binary) throw new Error(`${ops} with "${by}" does not compile:\n${stderr}`);
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
