import { type GgufHeader, parseGguf } from './gguf.ts';
import { modelFromGguf } from './llama-file.ts';
import type { ModelFile } from './model-file.ts';
import type { Source } from './source.ts';

/** First guess at the length of a GGUF header; doubled while it is too short. */
const HEADER = 2 ** 20;
const GGUF_MAGIC = 0x46554747;

/** @returns undefined if the file does not begin as a GGUF file does. */
export async function readGgufHeader(source: Source, signal?: AbortSignal): Promise<GgufHeader | undefined> {
  let bytes = new Uint8Array(Math.min(source.size, HEADER));
  await source.readInto(bytes, 0, signal);
  if (bytes.length >= 4 && new DataView(bytes.buffer).getUint32(0, true) !== GGUF_MAGIC) {
    // a byte-swapped magic is a GGUF file too, which `parseGguf` refuses in its own words
    if (new DataView(bytes.buffer).getUint32(0) !== GGUF_MAGIC) return undefined;
  }
  if (bytes.length < 4) return undefined;
  for (;;) {
    const header = parseGguf(bytes, source.size, source.name);
    if (typeof header !== 'number') return header;
    const longer = new Uint8Array(Math.min(source.size, Math.max(header, 2 * bytes.length)));
    longer.set(bytes);
    await source.readInto(longer.subarray(bytes.length), bytes.length, signal);
    bytes = longer;
  }
}

/**
 * Reads and checks the header of a model, which may lie in several files; no weight is touched.
 * @throws FileError
 */
export async function readModelFile(source: Source, signal?: AbortSignal): Promise<ModelFile> {
  const gguf = await readGgufHeader(source, signal);
  if (gguf) return modelFromGguf(gguf, source.size, source.name);
  const [{ LLAMA2C_HEADER_BYTES, parseLlama2c }, { foreignModel }] = await Promise.all([
    import('./llama2c.ts'),
    import('./foreign/index.ts'),
  ]);
  const bytes = new Uint8Array(Math.min(source.size, LLAMA2C_HEADER_BYTES));
  await source.readInto(bytes, 0, signal);
  const foreign = await foreignModel(source, bytes, signal);
  return foreign ?? parseLlama2c(bytes, source.size, source.name);
}
