import { FileError } from '../errors.ts';
import type { Source } from '../source.ts';
import { Broken, flowOf, PATIENCE, persist, reasonOf } from './flow.ts';
import { FlowSource } from './flow-source.ts';
import { changed } from './http.ts';

/** What is used of an R2 bucket (Cloudflare Workers' `R2Bucket` is one). */
export interface BucketLike {
  get(
    key: string,
    options?: { range?: { offset: number } },
  ): Promise<{ size: number; etag: string; body: ReadableStream<Uint8Array> } | null>;
}

/**
 * An object in an R2 bucket, read as a stream that is resumed where it breaks and begun anew where a read lies elsewhere.
 * @throws FileError 'file-not-found', 'network-failed'; when read also 'file-changed'; the signal's reason
 */
export async function r2(
  bucket: BucketLike,
  key: string,
  { signal, window }: { signal?: AbortSignal; window?: number } = {},
): Promise<Source> {
  const name = `R2 object ${JSON.stringify(key)}`;
  const get = async (offset: number) => {
    const object = await bucket.get(key, offset === 0 ? {} : { range: { offset } }).catch(cause => {
      throw new Broken(reasonOf(cause), { cause });
    });
    if (object) return { size: object.size, etag: object.etag, flow: flowOf(object.body, offset) };
    throw new FileError('file-not-found', {
      where: name,
      expected: 'an object in the bucket',
      got: 'none',
      hint: 'Check the key and the binding.',
    });
  };
  const first = await persist(name, PATIENCE, signal, () => get(0));
  return new FlowSource({
    name,
    size: first.size,
    first: first.flow,
    ...(window !== undefined && { window }),
    connect: async offset => {
      const { size, etag, flow } = await get(offset);
      if (etag === first.etag) return flow;
      await flow.cancel();
      throw changed(name, `${first.size} bytes, etag ${first.etag}`, `${size} bytes, etag ${etag}`);
    },
  });
}
