import { type Script, scriptOf } from '../scripts.ts';

export const SPACE = '\u2581';

/** Longer stretches are cut for counting, so that a text without spaces costs no square of its length. Characters. */
const LONGEST_SPAN = 128;

/** The words of a line: spaces, then whatever follows them. Line feeds go with no word. */
const WORD = /\u2581*[^\u2581\n]+|\u2581+|\n/g;

/** Strings with how often they occur. */
export type Counts = Map<string, number>;

/** Collects the words of documents as the encoder will meet them: a space before a document, U+2581 for every space. */
export class WordCounter {
  readonly words: Counts = new Map();
  /** UTF-8 bytes of all documents. */
  bytes = 0;
  documents = 0;
  readonly #addSpacePrefix: boolean;
  readonly #utf8 = new TextEncoder();
  #buffer = new Uint8Array(2 ** 16);

  constructor(addSpacePrefix: boolean) {
    this.#addSpacePrefix = addSpacePrefix;
  }

  add(document: string): void {
    if (document === '') return;
    this.documents++;
    this.bytes += this.#utf8Length(document);
    const prefixed = this.#addSpacePrefix ? ` ${document}` : document;
    const spelt = prefixed.replaceAll(' ', SPACE).replace(/\p{Surrogate}/gu, '\ufffd');
    for (const [word] of spelt.matchAll(WORD)) this.words.set(word, (this.words.get(word) ?? 0) + 1);
  }

  #utf8Length(text: string): number {
    if (this.#buffer.length < 3 * text.length) this.#buffer = new Uint8Array(3 * text.length);
    return this.#utf8.encodeInto(text, this.#buffer).written;
  }
}

/** How often each character occurs. */
export function countCharacters(words: Counts): Counts {
  const counts: Counts = new Map();
  for (const [word, count] of words) {
    for (const character of word) counts.set(character, (counts.get(character) ?? 0) + count);
  }
  return counts;
}

/** C0, DEL and C1: they say how text is laid out, and are bytes to Llama's vocabulary. */
export function isControl(character: string): boolean {
  return /^\p{Cc}$/u.test(character);
}

export interface SpanRules {
  /** Characters that become pieces; others end a span. */
  characters: ReadonlySet<string>;
  /** Each digit stands alone, ASCII and full width, as SentencePiece has it. */
  splitDigits: boolean;
}

/** Spaces stand at the beginning of a piece, and one of them, or are all of it. */
export function isPiece(text: string): boolean {
  return text.lastIndexOf(SPACE) < 1 || /^\u2581+$/.test(text);
}

/**
 * The stretches of words inside of which pieces may form, with how often they occur: a piece has characters of one script
 * (punctuation and digits are of the script Common) and is as `isPiece` says (google/sentencepiece,
 * src/trainer_interface.cc, `IsValidSentencePiece`).
 */
export function countSpans(words: Counts, rules: SpanRules): Counts {
  const spans: Counts = new Map();
  for (const [word, count] of words) {
    for (const span of spansOf(word, rules)) spans.set(span, (spans.get(span) ?? 0) + count);
  }
  return spans;
}

function* spansOf(word: string, { characters, splitDigits }: SpanRules): Generator<string> {
  let span = '';
  let length = 0;
  let script: Script | undefined; // undefined: whatever follows may join
  for (const character of word) {
    const known = characters.has(character);
    const alone = !known || (splitDigits && /^[0-9\uff10-\uff19]$/.test(character)) || isControl(character);
    let own: Script | undefined = character === SPACE ? undefined : scriptOf(character.codePointAt(0)!);
    if (own === 'inherited') own = script;
    const joins = !alone && length < LONGEST_SPAN && (script === undefined || own === script);
    if (!joins && span !== '') {
      yield span;
      span = '';
      length = 0;
    }
    if (alone) {
      if (known) yield character;
      script = undefined;
      continue;
    }
    span += character;
    length++;
    script = own;
  }
  if (span !== '') yield span;
}
