import { type ErrorParts, FileError, quote } from './errors.ts';
import type { StoredValue } from './gguf-values.ts';
import { idsOfType, PieceType, type Vocabulary } from './model-file.ts';
import { TextList } from './text-list.ts';

/** How byte pieces are spelt: `<0x0A>` is a line feed. */
const BYTE_PIECE = /^<0x([0-9A-Fa-f]{2})>$/;
const BYTE_PIECE_LENGTH = 6;

const SPACE = '\u2581';

/** The pieces of vocabularies that came as bytes. */
const TEXTS = new WeakMap<Vocabulary, TextList>();

/** A vocabulary's pieces as bytes, whether its strings have been made or not. */
export function textsOf(vocabulary: Vocabulary): TextList {
  return TEXTS.get(vocabulary) ?? TextList.of(vocabulary.pieces);
}

/** The byte that a piece `<0xNN>` stands for; undefined for any other text. */
export function byteOfPiece(piece: string): number | undefined {
  const match = BYTE_PIECE.exec(piece);
  return match === null ? undefined : Number.parseInt(match[1]!, 16);
}

/**
 * The SentencePiece vocabulary inside a GGUF file (gguf.md, "Tokenizer"; ids and switches that are absent are those of
 * Llama 2, as in llama.cpp). Without `tokenizer.ggml.token_type` the types follow from spelling and special ids.
 *
 * @returns undefined if the file brings no tokenizer.
 * @throws FileError 'unsupported-tokenizer' for any model but `llama`, 'bad-vocabulary' for lists or ids that cannot
 * be a vocabulary.
 */
export function vocabularyFromMetadata(
  values: ReadonlyMap<string, StoredValue>,
  fileName: string,
): Vocabulary | undefined {
  const at = (key: string): string => `${fileName}: tokenizer.ggml.${key}`;
  const get = (key: string): StoredValue | undefined => values.get(`tokenizer.ggml.${key}`);

  const model = get('model');
  const tokens = get('tokens');
  if (model === undefined && tokens === undefined) return undefined;
  if (typeof model !== 'string') throw bad(at('model'), 'a string', describe(model));
  if (model !== 'llama') {
    throw new FileError('unsupported-tokenizer', {
      where: at('model'),
      expected: '"llama" (SentencePiece BPE)',
      got: quote(model),
      hint: 'Byte-level BPE and other tokenizers are not supported.',
    });
  }

  const texts = Array.isArray(tokens) && isStrings(tokens) ? TextList.of(tokens) : tokens;
  if (!(texts instanceof TextList)) throw bad(at('tokens'), 'a list of strings', describe(tokens));
  const size = texts.length;
  if (size === 0) throw bad(at('tokens'), 'at least one piece', 'an empty list');

  const scores = get('scores');
  if (!(scores instanceof Float32Array) && !(scores instanceof Float64Array)) {
    throw bad(at('scores'), 'a list of floats', describe(scores));
  }
  if (scores.length !== size) {
    throw bad(at('scores'), `${size} scores, one for each piece`, String(scores.length));
  }

  const specialId = (key: string, llamaId: number, llamaPiece: string): number => {
    const value = get(key);
    if (value === undefined) return texts.at(llamaId) === llamaPiece ? llamaId : -1;
    if (typeof value !== 'number' && typeof value !== 'bigint') {
      throw bad(at(key), 'an integer', describe(value));
    }
    const id = Number(value);
    if (id === 2 ** 32 - 1) return -1; // how −1 looks in the u32 that writers use
    if (!Number.isInteger(id) || id < 0 || id >= size) {
      throw bad(at(key), `an id in 0 .. ${size - 1}`, String(value));
    }
    return id;
  };
  const unknown = specialId('unknown_token_id', 0, '<unk>');
  const bos = specialId('bos_token_id', 1, '<s>');
  const eos = specialId('eos_token_id', 2, '</s>');

  const flag = (key: string, otherwise: boolean): boolean => {
    const value = get(key);
    if (value === undefined) return otherwise;
    if (typeof value !== 'boolean') throw bad(at(key), 'true or false', describe(value));
    return value;
  };

  const storedTypes = get('token_type');
  const types =
    storedTypes === undefined
      ? deriveTypes(texts, unknown, [bos, eos])
      : readTypes(storedTypes, size, at('token_type'));

  let pieces: string[] | undefined;
  const vocabulary: Vocabulary = {
    get pieces() {
      pieces ??= texts.toArray();
      return pieces;
    },
    scores: new Float32Array(scores),
    types,
    bos,
    eos,
    unknown,
    addBos: flag('add_bos_token', true) && bos >= 0,
    addEos: flag('add_eos_token', false) && eos >= 0,
    addSpacePrefix: flag('add_space_prefix', true),
  };
  return checkedVocabulary(texts, vocabulary, at);
}

/**
 * The vocabulary of a llama2.c `tokenizer.bin` (karpathy/llama2.c, tokenizer.py `export`), little-endian:
 *
 *     u32 length of the longest piece in bytes | per id: f32 score, u32 length, UTF-8 bytes
 *
 * Ids 0, 1, 2 are unknown, BOS, EOS. The export has turned U+2581 into spaces, which is undone here.
 *
 * @param vocabSize how many pieces the model has, where that is known.
 * @throws FileError 'file-empty', 'file-truncated', or 'bad-vocabulary' if the pieces are not `vocabSize` many or
 * cannot be a vocabulary.
 */
export function vocabularyFromLlama2c(
  bytes: Uint8Array,
  vocabSize: number | undefined,
  fileName: string,
): Vocabulary {
  if (bytes.length === 0) {
    throw new FileError('file-empty', {
      where: fileName,
      expected: 'a llama2.c tokenizer file',
      got: '0 bytes',
      hint: 'Download or export the file again.',
    });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let offset = 0;
  // every length is compared with what is left before it is used
  const take = (count: number, what: string): number => {
    if (count > bytes.length - offset) {
      throw new FileError('file-truncated', {
        where: `${fileName}: ${what} at byte ${offset}`,
        expected: `${count} bytes`,
        got: `${bytes.length - offset} bytes`,
        hint: 'The file is incomplete, or it is not a llama2.c tokenizer: download or export it again.',
      });
    }
    const start = offset;
    offset += count;
    return start;
  };

  const longest = view.getUint32(take(4, 'the length of the longest piece'), true);
  const pieces: string[] = [];
  const scores: number[] = [];
  while (offset < bytes.length) {
    const id = pieces.length;
    const where = `${fileName}: piece ${id}`;
    if (id === vocabSize) {
      throw bad(where, `the end of the file after ${id} pieces`, `${bytes.length - offset} more bytes`);
    }
    const head = take(8, `score and length of piece ${id}`);
    const length = view.getUint32(head + 4, true);
    if (length > longest) throw bad(where, `at most ${longest} bytes, as the file begins`, String(length));
    const start = take(length, `piece ${id}`);
    let text: string;
    try {
      text = utf8.decode(bytes.subarray(start, start + length));
    } catch (cause) {
      throw bad(where, 'UTF-8', 'other bytes', cause);
    }
    scores.push(view.getFloat32(head, true));
    pieces.push(text.replaceAll(' ', SPACE));
  }
  if (pieces.length < 3 || (vocabSize !== undefined && pieces.length !== vocabSize)) {
    const expected = vocabSize === undefined ? 'at least 3 pieces' : `${vocabSize} pieces, as the model has`;
    throw bad(fileName, expected, String(pieces.length));
  }

  // the export pads these two with line feeds so that run.c never matches them in text
  if (pieces[1] === '\n<s>\n') pieces[1] = '<s>';
  if (pieces[2] === '\n</s>\n') pieces[2] = '</s>';
  const texts = TextList.of(pieces);
  const vocabulary: Vocabulary = {
    pieces,
    scores: Float32Array.from(scores),
    types: deriveTypes(texts, 0, [1, 2]),
    bos: 1,
    eos: 2,
    unknown: 0,
    addBos: true,
    addEos: false,
    addSpacePrefix: true,
  };
  return checkedVocabulary(texts, vocabulary, key => `${fileName}: ${key}`);
}

/**
 * The vocabulary, once it is sure that the tokenizer can rely on it.
 * @param texts its pieces
 * @param at names a key in errors
 * @throws FileError 'bad-vocabulary'
 */
export function checkedVocabulary(
  texts: TextList,
  vocabulary: Vocabulary,
  at: (key: string) => string,
): Vocabulary {
  TEXTS.set(vocabulary, texts);
  check(texts, vocabulary, at);
  return vocabulary;
}

/** One `PieceType` a piece; ids of −1 are ignored. */
function deriveTypes(texts: TextList, unknown: number, controls: number[]): Uint8Array {
  const types = new Uint8Array(texts.length).fill(PieceType.normal);
  for (let id = 0; id < types.length; id++) {
    if (texts.ends[id]! - texts.starts[id]! !== BYTE_PIECE_LENGTH) continue;
    if (BYTE_PIECE.test(texts.at(id)!)) types[id] = PieceType.byte;
  }
  for (const id of controls) if (id >= 0) types[id] = PieceType.control;
  if (unknown >= 0) types[unknown] = PieceType.unknown;
  return types;
}

function readTypes(value: StoredValue, count: number, where: string): Uint8Array {
  if (!isSmallIntegers(value)) throw bad(where, 'a list of integers', describe(value));
  if (value.length !== count) throw bad(where, `${count} types, one for each piece`, String(value.length));
  const types = new Uint8Array(count);
  for (let id = 0; id < count; id++) {
    const type = value[id]!;
    if (type < PieceType.normal || type > PieceType.byte) {
      throw bad(`${where}[${id}]`, 'a type in 1 .. 6', String(type));
    }
    types[id] = type;
  }
  return types;
}

/** What the tokenizer relies on: finite order of merges, one piece for each byte, an id for every text. */
function check(texts: TextList, { scores, types, unknown }: Vocabulary, at: (key: string) => string): void {
  const idOfByte = new Map<number, number>();
  if (scores.includes(Number.NaN)) {
    throw bad(at(`scores[${scores.findIndex(Number.isNaN)}]`), 'a number', 'NaN');
  }
  for (const id of idsOfType(types, PieceType.byte)) {
    const piece = texts.at(id)!;
    const byte = byteOfPiece(piece);
    if (byte === undefined) throw bad(at(`tokens[${id}]`), 'a byte piece such as <0x0A>', quote(piece));
    const other = idOfByte.get(byte);
    if (other !== undefined) {
      throw bad(at(`tokens[${id}]`), 'one piece for each byte', `${quote(piece)} again, after id ${other}`);
    }
    idOfByte.set(byte, id);
  }
  if (unknown < 0 && idOfByte.size < 256) {
    throw bad(
      at('tokens'),
      'all 256 byte pieces or an unknown piece, so that any text has ids',
      `${idOfByte.size} byte pieces and no unknown piece`,
    );
  }
}

function isStrings(values: unknown[]): values is string[] {
  return values.every(value => typeof value === 'string');
}

type SmallIntegers = Int32Array | Uint32Array | Int16Array | Uint16Array | Int8Array | Uint8Array;

function isSmallIntegers(value: StoredValue): value is SmallIntegers {
  return (
    ArrayBuffer.isView(value) &&
    !(value instanceof Float32Array) &&
    !(value instanceof Float64Array) &&
    !(value instanceof BigUint64Array) &&
    !(value instanceof BigInt64Array)
  );
}

function describe(value: StoredValue | undefined): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'string') return quote(value);
  if (value instanceof TextList) return value.length === 0 ? 'an empty list' : 'a list with a string';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : `a list with a ${kind(value)}`;
  if (ArrayBuffer.isView(value)) return `a list of ${value.constructor.name.replace('Array', '')}`;
  return `${typeof value} ${value}`;
}

/** The kind of the first element that is not a string, else string. */
function kind(values: readonly unknown[]): string {
  const odd = values.find(value => typeof value !== 'string');
  return odd === undefined ? 'string' : typeof odd;
}

function bad(where: string, expected: string, got: string, cause?: unknown): FileError {
  const parts: ErrorParts = {
    where,
    expected,
    got,
    hint: 'The vocabulary is damaged or was exported wrongly: convert or download the model again.',
  };
  return new FileError('bad-vocabulary', cause === undefined ? parts : { ...parts, cause });
}
