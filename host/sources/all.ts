// Ready-made sources for `open`, on any runtime. A path, URL, Blob (also the File of an OPFS handle), ArrayBuffer (also a
// Worker's data module) or Uint8Array is passed to `open` as it is.

import type { ModelSource } from '../api.ts';
import type { Names } from '../runtime/runtime.ts';
import type { Source } from '../source.ts';
import { openSource } from '../sources.ts';
import type { Manifest } from './manifest.ts';
import { openParts } from './parts.ts';

export type { ByteSource, Source } from '../source.ts';
export { type CachedOptions, type CacheLike, cached } from './cached.ts';
export { type HttpOptions, http } from './http.ts';
export type { Manifest, Part } from './manifest.ts';
export { type BucketLike, r2 } from './r2.ts';
export { response, type StreamOptions, stream } from './stream.ts';

/**
 * A model in parts that lie anywhere: values of KV, objects in R2, static assets. `open(manifest)` alone finds those
 * beside a manifest's path or URL.
 * @param manifest its bytes, or what JSON.parse makes of them
 * @param part gives a part by its name, as anything that `open` takes
 * @throws FileError 'bad-manifest'; when read 'wrong-hash', and what `part` throws
 */
export type Parts = (
  manifest: Uint8Array | Manifest,
  part: (name: string) => ModelSource | Promise<ModelSource>,
) => Source;

/** `parts` with what opens their paths and URLs. @internal */
export function partsOn(names: Names): Parts {
  return (manifest, part) =>
    openParts(manifest, 'manifest', async name => openSource(await part(name), undefined, names));
}
