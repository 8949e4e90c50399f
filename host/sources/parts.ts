import { FileError, StateError } from '../errors.ts';
import type { Source } from '../source.ts';
import { FlowSource } from './flow-source.ts';
import { type Manifest, type Part, readManifest } from './manifest.ts';

export { isManifest } from './manifest.ts';

/** What is kept of the part before: more than threads overlap. */
const WINDOW = 2 ** 21;

/**
 * The file that a manifest's parts make up. A part is read whole and its hash checked before a byte of it is used; one is
 * in memory, and the end of the one before.
 * @param open gives a part by its name; what it opens is closed after it has been read
 * @throws FileError 'bad-manifest'; when read 'wrong-hash' for a part that is not the one that was written, and what `open`
 *   throws
 */
export function openParts(
  content: Uint8Array | Manifest,
  name: string,
  open: (name: string) => Promise<Source>,
): Source {
  const { parts, size } = readManifest(content, name);
  const starts: number[] = [];
  let end = 0;
  for (const part of parts) {
    starts.push(end);
    end += part.size;
  }
  return new FlowSource({
    name,
    size,
    patience: { retries: 0, delay: 0 },
    window: WINDOW,
    // a part, and WebCrypto's copy of it
    held: 2 * Math.max(...parts.map(part => part.size)),
    connect: async (offset, signal) => {
      let next = starts.findLastIndex(start => start <= offset);
      return {
        offset: starts[next]!,
        read: async () => {
          const part = parts[next++];
          return part && verified(part, name, open, signal);
        },
        cancel: async () => {},
      };
    },
  });
}

async function verified(
  part: Part,
  manifest: string,
  open: (name: string) => Promise<Source>,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { name, size, sha256 } = part;
  const wrong = (got: string): FileError =>
    new FileError('wrong-hash', {
      where: `${manifest}: ${JSON.stringify(name)}`,
      expected: `${size} bytes with the SHA-256 ${sha256}`,
      got,
      hint: 'The part is damaged or another model’s: copy it again, or split the model again.',
    });
  const source = await open(name);
  try {
    // so that a manifest cannot claim memory that the part does not fill
    if (source.size !== size) throw wrong(`${source.size} bytes`);
    const bytes = new Uint8Array(size);
    await source.readInto(bytes, 0, signal);
    const found = await sha256Of(bytes);
    if (found !== sha256) throw wrong(`bytes with ${found}`);
    return bytes;
  } finally {
    await source.close();
  }
}

/** Of WebCrypto: it takes a part whole, which is why parts have a limit. */
async function sha256Of(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  if (globalThis.crypto?.subtle === undefined) {
    throw new StateError('unsupported-runtime', {
      where: 'a model in parts',
      expected: 'crypto.subtle, to check them',
      got: 'a page without it',
      hint: 'Serve the page over https: or from localhost.',
    });
  }
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(hash, byte => byte.toString(16).padStart(2, '0')).join('');
}
