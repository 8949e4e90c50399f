// A checkpoint as bytes:
//
//   "CRIATRN1" | u32 version | u32 bytes of the header | header, JSON, padded with spaces so that what follows begins at 64 |
//   f32 weights | f32 m | f32 v, each a buffer of parameters | SHA-256 of all before
//
// Numbers are little-endian, as WebAssembly has them.

import { FileError } from '../errors.ts';
import type { LlamaConfig } from '../model-file.ts';
import type { TrainConfig } from './config.ts';
import type { TrainState } from './trainer.ts';

const MAGIC = 'CRIATRN1';
const VERSION = 1;
const START = 16;
const ALIGN = 64;
const HASH = 32;
/** A header that is longer is damaged. */
const MOST_HEADER = 2 ** 20;

export interface Checkpoint {
  config: TrainConfig;
  llama: LlamaConfig;
  /** Of the configuration, the texts and the vocabulary: who may go on from here. */
  run: string;
  /** Numbers of a buffer of parameters. */
  size: number;
  state: TrainState;
}

export async function encodeCheckpoint({
  state,
  ...rest
}: Omit<Checkpoint, 'size'>): Promise<Uint8Array<ArrayBuffer>> {
  const { weights, m, v, ...numbers } = state;
  const size = weights.length;
  const json = new TextEncoder().encode(JSON.stringify({ ...rest, size, state: numbers }));
  const first = Math.ceil((START + json.length) / ALIGN) * ALIGN;
  const end = first + 12 * size;
  const bytes = new Uint8Array(end + HASH);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(MAGIC));
  view.setUint32(8, VERSION, true);
  view.setUint32(12, first - START, true);
  bytes.fill(0x20, START, first);
  bytes.set(json, START);
  for (const [i, values] of [weights, m, v].entries()) {
    new Float32Array(bytes.buffer, first + 4 * i * size, size).set(values);
  }
  bytes.set(await sha256Of(bytes.subarray(0, end)), end);
  return bytes;
}

/** @throws FileError 'bad-checkpoint' for bytes that are torn, damaged or something else, 'bad-version' */
export async function decodeCheckpoint(bytes: Uint8Array, name: string): Promise<Checkpoint> {
  const fail = (expected: string, got: string, code: 'bad-checkpoint' | 'bad-version' = 'bad-checkpoint') =>
    new FileError(code, {
      where: name,
      expected,
      got,
      hint: 'Take the checkpoint before it; `cria train --resume` does it by itself.',
    });
  if (bytes.length < START + HASH || new TextDecoder().decode(bytes.subarray(0, 8)) !== MAGIC) {
    throw fail(`a checkpoint of cria train, which begins with ${MAGIC}`, `${bytes.length} other bytes`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint32(8, true);
  if (version !== VERSION) throw fail(`version ${VERSION}`, String(version), 'bad-version');
  const length = view.getUint32(12, true);
  const end = bytes.length - HASH;
  if (length > MOST_HEADER || START + length > end)
    throw fail('a header inside the file', `${length} bytes of it`);
  const hash = await sha256Of(bytes.subarray(0, end));
  if (!hash.every((byte, i) => byte === bytes[end + i])) {
    throw fail('bytes with the checksum at their end', 'others: the file is torn or damaged');
  }
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(START, START + length)));
  const { state, ...rest } = header as Omit<Checkpoint, 'state'> & {
    state: Omit<TrainState, 'weights' | 'm' | 'v'>;
  };
  const first = START + length;
  if (end - first !== 12 * rest.size) throw fail(`3 · ${rest.size} numbers`, `${(end - first) / 4} of them`);
  const buffer = (i: number) =>
    new Float32Array(bytes.slice(first + 4 * i * rest.size, first + 4 * (i + 1) * rest.size).buffer);
  return { ...rest, state: { ...state, weights: buffer(0), m: buffer(1), v: buffer(2) } };
}

async function sha256Of(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>));
}
