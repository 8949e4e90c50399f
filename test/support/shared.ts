// Some fixtures are too large, or licensed too narrowly, to live in the repository. They lie in `../shared`, beside
// the project root. Tests that need them run where the folder exists and say aloud that they were skipped elsewhere.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of package.json: compiled tests run from dist/test, at whatever depth. */
export const projectRoot: string = findRoot(dirname(fileURLToPath(import.meta.url)));

/** How many tests of this process were registered as skips for want of `../shared`. */
export const skippedForWantOfShared: { count: number } = { count: 0 };

function findRoot(folder: string): string {
  if (existsSync(join(folder, 'package.json'))) return folder;
  const parent = dirname(folder);
  if (parent === folder) throw new Error('no package.json above the tests: run them from inside the project');
  return findRoot(parent);
}

/** The absolute path of a file or folder under `../shared` (`data/models/stories260K.gguf`), if it is there. */
export function shared(path: string): string | undefined {
  const file = join(projectRoot, '..', 'shared', path);
  return existsSync(file) ? file : undefined;
}

/** As `shared`, for tests that know the folder to be there: a file that is missing is then a failure, not a skip. */
export function sharedFile(path: string): string {
  const file = shared(path);
  if (file === undefined) throw new Error(`../shared is there but holds no ${path}`);
  return file;
}

/** What of a uvu suite is used here; `test` and every `suite()` have it. */
interface Registrar {
  (name: string, run: () => Promise<void> | void): void;
  skip(name?: string, run?: () => Promise<void> | void): void;
}

/**
 * Registers a test that reads `../shared`. Where the folder is absent it registers a skip instead, counts it, and
 * prints `skipped: <name> (../shared is not there)`, which the test runner adds up.
 */
export function sharedTest(test: Registrar, name: string, run: () => Promise<void> | void): void {
  if (shared('.') !== undefined) {
    test(name, run);
    return;
  }
  skippedForWantOfShared.count++;
  console.log(`skipped: ${name} (../shared is not there)`);
  test.skip(name, run);
}
