import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Of all kernels, which a record of a GPU names so that it speaks of no others. @param folder gpu-plugin/kernels */
export function kernelsHash(folder: string): string {
  const hash = createHash('sha256');
  const sources = readdirSync(folder).filter(name => /\.cuh?$/.test(name));
  for (const name of sources.sort()) hash.update(`${name}\n`).update(readFileSync(join(folder, name)));
  return hash.digest('hex');
}
