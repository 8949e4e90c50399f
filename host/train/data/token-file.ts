// The ids of a source's documents in a file: tokenised once, read by ranges.
//
//   header, 64 bytes   "CRIATOKS" | u32 version | u32 bytes of an id, 2 or 4 | u32 pieces of the vocabulary | u32 0 |
//                      16 bytes hash of the vocabulary | 16 bytes hash of the source | 8 bytes 0
//   ids                of one document after the other, each BOS … EOS as the vocabulary has them, padded to 8 bytes
//   documents          u32 ids | u32 hash of the text, for each
//   footer, 48 bytes   u64 ids | u64 documents | u64 bytes of text | 16 bytes hash of all before | "CRIAEND1"
//
// Numbers are little-endian. Hashes are `Hash128`.
import { FileError } from '../../errors.ts';
import type { Vocabulary } from '../../model-file.ts';
import type { Sink } from '../../quantize/index.ts';
import type { Source } from '../../source.ts';
import type { Tokenizer } from '../../tokenizer.ts';
import { Hash128, hexOf } from '../hash.ts';
import type { DataDocument } from './documents.ts';
import { readChunks } from './text.ts';

const MAGIC = 'CRIATOKS';
const END = 'CRIAEND1';
const VERSION = 1;
const HEADER = 64;
const FOOTER = 48;
const DOCUMENT = 8;
/** Bytes that are collected before they are written. */
const BLOCK = 2 ** 20;

const ascii = new TextEncoder();

/** Which tokenizer and which source ids belong to. */
export interface TokenOrigin {
  vocabulary: Uint8Array;
  source: Uint8Array;
}

export interface TokenTotals {
  /** Ids with each document's BOS and EOS. */
  tokens: number;
  documents: number;
  /** UTF-8 bytes of the texts. */
  bytes: number;
}

/** Depends on whatever decides the ids of a text. */
export function vocabularyHash({ pieces, scores, types, ...rest }: Vocabulary): Uint8Array {
  const switches = [rest.bos, rest.eos, rest.unknown, rest.addBos, rest.addSpacePrefix];
  const hash = new Hash128().text(JSON.stringify([pieces, switches])).update(types);
  return hash
    .text(JSON.stringify(Array.from(scores, score => (Number.isFinite(score) ? score : String(score)))))
    .bytes();
}

/**
 * Writes a token file, piece by piece; memory grows with the number of documents, 8 bytes each.
 * @throws what `documents` and `sink` throw; what has been written is then no token file, and is recognised as torn
 */
export async function writeTokens(
  documents: AsyncIterable<DataDocument> | Iterable<DataDocument>,
  tokenizer: Tokenizer,
  source: Uint8Array,
  sink: Sink,
  onProgress?: (totals: TokenTotals) => void,
): Promise<TokenTotals> {
  const hash = new Hash128();
  const write = async (bytes: Uint8Array): Promise<void> => {
    hash.update(bytes);
    await sink.write(bytes);
  };
  const idBytes = tokenizer.size <= 2 ** 16 ? 2 : 4;
  await write(
    headerOf({ vocabulary: vocabularyHash(tokenizer.vocabulary), source }, tokenizer.size, idBytes),
  );

  const { eos, addBos } = tokenizer;
  const lengths: number[] = [];
  const hashes: number[] = [];
  const totals = { tokens: 0, documents: 0, bytes: 0 };
  let block = new DataView(new ArrayBuffer(BLOCK));
  let used = 0;
  const put = (value: number, size: number): void => {
    if (size === 2) block.setUint16(used, value, true);
    else block.setUint32(used, value, true);
    used += size;
  };
  const flush = async (): Promise<void> => {
    if (used > 0) await write(new Uint8Array(block.buffer, 0, used));
    block = new DataView(new ArrayBuffer(BLOCK));
    used = 0;
  };
  for await (const { text } of documents) {
    const utf8 = ascii.encode(text);
    const ids = tokenizer.encode(text, { bos: addBos, eos: eos >= 0 });
    for (const id of ids) {
      if (used + idBytes > BLOCK) await flush();
      put(id, idBytes);
    }
    lengths.push(ids.length);
    hashes.push(new Hash128().update(utf8).words()[0]!);
    totals.tokens += ids.length;
    totals.documents++;
    totals.bytes += utf8.length;
    onProgress?.(totals);
  }
  await flush();
  const gap = paddingOf(totals.tokens * idBytes);
  if (gap > 0) await write(new Uint8Array(gap));
  for (let i = 0; i < lengths.length; i++) {
    if (used + DOCUMENT > BLOCK) await flush();
    put(lengths[i]!, 4);
    put(hashes[i]!, 4);
  }
  await flush();
  await write(countsOf(totals));
  await sink.write(hash.bytes());
  await sink.write(ascii.encode(END));
  return totals;
}

function headerOf({ vocabulary, source }: TokenOrigin, vocabSize: number, idBytes: number): Uint8Array {
  const header = new Uint8Array(HEADER);
  header.set(ascii.encode(MAGIC));
  const view = new DataView(header.buffer);
  [VERSION, idBytes, vocabSize].forEach((value, i) => {
    view.setUint32(8 + 4 * i, value, true);
  });
  header.set(vocabulary, 24);
  header.set(source, 40);
  return header;
}

function countsOf({ tokens, documents, bytes }: TokenTotals): Uint8Array {
  const counts = new DataView(new ArrayBuffer(24));
  [tokens, documents, bytes].forEach((count, i) => {
    counts.setBigUint64(8 * i, BigInt(count), true);
  });
  return new Uint8Array(counts.buffer);
}

const paddingOf = (bytes: number): number => (8 - (bytes % 8)) % 8;

/** An open token file. The table of its documents is in memory, its ids are not. */
export class TokenFile {
  readonly totals: TokenTotals;
  readonly vocabSize: number;
  /** Ids of each document. */
  readonly lengths: Uint32Array;
  /** Of each document's text. */
  readonly hashes: Uint32Array;
  readonly #source: Source;
  readonly #idBytes: number;

  constructor(
    source: Source,
    totals: TokenTotals,
    vocabSize: number,
    idBytes: number,
    lengths: Uint32Array,
    hashes: Uint32Array,
  ) {
    this.#source = source;
    this.totals = totals;
    this.vocabSize = vocabSize;
    this.#idBytes = idBytes;
    this.lengths = lengths;
    this.hashes = hashes;
  }

  /** Fills `ids` with those from the `start`-th on. */
  async read(ids: Int32Array, start: number, signal?: AbortSignal): Promise<void> {
    const bytes = new Uint8Array(ids.length * this.#idBytes);
    await this.#source.readInto(bytes, HEADER + start * this.#idBytes, signal);
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < ids.length; i++) {
      const id = this.#idBytes === 2 ? view.getUint16(2 * i, true) : view.getUint32(4 * i, true);
      if (id >= this.vocabSize) throw torn(this.#source.name, `ids below ${this.vocabSize}`, String(id));
      ids[i] = id;
    }
  }

  close(): Promise<void> {
    return this.#source.close();
  }
}

/**
 * Opens a token file and reads it once to see that it is whole.
 *
 * @param origin what it must have been made from; undefined takes any
 * @throws FileError 'bad-token-file' for one that is torn, damaged or of another version, 'foreign-token-file' for one of
 *   another vocabulary or source
 */
export async function openTokens(
  source: Source,
  origin?: Partial<TokenOrigin>,
  signal?: AbortSignal,
): Promise<TokenFile> {
  const { name, size } = source;
  if (size < HEADER + FOOTER) throw torn(name, `at least ${HEADER + FOOTER} bytes`, String(size));
  const header = await readBytes(source, 0, HEADER, signal);
  if (!startsWith(header, MAGIC)) throw torn(name, `"${MAGIC}" at its beginning`, 'other bytes');
  const view = new DataView(header.buffer);
  const [version, idBytes, vocabSize] = [8, 12, 16].map(at => view.getUint32(at, true)) as [
    number,
    number,
    number,
  ];
  if (version !== VERSION) throw torn(name, `version ${VERSION}`, String(version));
  if (idBytes !== 2 && idBytes !== 4) throw torn(name, 'ids of 2 or 4 bytes', String(idBytes));
  for (const [what, at] of [
    ['vocabulary', 24],
    ['source', 40],
  ] as const) {
    const wanted = origin?.[what];
    const got = header.subarray(at, at + 16);
    if (wanted === undefined || wanted.every((byte, i) => byte === got[i])) continue;
    throw new FileError('foreign-token-file', {
      where: name,
      expected: `tokens of the ${what} with hash ${hexOf(wanted)}`,
      got: hexOf(got),
      hint: 'The text or the tokenizer has changed since: delete the file, and it is made again.',
    });
  }

  const footer = await readBytes(source, size - FOOTER, FOOTER, signal);
  if (!startsWith(footer.subarray(FOOTER - 8), END)) throw torn(name, `"${END}" at its end`, 'other bytes');
  const ends = new DataView(footer.buffer);
  const [tokens, documents, bytes] = [0, 8, 16].map(at => Number(ends.getBigUint64(at, true))) as [
    number,
    number,
    number,
  ];
  const idsEnd = HEADER + tokens * idBytes + paddingOf(tokens * idBytes);
  const expected = idsEnd + documents * DOCUMENT + FOOTER;
  if (expected !== size) throw torn(name, `${expected} bytes for its ${tokens} ids`, String(size));

  const hash = new Hash128();
  let at = 0;
  for await (const chunk of readChunks(source, signal)) {
    hash.update(chunk.subarray(0, Math.max(0, size - FOOTER + 24 - at)));
    at += chunk.length;
  }
  const stored = hexOf(footer.subarray(24, 40));
  if (hash.hex() !== stored) throw torn(name, `bytes with hash ${stored}`, hash.hex());

  const table = await readBytes(source, idsEnd, documents * DOCUMENT, signal);
  const rows = new DataView(table.buffer);
  const column = (offset: number): Uint32Array =>
    Uint32Array.from({ length: documents }, (_, i) => rows.getUint32(DOCUMENT * i + offset, true));
  const lengths = column(0);
  const sum = lengths.reduce((total, length) => total + length, 0);
  if (sum !== tokens) throw torn(name, `${tokens} ids in its documents`, String(sum));
  return new TokenFile(source, { tokens, documents, bytes }, vocabSize, idBytes, lengths, column(4));
}

async function readBytes(
  source: Source,
  at: number,
  length: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  await source.readInto(bytes, at, signal);
  return bytes;
}

function startsWith(bytes: Uint8Array, text: string): boolean {
  return ascii.encode(text).every((byte, i) => byte === bytes[i]);
}

function torn(name: string, expected: string, got: string): FileError {
  return new FileError('bad-token-file', {
    where: name,
    expected,
    got,
    hint: 'The file is no whole token file: delete it, and it is made again.',
  });
}
