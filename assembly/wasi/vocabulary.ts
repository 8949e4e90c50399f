// The SentencePiece vocabulary of the file (host/vocabulary.ts): pieces stay in the header's bytes.

import { at, fail } from './errors';
import {
  ARRAY, BOOL, F32, F64, I16, I8, STRING, U16, U32, U8, findKey, typeOfKey, valueOfKey,
} from './gguf';
import { take } from './memory';
import { Names } from './names';
import { isText } from './text';
import { keySays, numberOfKey } from './values';

/** SentencePiece's types of pieces. */
export const NORMAL: u32 = 1, UNKNOWN: u32 = 2, CONTROL: u32 = 3, USER_DEFINED: u32 = 4, UNUSED: u32 = 5, BYTE: u32 = 6;

/** Pieces; 0 where the file brings no vocabulary. */
export let pieceCount: u32 = 0;
/** Those that text may become by merging are entered as names. */
export let pieces: Names = changetype<Names>(0);
let types: usize = 0; // (pieceCount) u8
let scores: usize = 0; // (pieceCount) f32
/** By byte: its piece, −1 where there is none. */
const PIECE_OF_BYTE = memory.data(256 * 4, 4);
let bytePieces: u32 = 0;
/** −1 where there is none. */
export let bos: i32 = -1;
export let eos: i32 = -1;
export let unknown: i32 = -1;
export let addBos = false;
export let addSpacePrefix = true;

export function typeOf(id: u32): u32 {
  return load<u8>(types + id);
}
export function scoreOf(id: u32): f32 {
  return load<f32>(scores + (<usize>id << 2));
}
export function pieceOfByte(byte: u32): i32 {
  return load<i32>(PIECE_OF_BYTE + (<usize>byte << 2));
}

function bad(expected: string, got: string, number: i64 = 0): void {
  fail('bad-vocabulary', expected, got, 'The vocabulary is damaged: convert or download the model again.', number);
}

/** An array of a file: the type of its items, how many, and the first one's address. */
let itemType: u32 = 0;
let itemCount: u64 = 0;
let items: usize = 0;

/** Whether a key's value is an array, which `itemType`, `itemCount` and `items` then describe. */
function openArray(key: i32): bool {
  if (key < 0 || typeOfKey(key) != ARRAY) return false;
  const value = valueOfKey(key);
  itemType = load<u32>(value);
  itemCount = load<u64>(value, 4);
  items = value + 12;
  return true;
}

export function readVocabulary(): void {
  const model = findKey('tokenizer.ggml.model');
  const tokens = findKey('tokenizer.ggml.tokens');
  if (model < 0 && tokens < 0) return;
  at('tokenizer.ggml.model');
  if (model < 0 || typeOfKey(model) != STRING) bad('a string', 'something else');
  if (!keySays(model, 'llama')) {
    const hint = 'Byte-level BPE and other tokenizers are not supported.';
    fail('unsupported-tokenizer', '"llama" (SentencePiece BPE)', 'another', hint);
  }
  at('tokenizer.ggml.tokens');
  if (!openArray(tokens) || itemType != STRING || itemCount == 0) bad('a list of strings', 'something else');
  readPieces();
  readScores();
  unknown = specialId('tokenizer.ggml.unknown_token_id', 0, '<unk>');
  bos = specialId('tokenizer.ggml.bos_token_id', 1, '<s>');
  eos = specialId('tokenizer.ggml.eos_token_id', 2, '</s>');
  readTypes();
  addBos = flag('tokenizer.ggml.add_bos_token', true) && bos >= 0;
  flag('tokenizer.ggml.add_eos_token', false); // is no part of a prompt
  addSpacePrefix = flag('tokenizer.ggml.add_space_prefix', true);
  enterPieces();
}

function readPieces(): void {
  pieceCount = <u32>itemCount;
  pieces = Names.make(pieceCount);
  let stored = items;
  for (let id: u32 = 0; id < pieceCount; id++) {
    const length = load<u32>(stored);
    pieces.put(id, stored + 8, length);
    stored += 8 + length;
  }
}

function readScores(): void {
  at('tokenizer.ggml.scores');
  const found = openArray(findKey('tokenizer.ggml.scores'));
  if (!found || (itemType != F32 && itemType != F64)) bad('a list of floats', 'something else');
  if (itemCount != pieceCount) bad('a score for each piece', '# scores', itemCount);
  scores = take(<u64>pieceCount * 4);
  for (let id: u32 = 0; id < pieceCount; id++) {
    const score = itemType == F32 ? load<f32>(items + (<usize>id << 2)) : <f32>load<f64>(items + (<usize>id << 3));
    if (isNaN(score)) bad('a score', 'NaN as score #', id);
    store<f32>(scores + (<usize>id << 2), score);
  }
}

function specialId(key: string, llamaId: u32, llamaPiece: string): i32 {
  const index = findKey(key);
  if (index < 0) {
    if (llamaId >= pieceCount) return -1;
    return isText(pieces.start(llamaId), pieces.length(llamaId), llamaPiece) ? llamaId : -1;
  }
  at(key);
  const type = typeOfKey(index);
  if (type == BOOL || type == STRING || type == ARRAY) bad('an integer', 'something else');
  const id = numberOfKey(index);
  if (id == 4294967295) return -1; // how −1 looks in the u32 that writers use
  if (id != Math.floor(id) || id < 0 || id >= <f64>pieceCount) bad('the number of a piece', '#', <i64>id);
  return <i32>id;
}

function flag(key: string, otherwise: bool): bool {
  const index = findKey(key);
  if (index < 0) return otherwise;
  at(key);
  if (typeOfKey(index) != BOOL) bad('true or false', 'something else');
  return load<u8>(valueOfKey(index)) != 0;
}

function readTypes(): void {
  types = take(pieceCount);
  const key = findKey('tokenizer.ggml.token_type');
  if (key < 0) {
    for (let id: u32 = 0; id < pieceCount; id++) store<u8>(types + id, <u8>(byteOf(id) < 0 ? NORMAL : BYTE));
    if (bos >= 0) store<u8>(types + bos, <u8>CONTROL);
    if (eos >= 0) store<u8>(types + eos, <u8>CONTROL);
    if (unknown >= 0) store<u8>(types + unknown, <u8>UNKNOWN);
    return;
  }
  at('tokenizer.ggml.token_type');
  if (!openArray(key) || itemType == STRING || itemType == BOOL || itemType > BOOL || itemType == F32) {
    bad('a list of integers', 'something else');
  }
  if (itemCount != pieceCount) bad('a type for each piece', '# types', itemCount);
  for (let id: u32 = 0; id < pieceCount; id++) {
    const type = smallInteger(id);
    if (type < <i64>NORMAL || type > <i64>BYTE) bad('a type in 1 .. 6', '#', type);
    store<u8>(types + id, <u8>type);
  }
}

function smallInteger(index: u32): i64 {
  if (itemType == U8) return load<u8>(items + index);
  if (itemType == I8) return load<i8>(items + index);
  if (itemType == U16) return load<u16>(items + (<usize>index << 1));
  if (itemType == I16) return load<i16>(items + (<usize>index << 1));
  if (itemType == U32) return load<u32>(items + (<usize>index << 2));
  return load<i32>(items + (<usize>index << 2));
}

/** The byte that a piece `<0x0A>` stands for, −1 for any other. */
export function byteOf(id: u32): i32 {
  const piece = pieces.start(id);
  if (pieces.length(id) != 6 || !isText(piece, 3, '<0x') || load<u8>(piece, 5) != 0x3e) return -1;
  const high = digitOf(load<u8>(piece, 3)), low = digitOf(load<u8>(piece, 4));
  return high < 0 || low < 0 ? -1 : (high << 4) | low;
}

function digitOf(character: u8): i32 {
  if (character >= 0x30 && character <= 0x39) return character - 0x30;
  const letter = character | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/** One piece for each byte, an id for every text. */
function enterPieces(): void {
  at('tokenizer.ggml.tokens');
  memory.fill(PIECE_OF_BYTE, 0xff, 256 * 4);
  for (let id: u32 = 0; id < pieceCount; id++) {
    const type = typeOf(id);
    if (type == BYTE) {
      const byte = byteOf(id);
      if (byte < 0) bad('a byte piece such as <0x0A>', 'another as piece #', id);
      if (pieceOfByte(byte) >= 0) bad('one piece for each byte', 'another as piece #', id);
      store<i32>(PIECE_OF_BYTE + (<usize>byte << 2), id);
      bytePieces++;
    } else if ((type == NORMAL || type == UNUSED) && pieces.length(id) > 0) {
      pieces.enter(id);
    }
  }
  if (unknown < 0 && bytePieces < 256) bad('all 256 byte pieces or an unknown piece', '# byte pieces', bytePieces);
}
