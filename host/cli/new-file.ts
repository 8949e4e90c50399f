import { randomUUID } from 'node:crypto';
import { type FileHandle, open, realpath, rename, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { FileError } from '../index.ts';

/** A file that is written beside the one whose place it will take. */
export interface NewFile {
  write: (bytes: Uint8Array) => Promise<void>;
  /** All is written: puts the bytes on the disk. */
  finish: () => Promise<void>;
  /** Takes its place. */
  publish: () => Promise<void>;
  /** Removes it, unless it has taken its place. */
  discard: () => Promise<void>;
}

/**
 * @param keep a file that is being read, which `path` must not be
 * @throws FileError 'file-unwritable', as its methods do
 */
export async function newFile(path: string, keep: string): Promise<NewFile> {
  // A link stays: the file that it leads to is replaced.
  const target = await realpath(path).catch(() => path);
  await checkReplaceable(path, target, keep);
  const temporary = join(dirname(target), `.${randomUUID()}.tmp`);
  const typed = <T>(work: Promise<T>): Promise<T> =>
    work.catch(cause => Promise.reject(unwritable(path, cause)));
  const file = await typed(open(temporary, 'wx'));
  return {
    write: bytes => writeAll(file, bytes, path),
    finish: async () => {
      await typed(file.sync());
      await file.close();
    },
    publish: () => typed(rename(temporary, target)),
    discard: async () => {
      await file.close().catch(() => {});
      await unlink(temporary).catch(() => {});
    },
  };
}

/**
 * Writes the file `path` whole or not at all. Whatever goes wrong, `path` is as it was and no temporary file is left.
 * @throws FileError 'file-unwritable', or what `work` throws
 */
export async function writeNewFile<T>(
  path: string,
  keep: string,
  work: (write: (bytes: Uint8Array) => Promise<void>) => Promise<T>,
): Promise<T> {
  const file = await newFile(path, keep);
  try {
    const result = await work(file.write);
    await file.finish();
    await file.publish();
    return result;
  } catch (error) {
    await file.discard();
    throw error;
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array, path: string): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file
      .write(bytes, done)
      .catch(cause => Promise.reject(unwritable(path, cause)));
    done += bytesWritten;
  }
}

async function checkReplaceable(path: string, target: string, keep: string): Promise<void> {
  const there = await stat(target).catch(() => undefined);
  if (there === undefined) return;
  if (!there.isFile()) throw unwritable(path, there.isDirectory() ? 'a folder' : 'no regular file');
  const kept = await stat(keep).catch(() => undefined);
  // Device and number, not the name: hard links and other spellings are the same file too.
  if (kept && kept.dev === there.dev && kept.ino === there.ino)
    throw unwritable(path, 'the file that is read');
}

export function unwritable(path: string, cause: unknown): FileError {
  const { code } = Object(cause) as { code?: unknown };
  return new FileError('file-unwritable', {
    where: JSON.stringify(path),
    expected: 'a file that can be written or replaced',
    got: typeof cause === 'string' ? cause : typeof code === 'string' ? code : String(cause),
    hint: 'Check the path, its permissions and the space on the disk.',
    cause,
  });
}
