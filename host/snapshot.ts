// A kv cache as bytes: what one sequence has computed, for the same model in another process, on another runtime,
// with any number of threads. Little-endian:
//
//     "CRIAKV" 0 0 · u32 version · u32 format (0 f32, 1 f16, 2 q8_0) · u8[32] fingerprint of the model
//     u32 layers · u32 kv heads · u32 numbers a head · u32 tokens · i32 ids[tokens]
//     for each layer keys, then values: for each kv head: for each token a row as the format stores it (dtype.ts)
//     u8[32] SHA-256 of everything before

import { type CacheDType, rowBytes } from './dtype.ts';
import { type ErrorCode, FileError } from './errors.ts';
import type { LlamaConfig } from './model-file.ts';

const MAGIC = [0x43, 0x52, 0x49, 0x41, 0x4b, 0x56, 0, 0];
const VERSION = 1;
const FORMATS: CacheDType[] = ['f32', 'f16', 'q8_0'];
const HASH = 32;
const HEADER = 64;

/** What a snapshot must fit. */
export interface Shape {
  config: LlamaConfig;
  format: CacheDType;
  contextLength: number;
  fingerprint: Uint8Array;
}

export async function writeSnapshot(
  { config, format, fingerprint }: Shape,
  tokens: number[],
  rows: Uint8Array[],
): Promise<Uint8Array> {
  const header = new DataView(new ArrayBuffer(HEADER + 4 * tokens.length));
  const bytes = new Uint8Array(header.buffer);
  bytes.set(MAGIC);
  header.setUint32(8, VERSION, true);
  header.setUint32(12, FORMATS.indexOf(format), true);
  bytes.set(fingerprint, 16);
  for (const [i, count] of [config.nLayers, config.nKvHeads, config.headDim, tokens.length].entries()) {
    header.setUint32(48 + 4 * i, count, true);
  }
  for (const [i, id] of tokens.entries()) header.setInt32(HEADER + 4 * i, id, true);
  const length = rows.reduce((sum, { byteLength }) => sum + byteLength, bytes.length);
  const out = new Uint8Array(length + HASH);
  let at = 0;
  for (const part of [bytes, ...rows]) {
    out.set(part, at);
    at += part.length;
  }
  out.set(await sha256(out.subarray(0, length)), length);
  return out;
}

/** @throws FileError 'bad-snapshot' for bytes that are damaged or none of ours, 'foreign-snapshot' for another model's */
export async function readSnapshot(
  bytes: Uint8Array,
  { config, format, contextLength, fingerprint }: Shape,
): Promise<{ tokens: number[]; rows: Uint8Array }> {
  if (bytes.length < HEADER + HASH || MAGIC.some((byte, i) => bytes[i] !== byte)) {
    throw fail('bad-snapshot', 'a saved cache', 'other bytes', 'Pass what saveCache() gave.');
  }
  const body = bytes.subarray(0, bytes.length - HASH);
  const sum = bytes.subarray(bytes.length - HASH);
  if (!equal(await sha256(body), sum)) {
    throw fail(
      'bad-snapshot',
      'bytes that fit their checksum',
      'altered or incomplete ones',
      'Save it again.',
    );
  }
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const version = view.getUint32(8, true);
  if (version !== VERSION) {
    throw fail(
      'bad-snapshot',
      `version ${VERSION}`,
      `version ${version}`,
      'Save it with this version of Cria.',
    );
  }
  const saved = FORMATS[view.getUint32(12, true)] ?? 'unknown';
  if (saved !== format) {
    const hint = `Open the model with kvCache: '${saved}'.`;
    throw fail('foreign-snapshot', `a cache in ${format}, as the model was opened`, `one in ${saved}`, hint);
  }
  const [layers, heads, headDim, count] = [48, 52, 56, 60].map(at => view.getUint32(at, true));
  const { nLayers, nKvHeads } = config;
  const sameShape = layers === nLayers && heads === nKvHeads && headDim === config.headDim;
  if (!sameShape || !equal(body.subarray(16, 48), fingerprint)) {
    throw fail(
      'foreign-snapshot',
      'a cache of this model',
      "another model's",
      'Open the model that made it.',
    );
  }
  if (count! > contextLength) {
    const hint = 'Open the model with a larger contextLength.';
    throw fail('foreign-snapshot', `at most ${contextLength} tokens, the context`, `${count}`, hint);
  }
  const start = HEADER + 4 * count!;
  const length = 2 * nLayers * nKvHeads * count! * rowBytes(format, headDim!);
  if (body.length !== start + length) {
    throw fail('bad-snapshot', `${start + length} bytes`, `${body.length}`, 'Save it again.');
  }
  const tokens = Array.from({ length: count! }, (_, i) => view.getInt32(HEADER + 4 * i, true));
  if (tokens.some(id => id < 0 || id >= config.vocabSize)) {
    throw fail('bad-snapshot', `ids below ${config.vocabSize}`, 'others', 'Save it again.');
  }
  return { tokens, rows: body.slice(start) };
}

function fail(code: ErrorCode, expected: string, got: string, hint: string): FileError {
  return new FileError(code, { where: 'snapshot', expected, got, hint });
}

async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>));
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
