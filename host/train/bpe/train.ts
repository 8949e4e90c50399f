import { checkOptions, type Rules, SWITCH } from '../../check.ts';
import { FileError, OptionError } from '../../errors.ts';
import { PieceType, type Vocabulary } from '../../model-file.ts';
import { Merger } from './merge.ts';
import { type Counts, countCharacters, countSpans, isControl, WordCounter } from './words.ts';

/** What SentencePiece calls these; the defaults are those of Llama 2's vocabulary. */
export interface TokenizerOptions {
  /** Pieces in all: 3 special ones, 256 bytes, merges, characters. Default: no merges, a vocabulary of characters. */
  vocabSize?: number;
  /** Characters without a piece become pieces of their bytes; otherwise they are unknown. Default true. */
  byteFallback?: boolean;
  /** Each digit is a token. Default true. */
  splitDigits?: boolean;
  /** The share of the text whose characters, the most frequent first, become pieces. Default 0.99995. */
  characterCoverage?: number;
  /** A space goes before every text. Default true. */
  addDummyPrefix?: boolean;
  /** Characters of a piece at most. Default 16. */
  maxPieceLength?: number;
  signal?: AbortSignal;
  /** Called with how many pieces there are. */
  onProgress?: (progress: { done: number; total: number }) => void;
}

export interface TrainedTokenizer {
  vocabulary: Vocabulary;
  documents: number;
  /** UTF-8 bytes of the text. */
  bytes: number;
  /** Characters that are pieces. */
  characters: number;
  /** Pieces that were merged. */
  merges: number;
}

const RULES: Rules = {
  vocabSize: {
    expected: 'an integer from 4 to 2^24',
    numeric: true,
    test: v => Number.isInteger(v) && (v as number) >= 4 && (v as number) <= 2 ** 24,
  },
  byteFallback: SWITCH,
  splitDigits: SWITCH,
  characterCoverage: {
    expected: 'a number above 0 and at most 1',
    numeric: true,
    test: v => typeof v === 'number' && v > 0 && v <= 1,
  },
  addDummyPrefix: SWITCH,
  maxPieceLength: {
    expected: 'an integer from 1 to 512',
    numeric: true,
    test: v => Number.isInteger(v) && (v as number) >= 1 && (v as number) <= 512,
  },
  signal: { expected: 'an AbortSignal', numeric: false, test: v => typeof v === 'object' },
  onProgress: { expected: 'a function', numeric: false, test: v => typeof v === 'function' },
};

const SPECIAL = [
  ['<unk>', PieceType.unknown],
  ['<s>', PieceType.control],
  ['</s>', PieceType.control],
] as const;

/** Pieces found between two looks at the event loop. */
const AT_ONCE = 256;

/**
 * Trains a SentencePiece-style BPE vocabulary: ids 0 to 2 unknown, BOS and EOS; 256 bytes; merged pieces, the first merged
 * first; characters, the most frequent first. Scores fall by 1 an id. Only integers decide, and ties are broken by the text
 * itself, so that the same documents in any order give the same vocabulary on every machine.
 *
 * The text is merged as the encoder will merge it: a string that several pairs spell is one candidate, with the sum of their
 * counts. Line feeds and other control characters are left to the byte pieces where there are some.
 *
 * @throws OptionError for options, and 'option-range' where the text has too many characters or too few pairs for
 * `vocabSize`; FileError 'no-text'; the signal's reason
 */
export async function trainTokenizer(
  documents: Iterable<string> | AsyncIterable<string>,
  options: TokenizerOptions = {},
): Promise<TrainedTokenizer> {
  checkOptions('trainTokenizer', options, RULES);
  const { vocabSize, signal, onProgress } = options;
  const { byteFallback = true, splitDigits = true, characterCoverage = 0.99995 } = options;
  const { addDummyPrefix = true, maxPieceLength = 16 } = options;

  const counter = new WordCounter(addDummyPrefix);
  for await (const document of documents) {
    signal?.throwIfAborted();
    counter.add(document);
  }
  const { words, bytes } = counter;
  if (words.size === 0) {
    throw new FileError('no-text', {
      where: 'trainTokenizer',
      expected: 'text to train on',
      got: 'none',
      hint: 'The documents are all empty: check the files and the field that is read.',
    });
  }

  const characters = coveredCharacters(countCharacters(words), characterCoverage, byteFallback);
  const fixed = SPECIAL.length + (byteFallback ? 256 : 0);
  const smallest = fixed + characters.length;
  const total = (vocabSize ?? smallest) - smallest;
  if (total < 0) {
    const parts = `3 special${byteFallback ? ', 256 bytes' : ''} and ${characters.length} characters`;
    throw size(
      `at least ${smallest} pieces: ${parts}`,
      String(vocabSize),
      'Ask for more pieces or a lower characterCoverage.',
    );
  }

  const spans = countSpans(words, { characters: new Set(characters), splitDigits });
  const merger = new Merger(spans, maxPieceLength);
  const merges: string[] = [];
  while (merges.length < total) {
    const piece = merger.next();
    if (piece === undefined) {
      throw size(
        `at most ${smallest + merges.length} pieces, all that this text gives`,
        String(vocabSize),
        'Ask for fewer pieces or train on more text.',
      );
    }
    merges.push(piece.text);
    if (merges.length % AT_ONCE === 0) {
      onProgress?.({ done: smallest + merges.length, total: smallest + total });
      await new Promise(resolve => setTimeout(resolve));
      signal?.throwIfAborted();
    }
  }
  return {
    vocabulary: vocabularyOf([...merges, ...characters], byteFallback, addDummyPrefix),
    documents: counter.documents,
    bytes,
    characters: characters.length,
    merges: merges.length,
  };
}

/** The most frequent characters that make up the share of the text, of equals the smaller first. */
function coveredCharacters(counts: Counts, coverage: number, byteFallback: boolean): string[] {
  const sorted = [...counts]
    .filter(([character]) => !(byteFallback && isControl(character)))
    .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  const all = sorted.reduce((sum, [, count]) => sum + count, 0);
  const covered: string[] = [];
  let sum = 0;
  for (const [character, count] of sorted) {
    if (sum >= coverage * all) break;
    sum += count;
    covered.push(character);
  }
  return covered;
}

function vocabularyOf(texts: string[], byteFallback: boolean, addSpacePrefix: boolean): Vocabulary {
  const bytes = Array.from({ length: byteFallback ? 256 : 0 }, (_, byte) => {
    return `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
  });
  const first = SPECIAL.length + bytes.length;
  const pieces = [...SPECIAL.map(([piece]) => piece), ...bytes, ...texts];
  const types = new Uint8Array(pieces.length).fill(PieceType.normal);
  SPECIAL.forEach(([, type], id) => void (types[id] = type));
  types.fill(PieceType.byte, SPECIAL.length, first);
  return {
    pieces,
    scores: Float32Array.from(pieces, (_, id) => (id > first ? first - id : 0)),
    types,
    unknown: 0,
    bos: 1,
    eos: 2,
    addBos: true,
    addEos: false,
    addSpacePrefix,
  };
}

function size(expected: string, got: string, hint: string): OptionError {
  return new OptionError('option-range', { where: 'trainTokenizer: vocabSize', expected, got, hint });
}
