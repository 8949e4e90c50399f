// What training does with files under Node, Deno and Bun.

import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { FileError } from '../errors.ts';
import { names } from './node.ts';
import type { Files } from './runtime.ts';

export const files: Files = {
  open: path => names.open(path),
  within: join,
  replace: replaceFile,
  names: namesIn,
  remove: path => unlink(path).catch(cause => Promise.reject(unwritable(path, cause))),
};

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (cause) {
    const { code = String(cause) } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return [];
    throw new FileError('file-unreadable', {
      where: JSON.stringify(folder),
      expected: 'a folder that can be read',
      got: code,
      hint: 'Check the path and its permissions.',
      cause,
    });
  }
}

/**
 * Writes a file whole or not at all, the folders that it lies in included: into a temporary file beside it, which takes
 * its name once its bytes are on the disk. When this has settled, so is the name.
 *
 * @throws FileError 'file-unwritable', or what `work` throws; no temporary file is left then
 */
async function replaceFile(
  path: string,
  work: (write: (bytes: Uint8Array) => Promise<void>) => Promise<void>,
): Promise<void> {
  const typed = <T>(promise: Promise<T>): Promise<T> =>
    promise.catch(cause => Promise.reject(unwritable(path, cause)));
  const folder = dirname(path);
  await typed(mkdir(folder, { recursive: true }));
  const temporary = join(folder, `.${randomUUID()}.tmp`);
  const file = await typed(open(temporary, 'wx'));
  try {
    await work(async bytes => {
      for (let done = 0; done < bytes.length; ) {
        done += (await typed(file.write(bytes, done))).bytesWritten;
      }
    });
    await typed(file.sync());
    await file.close();
    await typed(rename(temporary, path));
  } catch (error) {
    await file.close().catch(() => {});
    await unlink(temporary).catch(() => {});
    throw error;
  }
  // some systems cannot open a folder; the file is whole there all the same
  const opened = await open(folder, 'r').catch(() => undefined);
  await opened?.sync().catch(() => {});
  await opened?.close();
}

function unwritable(path: string, cause: unknown): FileError {
  const { code = String(cause) } = cause as NodeJS.ErrnoException;
  return new FileError('file-unwritable', {
    where: JSON.stringify(path),
    expected: 'a file that can be written or replaced',
    got: code,
    hint: 'Check the path, its permissions and the space on the disk.',
    cause,
  });
}
