import { type OpenSource, openSource } from '../../sources.ts';
import type { Tokenizer } from '../../tokenizer.ts';
import { type DataSource, nameOf, readDocuments } from '../data/documents.ts';
import { languageOf, scriptsOf } from './language.ts';
import { IDENTITIES, type Identities, PRONOUNS } from './words.ts';

export interface Amounts {
  documents: number;
  /** UTF-8. */
  bytes: number;
  /** Code points. */
  characters: number;
  words: number;
  /** Without BOS and EOS; absent without a tokenizer. */
  tokens?: number;
}

/** Documents that hold something, and their share of those that are looked at. */
export interface Rate {
  documents: number;
  share: number;
}

/** What is in a corpus, after section 4.1 of the Llama 2 paper; toxicity, which takes a classifier, is not in it. */
export interface DataReport extends Amounts {
  sources: (Amounts & {
    name: string;
    weight: number;
    /** Documents by licence, `unstated` where there is none. */
    licenses: Record<string, number>;
    /** Those that must be named with the text, each once. */
    attributions: string[];
  })[];
  /** Share of the letters. */
  scripts: Record<string, number>;
  /** Documents by language, `unknown` where no list of function words fits. */
  languages: Record<string, Rate>;
  /** `gendered` and `any` are shares of all documents; the others of those, as in table 9a. */
  pronouns: {
    gendered: Rate;
    she: Rate;
    he: Rate;
    unspecified: Rate;
    any: Rate;
    first: Rate;
    second: Rate;
    third: Rate;
  };
  /** By axis: documents with any of its terms, and the share of those that each term is in, as in table 9b. */
  identities: Record<string, Rate & { terms: Record<string, Rate> }>;
}

export interface ReportOptions {
  tokenizer?: Tokenizer;
  /** Terms by axis, in lower case, of one or several words. Default: those that table 9b names. */
  identities?: Identities;
  signal?: AbortSignal;
  onProgress?: (progress: { documents: number; bytes: number }) => void;
}

/** @throws as `readDocuments` @internal */
export async function dataReport(
  sources: readonly DataSource[],
  options: ReportOptions = {},
  open: OpenSource = openSource,
): Promise<DataReport> {
  const { tokenizer, identities = IDENTITIES, signal, onProgress } = options;
  const counter = new Counter(identities);
  const all = amounts(tokenizer);
  const parts: DataReport['sources'] = [];
  for (const source of sources) {
    const own = amounts(tokenizer);
    const licenses = new Map<string, number>();
    const attributions = new Set<string>();
    for await (const { text, license = 'unstated', attribution } of readDocuments(source, signal, open)) {
      const words = wordsOf(text);
      const one: Amounts = {
        documents: 1,
        bytes: new TextEncoder().encode(text).length,
        characters: lengthOf(text),
        words: words.length,
        ...(tokenizer && { tokens: tokenizer.encode(text, { bos: false, eos: false }).length }),
      };
      for (const sum of [own, all]) add(sum, one);
      licenses.set(license, (licenses.get(license) ?? 0) + 1);
      if (attribution !== undefined) attributions.add(attribution);
      counter.add(text, words);
      onProgress?.({ documents: all.documents, bytes: all.bytes });
    }
    parts.push({
      name: nameOf(source),
      weight: source.weight ?? 1,
      ...own,
      licenses: Object.fromEntries(licenses),
      attributions: [...attributions],
    });
  }
  return { ...all, sources: parts, ...counter.result(all.documents) };
}

/** Runs of letters, in lower case. */
function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{M}]+/gu) ?? [];
}

function lengthOf(text: string): number {
  let length = 0;
  for (const _ of text) length++;
  return length;
}

const amounts = (tokenizer: Tokenizer | undefined): Amounts => ({
  documents: 0,
  bytes: 0,
  characters: 0,
  words: 0,
  ...(tokenizer && { tokens: 0 }),
});

function add(sum: Amounts, one: Amounts): void {
  sum.documents += one.documents;
  sum.bytes += one.bytes;
  sum.characters += one.characters;
  sum.words += one.words;
  if (sum.tokens !== undefined) sum.tokens += one.tokens ?? 0;
}

/** Counts documents. */
class Counter {
  readonly #scripts = new Map<string, number>();
  readonly #languages = new Map<string, number>();
  readonly #pronouns = new Map<string, number>();
  readonly #axes: { name: string; terms: { words: string[]; term: string }[] }[];
  /** By axis, and by axis and term. */
  readonly #identities = new Map<string, number>();

  constructor(identities: Identities) {
    this.#axes = Object.entries(identities).map(([name, terms]) => ({
      name,
      terms: terms.map(term => ({ term, words: wordsOf(term) })),
    }));
  }

  add(text: string, words: readonly string[]): void {
    const scripts = scriptsOf(text);
    for (const [script, count] of scripts) increase(this.#scripts, script, count);
    increase(this.#languages, languageOf(text, words, scripts));

    const there = new Set(words);
    const has = (list: readonly string[]): boolean => list.some(word => there.has(word));
    const { she, he, unspecified, first, second, it } = PRONOUNS;
    const found = {
      she: has(she),
      he: has(he),
      unspecified: has(unspecified),
      first: has(first),
      second: has(second),
    };
    const gendered = found.she || found.he || found.unspecified;
    const third = gendered || has(it);
    const any = found.first || found.second || third;
    for (const [name, is] of Object.entries({ ...found, gendered, third, any }))
      if (is) increase(this.#pronouns, name);

    for (const { name, terms } of this.#axes) {
      const inside = terms.filter(({ words: term }) => holds(words, there, term));
      if (inside.length > 0) increase(this.#identities, name);
      for (const { term } of inside) increase(this.#identities, `${name}\n${term}`);
    }
  }

  result(documents: number): Pick<DataReport, 'scripts' | 'languages' | 'pronouns' | 'identities'> {
    const letters = [...this.#scripts.values()].reduce((sum, count) => sum + count, 0);
    const pronoun = (name: string, of: number): Rate => rate(this.#pronouns.get(name) ?? 0, of);
    const gendered = pronoun('gendered', documents);
    const any = pronoun('any', documents);
    return {
      scripts: Object.fromEntries(
        descending(this.#scripts).map(([script, count]) => [script, count / letters]),
      ),
      languages: Object.fromEntries(
        descending(this.#languages).map(([language, count]) => [language, rate(count, documents)]),
      ),
      pronouns: {
        gendered,
        she: pronoun('she', gendered.documents),
        he: pronoun('he', gendered.documents),
        unspecified: pronoun('unspecified', gendered.documents),
        any,
        first: pronoun('first', any.documents),
        second: pronoun('second', any.documents),
        third: pronoun('third', any.documents),
      },
      identities: Object.fromEntries(
        this.#axes.map(({ name, terms }) => {
          const axis = rate(this.#identities.get(name) ?? 0, documents);
          const counts = new Map(
            terms.map(({ term }) => [term, this.#identities.get(`${name}\n${term}`) ?? 0]),
          );
          const found = descending(counts).filter(([, count]) => count > 0);
          return [
            name,
            {
              ...axis,
              terms: Object.fromEntries(found.map(([term, count]) => [term, rate(count, axis.documents)])),
            },
          ];
        }),
      ),
    };
  }
}

/** Whether words stand in a text one behind the other. */
function holds(words: readonly string[], there: ReadonlySet<string>, term: readonly string[]): boolean {
  const [first] = term;
  if (first === undefined || !term.every(word => there.has(word))) return false;
  if (term.length === 1) return true;
  for (let at = words.indexOf(first); at >= 0; at = words.indexOf(first, at + 1)) {
    if (term.every((word, i) => words[at + i] === word)) return true;
  }
  return false;
}

function increase(counts: Map<string, number>, key: string, by = 1): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}

const rate = (documents: number, of: number): Rate => ({ documents, share: of > 0 ? documents / of : 0 });

/** Of equals the one that comes first in the alphabet. */
function descending(counts: ReadonlyMap<string, number>): [string, number][] {
  return [...counts].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
}
