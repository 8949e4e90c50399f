import type { ModelSource } from './api.ts';
import { CriaError, FileError, OptionError, StateError } from './errors.ts';
import type { Names } from './runtime/runtime.ts';
import type { ByteSource, Source } from './source.ts';
import { blobSource, bytesSource, readAll, truncated } from './sources/bytes.ts';

export { readAll };

/** A larger file is no manifest; one of 20,000 parts is. */
const MANIFEST_BYTES = 2 ** 22;
const BRACE = 0x7b;

/** `openSource` on a runtime. */
export type OpenSource = (source: ModelSource, signal?: AbortSignal) => Promise<Source>;

/**
 * Opens whatever a user gives as a model. A path or URL may lead to a manifest: it is opened as the file whose parts the
 * manifest lists.
 * @param names opens paths and URLs
 * @throws OptionError 'option-type'; FileError 'file-not-found', 'file-unreadable', 'bad-manifest', or as `http` does.
 */
export async function openSource(
  source: ModelSource,
  signal?: AbortSignal,
  names: Names = NO_NAMES,
): Promise<Source> {
  if (typeof source !== 'string' && !(source instanceof URL)) return openGiven(source);
  const opened = await names.open(source, signal);
  opened.beside ??= file => names.open(names.beside(source, file), signal);
  if (opened.size > MANIFEST_BYTES || opened.size === 0) return opened;
  try {
    const first = new Uint8Array(1);
    await opened.readInto(first, 0, signal);
    if (first[0] !== BRACE) return opened;
    const { isManifest, openParts } = await import('./sources/parts.ts');
    const bytes = await readAll(opened, signal);
    if (!isManifest(bytes)) return opened;
    const parts = openParts(bytes, opened.name, part => names.open(names.beside(source, part), signal, 0));
    await opened.close();
    return parts;
  } catch (error) {
    await opened.close();
    throw error;
  }
}

/** For places that read nothing by themselves. */
export const NO_NAMES: Names = {
  async open(name) {
    throw new StateError('unsupported-runtime', {
      where: JSON.stringify(String(name).slice(0, 100)),
      expected: 'bytes: nothing is read here by its name',
      got: typeof name === 'string' ? 'a path or URL' : 'a URL',
      hint: 'Pass the bytes, as a Uint8Array, ArrayBuffer or Blob, or an object with size and readInto.',
    });
  },
  beside: (_, name) => name,
};

function openGiven(source: Exclude<ModelSource, string | URL>): Source {
  if (source instanceof ArrayBuffer) return bytesSource(new Uint8Array(source), 'ArrayBuffer');
  if (source instanceof Uint8Array) return bytesSource(source, 'Uint8Array');
  if (typeof Blob === 'function' && source instanceof Blob) return blobSource(source);
  if (isByteSource(source)) return givenSource(source);
  throw new OptionError('option-type', {
    where: 'source',
    expected: 'a path, URL, ArrayBuffer, Uint8Array, Blob, or an object with size and readInto',
    got: source === null ? 'null' : typeof source,
    hint: 'Pass the path of a GGUF or llama2.c file.',
  });
}

function isByteSource(source: unknown): source is ByteSource {
  const { size, readInto } = Object(source) as Partial<ByteSource>;
  return typeof readInto === 'function' && Number.isSafeInteger(size) && size! >= 0;
}

/** A caller's source, its errors made ours. */
function givenSource(source: ByteSource): Source {
  const { size, name = 'source', ordered = false, held = 0 } = source;
  return {
    name,
    size,
    ordered,
    held,
    async readInto(view, offset, signal) {
      if (offset + view.length > size) throw truncated(name, offset, view.length, size);
      try {
        await source.readInto(view, offset, signal);
      } catch (cause) {
        signal?.throwIfAborted();
        if (cause instanceof CriaError) throw cause;
        throw new FileError('file-unreadable', {
          where: `${name}: byte ${offset}`,
          expected: `${view.length} bytes`,
          got: String(cause),
          hint: 'The source that was passed failed; its error is the cause.',
          cause,
        });
      }
    },
    async close() {
      await source.close?.();
    },
  };
}
