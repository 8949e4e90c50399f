import { type ErrorParts, FileError, quote } from './errors.ts';
import { PieceType, type Vocabulary } from './model-file.ts';
import { MessageWriter, readFields, type WireValue } from './protobuf.ts';
import { TextList } from './text-list.ts';
import { checkedVocabulary } from './vocabulary.ts';

// google/sentencepiece, src/sentencepiece_model.proto
const MODEL = { pieces: 1, trainerSpec: 2, normalizerSpec: 3 } as const;
const PIECE = { piece: 1, score: 2, type: 3 } as const;
const TRAINER = {
  modelType: 3,
  vocabSize: 4,
  characterCoverage: 10,
  maxPieceLength: 20,
  splitByUnicodeScript: 21,
  splitByWhitespace: 22,
  splitByNumber: 23,
  whitespaceAsSuffix: 24,
  splitDigits: 25,
  whitespaceOnlyPieces: 26,
  byteFallback: 35,
  unknownId: 40,
  bosId: 41,
  eosId: 42,
  padId: 43,
  unknownSurface: 44,
} as const;
const NORMALIZER = {
  name: 1,
  charsMap: 2,
  addDummyPrefix: 3,
  removeExtraWhitespaces: 4,
  escapeWhitespaces: 5,
} as const;
const BPE = 2;

const DECODER = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Whether bytes begin as a SentencePiece model does: field 1, a piece of less than 128 bytes, whose own field 1 follows.
 * A llama2.c tokenizer begins with a length of which the upper bytes are zero.
 */
export function isSentencePiece(bytes: Uint8Array): boolean {
  return bytes[0] === 0x0a && bytes[1]! > 0 && bytes[1]! < 0x80 && bytes[2] === 0x0a;
}

/**
 * The vocabulary of a SentencePiece model file (`tokenizer.model`, the protobuf message ModelProto). BPE models with
 * the identity normaliser are read: those of the Llama family.
 *
 * @throws FileError 'bad-message' for bytes that are no such message, 'unsupported-tokenizer' for another model type or
 * normaliser, 'bad-vocabulary' for pieces or ids that cannot be a vocabulary.
 */
export function vocabularyFromSentencePiece(bytes: Uint8Array, fileName: string): Vocabulary {
  const pieces: string[] = [];
  const scores: number[] = [];
  const types: number[] = [];
  const trainer = new Map<number, WireValue>();
  const normalizer = new Map<number, WireValue>();
  for (const { number, value } of readFields(bytes, fileName)) {
    if (!(value instanceof Uint8Array)) continue;
    if (number === MODEL.pieces) {
      const { piece, score, type } = readPiece(value, `${fileName}: piece ${pieces.length}`);
      pieces.push(piece);
      scores.push(score);
      types.push(type);
    } else if (number === MODEL.trainerSpec || number === MODEL.normalizerSpec) {
      const fields = number === MODEL.trainerSpec ? trainer : normalizer;
      for (const field of readFields(value, fileName)) fields.set(field.number, field.value);
    }
  }
  const int = (fields: Map<number, WireValue>, field: number, otherwise: number): number => {
    const value = fields.get(field);
    return typeof value === 'bigint' ? Number(BigInt.asIntN(32, value)) : otherwise;
  };
  if (pieces.length === 0) throw bad(fileName, 'at least one piece', 'none');

  const must = (what: string, got: number, wanted: number, meaning: string): void => {
    if (got !== wanted) throw unsupported(`${fileName}: ${what}`, `${wanted} (${meaning})`, String(got));
  };
  must('model_type', int(trainer, TRAINER.modelType, 1), BPE, 'BPE');
  must('treat_whitespace_as_suffix', int(trainer, TRAINER.whitespaceAsSuffix, 0), 0, 'spaces before words');
  must('escape_whitespaces', int(normalizer, NORMALIZER.escapeWhitespaces, 1), 1, 'spaces as U+2581');
  must(
    'remove_extra_whitespaces',
    int(normalizer, NORMALIZER.removeExtraWhitespaces, 1),
    0,
    'all spaces are kept',
  );
  const map = normalizer.get(NORMALIZER.charsMap);
  if (map instanceof Uint8Array && map.length > 0) {
    throw unsupported(
      `${fileName}: precompiled_charsmap`,
      'none (identity normaliser)',
      `${map.length} bytes`,
    );
  }

  // an id without a piece means that there is none, as −1 does
  const id = (field: number, llamaId: number): number => {
    const given = int(trainer, field, llamaId);
    return given >= 0 && given < pieces.length ? given : -1;
  };
  const bos = id(TRAINER.bosId, 1);
  return checkedVocabulary(
    TextList.of(pieces),
    {
      pieces,
      scores: Float32Array.from(scores),
      types: Uint8Array.from(types),
      bos,
      eos: id(TRAINER.eosId, 2),
      unknown: id(TRAINER.unknownId, 0),
      addBos: bos >= 0,
      addEos: false,
      addSpacePrefix: int(normalizer, NORMALIZER.addDummyPrefix, 1) !== 0,
    },
    key => `${fileName}: ${key}`,
  );
}

function readPiece(message: Uint8Array, where: string): { piece: string; score: number; type: number } {
  let piece = '';
  let score = 0;
  let type: number = PieceType.normal;
  for (const { number, value } of readFields(message, where)) {
    if (number === PIECE.piece && value instanceof Uint8Array) {
      try {
        piece = DECODER.decode(value);
      } catch (cause) {
        throw bad(where, 'UTF-8', 'other bytes', cause);
      }
    } else if (number === PIECE.score && typeof value === 'bigint') {
      score = new Float32Array(Uint32Array.of(Number(BigInt.asUintN(32, value))).buffer)[0]!;
    } else if (number === PIECE.type && typeof value === 'bigint') {
      type = Number(value);
      if (type < PieceType.normal || type > PieceType.byte)
        throw bad(where, 'a type in 1 .. 6', String(type));
    }
  }
  return { piece, score, type };
}

/** How a vocabulary was trained: what SentencePiece shows of a model, and its encoder does not need. */
export interface TrainedWith {
  characterCoverage?: number;
  maxPieceLength?: number;
  splitDigits?: boolean;
}

/** A `tokenizer.model` that SentencePiece opens, with the identity normaliser. `addBos` and `addEos` have no place in it. */
export function writeSentencePiece(vocabulary: Vocabulary, trained: TrainedWith = {}): Uint8Array {
  const { pieces, scores, types, unknown, bos, eos, addSpacePrefix } = vocabulary;
  const model = new MessageWriter();
  for (let id = 0; id < pieces.length; id++) {
    const piece = new MessageWriter().string(PIECE.piece, pieces[id]!).float(PIECE.score, scores[id]!);
    if (types[id] !== PieceType.normal) piece.int(PIECE.type, types[id]!);
    model.bytes(MODEL.pieces, piece.done());
  }
  const trainer = new MessageWriter()
    .int(TRAINER.modelType, BPE)
    .int(TRAINER.vocabSize, pieces.length)
    .float(TRAINER.characterCoverage, trained.characterCoverage ?? 1)
    .int(TRAINER.maxPieceLength, trained.maxPieceLength ?? 16)
    .int(TRAINER.splitByUnicodeScript, true)
    .int(TRAINER.splitByWhitespace, true)
    .int(TRAINER.splitByNumber, true)
    .int(TRAINER.whitespaceAsSuffix, false)
    .int(TRAINER.splitDigits, trained.splitDigits ?? true)
    .int(TRAINER.whitespaceOnlyPieces, true)
    .int(TRAINER.byteFallback, types.includes(PieceType.byte))
    .int(TRAINER.unknownId, unknown)
    .int(TRAINER.bosId, bos)
    .int(TRAINER.eosId, eos)
    .int(TRAINER.padId, -1)
    .string(TRAINER.unknownSurface, ' \u2047 ');
  const normalizer = new MessageWriter()
    .string(NORMALIZER.name, 'identity')
    .bytes(NORMALIZER.charsMap, new Uint8Array())
    .int(NORMALIZER.addDummyPrefix, addSpacePrefix)
    .int(NORMALIZER.removeExtraWhitespaces, false)
    .int(NORMALIZER.escapeWhitespaces, true);
  return model.bytes(MODEL.trainerSpec, trainer.done()).bytes(MODEL.normalizerSpec, normalizer.done()).done();
}

function unsupported(where: string, expected: string, got: string): FileError {
  return new FileError('unsupported-tokenizer', {
    where,
    expected,
    got: quote(got),
    hint: 'SentencePiece BPE models of the Llama family are supported.',
  });
}

function bad(where: string, expected: string, got: string, cause?: unknown): FileError {
  const parts: ErrorParts = { where, expected, got, hint: 'Download or export the tokenizer again.' };
  return new FileError('bad-vocabulary', cause === undefined ? parts : { ...parts, cause });
}
