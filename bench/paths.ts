import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of the project's package.json, wherever the compiled file lies below it. */
export function projectFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}

/** For models and other files that can be made again; git ignores it. */
export const cacheFolder = (): string => join(projectFolder(), '.cache');

/** The rivals' own package, with pages/ and, once installed, node_modules/. */
export const rivalsFolder = (): string => join(projectFolder(), 'bench', 'rivals');

/** A file inside an installed rival, or undefined if it is not installed. */
export function rivalFile(...parts: string[]): string | undefined {
  const path = join(rivalsFolder(), 'node_modules', ...parts);
  return existsSync(path) ? path : undefined;
}

/** The version in the project's package.json. */
export function criaVersion(): string {
  return (JSON.parse(readFileSync(join(projectFolder(), 'package.json'), 'utf8')) as { version: string })
    .version;
}
