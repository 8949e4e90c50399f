import { FileError } from '../errors.ts';
import type { Source } from '../source.ts';

export function truncated(name: string, offset: number, length: number, size: number): FileError {
  return new FileError('file-truncated', {
    where: `${name}: byte ${offset}`,
    expected: `${length} bytes`,
    got: `the end of the file at ${size}`,
    hint: 'The file changed or is incomplete; download it again.',
  });
}

export function bytesSource(bytes: Uint8Array, name: string): Source {
  return {
    name,
    size: bytes.length,
    async readInto(view, offset) {
      if (offset + view.length > bytes.length) throw truncated(name, offset, view.length, bytes.length);
      view.set(bytes.subarray(offset, offset + view.length));
    },
    async close() {},
  };
}

export function blobSource(blob: Blob, called?: string): Source {
  const name = called ?? ('name' in blob && typeof blob.name === 'string' ? blob.name : 'Blob');
  return {
    name,
    size: blob.size,
    async readInto(view, offset) {
      if (offset + view.length > blob.size) throw truncated(name, offset, view.length, blob.size);
      view.set(new Uint8Array(await blob.slice(offset, offset + view.length).arrayBuffer()));
    },
    async close() {},
  };
}

/** The whole of a small file. */
export async function readAll(source: Source, signal?: AbortSignal): Promise<Uint8Array> {
  const bytes = new Uint8Array(source.size);
  await source.readInto(bytes, 0, signal);
  return bytes;
}
