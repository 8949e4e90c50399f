import { PieceType, type Vocabulary } from '../../host/model-file.ts';

type Entry = [piece: string, score: number, type: number];

const SPECIAL: Entry[] = [
  ['<unk>', 0, PieceType.unknown],
  ['<s>', 0, PieceType.control],
  ['</s>', 0, PieceType.control],
];
const BYTES: Entry[] = Array.from({ length: 256 }, (_, byte) => [
  `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
  0,
  PieceType.byte,
]);
// Each is here for a reason: equal scores, of which the lower id must not win (bc, ab); a long piece that scores worse
// than a short one (abc, ca); a pair whose parts are no pieces (xy); an unused step on the way to a piece (de, def);
// user-defined pieces that overlap, and a piece that one would merge into ([U]b); a step towards `<s>` (s>).
const TEXT: Entry[] = [
  ['▁', -10, PieceType.normal],
  ['a', -11, PieceType.normal],
  ['b', -12, PieceType.normal],
  ['c', -13, PieceType.normal],
  ['bc', -1, PieceType.normal],
  ['ab', -1, PieceType.normal],
  ['abc', -5, PieceType.normal],
  ['ca', -0.5, PieceType.normal],
  ['▁a', -2, PieceType.normal],
  ['aa', -3, PieceType.normal],
  ['▁▁', -4, PieceType.normal],
  ['xy', -6, PieceType.normal],
  ['d', -14, PieceType.normal],
  ['de', -2.5, PieceType.unused],
  ['def', -7, PieceType.normal],
  ['f', -15, PieceType.normal],
  ['[U]', 0, PieceType.userDefined],
  ['[U][U]', 0, PieceType.userDefined],
  ['c[', -0.25, PieceType.normal],
  ['[U]b', -0.1, PieceType.normal],
  ['s>', -3, PieceType.normal],
  ['\ufffd', -16, PieceType.normal],
];

/** A vocabulary small enough to be read: unknown 0, BOS 1, EOS 2, bytes 3 .. 258 if asked for, then 22 pieces. */
export function handMade(withBytes: boolean, changes: Partial<Vocabulary> = {}): Vocabulary {
  const entries = withBytes ? [...SPECIAL, ...BYTES, ...TEXT] : [...SPECIAL, ...TEXT];
  return {
    pieces: entries.map(([piece]) => piece),
    scores: Float32Array.from(entries, ([, score]) => score),
    types: Uint8Array.from(entries, ([, , type]) => type),
    bos: 1,
    eos: 2,
    unknown: 0,
    addBos: false,
    addEos: false,
    addSpacePrefix: true,
    ...changes,
  };
}

/** A llama2.c tokenizer.bin with these pieces, as tokenizer.py writes them. */
export function llama2cTokenizer(pieces: [bytes: Uint8Array, score: number][]): Uint8Array {
  const size = pieces.reduce((sum, [bytes]) => sum + 8 + bytes.length, 4);
  const file = new Uint8Array(size);
  const view = new DataView(file.buffer);
  view.setUint32(0, Math.max(0, ...pieces.map(([bytes]) => bytes.length)), true);
  let offset = 4;
  for (const [bytes, score] of pieces) {
    view.setFloat32(offset, score, true);
    view.setUint32(offset + 4, bytes.length, true);
    file.set(bytes, offset + 8);
    offset += 8 + bytes.length;
  }
  return file;
}
