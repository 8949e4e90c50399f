import type { EncodeOptions } from './api.ts';
import { segment, type WorkCounter } from './bpe.ts';
import { checkOptions, DECODER_RULES, ENCODE_RULES } from './check.ts';
import { OptionError } from './errors.ts';
import { type Lexicon, lexiconOf } from './lexicon.ts';
import { idsOfType, PieceType, type Vocabulary } from './model-file.ts';
import type { TextList } from './text-list.ts';
import { byteOfPiece, textsOf } from './vocabulary.ts';

const SPACE = '\u2581';

/** What SentencePiece prints for the unknown piece (`unk_surface` of sentencepiece_model.proto). */
const UNKNOWN_SURFACE = ' \u2047 ';

export interface DecoderOptions {
  /**
   * Drop the space that encoding put before the text. Default true; pass false where the pieces continue a prompt.
   * Without effect for vocabularies that put no space there.
   */
  stripLeadingSpace?: boolean;
}

/**
 * Text to token ids and back, as SentencePiece does it for Llama 2 (BPE, identity normalisation, byte fallback):
 * github.com/google/sentencepiece, src/bpe_model.cc and src/sentencepiece_processor.cc.
 */
export class Tokenizer {
  readonly vocabulary: Vocabulary;
  /** Number of token ids. */
  readonly size: number;
  /** −1 where the vocabulary has none. */
  readonly bos: number;
  readonly eos: number;
  readonly unknown: number;
  /** Whether `encode` adds them by default. */
  readonly addBos: boolean;
  readonly addEos: boolean;

  private readonly texts: TextList;
  /** Those that were asked for. */
  private readonly pieces: (string | undefined)[];
  /** Made when a text is first encoded: decoding does without. */
  private lexicon: Lexicon | undefined;
  /** Byte → id, −1 where there is no such piece; and id → byte, likewise. */
  private readonly idOfByte: Int32Array;
  private readonly byteOfId: Int16Array;
  /** Finds any control piece, the longest first; undefined if there is none. */
  private readonly controlPattern: RegExp | undefined;
  private readonly controlIds: Map<string, number>;

  /** @param vocabulary one that `checkedVocabulary` has let pass. It is not copied. */
  constructor(vocabulary: Vocabulary) {
    const { types } = vocabulary;
    this.vocabulary = vocabulary;
    this.texts = textsOf(vocabulary);
    this.size = this.texts.length;
    this.pieces = new Array(this.size);
    this.bos = vocabulary.bos;
    this.eos = vocabulary.eos;
    this.unknown = vocabulary.unknown;
    this.addBos = vocabulary.addBos;
    this.addEos = vocabulary.addEos;
    this.idOfByte = new Int32Array(256).fill(-1);
    this.byteOfId = new Int16Array(this.size).fill(-1);
    this.controlIds = new Map();
    for (const id of idsOfType(types, PieceType.byte)) {
      const byte = byteOfPiece(this.texts.at(id)!)!;
      this.byteOfId[id] = byte;
      this.idOfByte[byte] = id;
    }
    for (const id of idsOfType(types, PieceType.control)) {
      const piece = this.texts.at(id)!;
      if (piece !== '' && !this.controlIds.has(piece)) this.controlIds.set(piece, id);
    }
    const spellings = [...this.controlIds.keys()].sort((a, b) => b.length - a.length);
    this.controlPattern =
      spellings.length === 0 ? undefined : new RegExp(spellings.map(escapeForPattern).join('|'), 'gu');
  }

  /**
   * The ids of a text. A space goes before it if the vocabulary asks for one (and before what follows a control piece,
   * with `special`, as in llama.cpp). Characters that the vocabulary lacks become the pieces of their UTF-8 bytes, or
   * else the unknown piece, one for a run of them. A lone surrogate counts as U+FFFD.
   *
   * Takes O(n log n) for n code points. `work` counts what it did; it is there for the tests.
   *
   * @throws OptionError 'option-type' for anything but a string and booleans, 'option-range' for a BOS or EOS that the
   * vocabulary does not have.
   */
  encode(text: string, options: EncodeOptions = {}, work?: WorkCounter): number[] {
    if (typeof text !== 'string') throw wrongType('encode: text', 'a string', text);
    checkOptions('encode', options, ENCODE_RULES);
    const ids: number[] = [];
    const bos = this.switchOf('bos', options.bos, this.addBos, this.bos);
    const eos = this.switchOf('eos', options.eos, this.addEos, this.eos);
    const special = options.special ?? false;

    if (bos) ids.push(this.bos);
    let start = 0;
    if (special && this.controlPattern !== undefined) {
      text = text.replace(/\p{Surrogate}/gu, '\uFFFD');
      for (const match of text.matchAll(this.controlPattern)) {
        this.encodeText(text.slice(start, match.index), ids, work);
        ids.push(this.controlIds.get(match[0])!);
        start = match.index + match[0].length;
      }
    }
    this.encodeText(text.slice(start), ids, work);
    if (eos) ids.push(this.eos);
    return ids;
  }

  /**
   * The text of ids. Control pieces say nothing; byte pieces that are not UTF-8 become U+FFFD; the space that `encode`
   * put before the text is dropped. `decode(encode(text)) === text` for well-formed text without U+2581 wherever the
   * vocabulary has all bytes.
   *
   * @throws OptionError 'token-out-of-range'.
   */
  decode(ids: Iterable<number>): string {
    if (typeof ids !== 'object' || ids === null || !(Symbol.iterator in ids)) {
      throw wrongType('decode: ids', 'token ids', ids);
    }
    const decoder = this.decoder();
    let text = '';
    for (const id of ids) text += decoder.push(id);
    return text + decoder.end();
  }

  /** Decodes one id at a time: what `push` and `end` return is, put together, what `decode` returns. */
  decoder(options: DecoderOptions = {}): StreamDecoder {
    checkOptions('decoder', options, DECODER_RULES);
    const strip = options.stripLeadingSpace ?? true;
    return new StreamDecoder(this, strip && this.vocabulary.addSpacePrefix);
  }

  /**
   * The piece as the vocabulary has it: `▁the`, `<0x0A>`, `</s>`.
   * @throws OptionError 'token-out-of-range'.
   */
  piece(id: number): string {
    const piece = this.pieces[id] ?? this.texts.at(id);
    if (piece !== undefined) {
      this.pieces[id] = piece;
      return piece;
    }
    throw new OptionError('token-out-of-range', {
      where: 'token id',
      expected: `an integer in 0 .. ${this.size - 1}`,
      got: String(id),
      hint: 'The ids must come from the vocabulary of this model.',
    });
  }

  /** The byte that a piece stands for, −1 for all that are not byte pieces. */
  byte(id: number): number {
    return this.byteOfId[id] ?? -1;
  }

  /** Makes what `encode` needs, or else its first call does. @internal */
  prepare(): Lexicon {
    const { scores, types } = this.vocabulary;
    this.lexicon ??= lexiconOf(this.texts, scores, types);
    return this.lexicon;
  }

  private encodeText(text: string, ids: number[], work: WorkCounter | undefined): void {
    if (text === '') return;
    const prefixed = this.vocabulary.addSpacePrefix ? ` ${text}` : text;
    // a lone surrogate becomes U+FFFD here
    const escaped = new TextEncoder().encode(prefixed.replaceAll(' ', SPACE));
    let afterUnknown = false;
    const emit = (id: number, start: number, length: number): void => {
      if (id >= 0) {
        ids.push(id);
        afterUnknown = false;
      } else {
        afterUnknown = this.pushBytes(escaped.subarray(start, start + length), ids, afterUnknown);
      }
    };
    segment(this.prepare(), escaped, emit, work);
  }

  /** Pushes the bytes of a character that has no piece; returns true if it became the unknown piece instead. */
  private pushBytes(character: Uint8Array, ids: number[], afterUnknown: boolean): boolean {
    const bytes = Array.from(character, byte => this.idOfByte[byte]!);
    if (!bytes.includes(-1)) {
      ids.push(...bytes);
      return false;
    }
    // as SentencePiece has it, a run of unknown characters is one unknown piece
    if (!afterUnknown) ids.push(this.unknown);
    return true;
  }

  private switchOf(name: 'bos' | 'eos', asked: boolean | undefined, otherwise: boolean, id: number): boolean {
    if (asked === undefined) return otherwise;
    if (asked && id < 0) {
      throw new OptionError('option-range', {
        where: `encode: ${name}`,
        expected: 'false',
        got: 'true',
        hint: `The vocabulary of this model has no ${name.toUpperCase()}.`,
      });
    }
    return asked;
  }
}

/** Turns ids into text as they come, holding bytes back while a UTF-8 sequence is incomplete. */
export class StreamDecoder {
  private readonly tokenizer: Tokenizer;
  /** True until the first piece that is not control, if its leading space is to be dropped. */
  private strip: boolean;
  // ignoreBOM: U+FEFF is text like any other
  private readonly utf8: TextDecoder = new TextDecoder('utf-8', { ignoreBOM: true });
  /** Whether `utf8` may hold bytes. */
  private inBytes = false;
  /** Whether the last text ended a character for certain. */
  private whole = true;

  /** Use `tokenizer.decoder()`. */
  constructor(tokenizer: Tokenizer, strip: boolean) {
    this.tokenizer = tokenizer;
    this.strip = strip;
  }

  /**
   * The text that became certain with this id.
   * @throws OptionError 'token-out-of-range'.
   */
  push(id: number): string {
    const piece = this.tokenizer.piece(id);
    const type = this.tokenizer.vocabulary.types[id];
    if (type === PieceType.control) return '';
    const first = this.strip;
    this.strip = false;
    if (type === PieceType.byte) {
      this.inBytes = true;
      const text = this.utf8.decode(Uint8Array.of(this.tokenizer.byte(id)), { stream: true });
      // after U+FFFD a byte may be held that begins the next character
      this.whole = text !== '' && !text.endsWith('\uFFFD');
      return text;
    }
    // a text piece begins a new character, so bytes still held back are malformed
    const malformed = this.end();
    if (type === PieceType.unknown) return malformed + UNKNOWN_SURFACE;
    const text = piece.replaceAll(SPACE, ' ');
    return malformed + (first && text.startsWith(' ') ? text.slice(1) : text);
  }

  /** Whether bytes may be held back, so that `end` or the next id would tell more. */
  get pending(): boolean {
    return this.inBytes && !this.whole;
  }

  /** The rest: U+FFFD if the ids ended inside a UTF-8 sequence, else nothing. */
  end(): string {
    if (!this.inBytes) return '';
    this.inBytes = false;
    return this.utf8.decode();
  }
}

/** The text as a pattern with the `u` flag that matches just it. */
function escapeForPattern(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}

function wrongType(where: string, expected: string, value: unknown): OptionError {
  return new OptionError('option-type', {
    where,
    expected,
    got: value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value,
    hint: 'See EncodeOptions.',
  });
}
