import { type Script, scriptOf } from '../scripts.ts';
import { BY_SCRIPT, FUNCTION_WORDS } from './words.ts';

/** The script of most of a text's letters, `common` if it has none; of each script how many letters. */
export function scriptsOf(text: string): Map<Script, number> {
  const counts = new Map<Script, number>();
  for (const character of text) {
    const script = scriptOf(character.codePointAt(0)!);
    if (script !== 'common' && script !== 'inherited') counts.set(script, (counts.get(script) ?? 0) + 1);
  }
  return counts;
}

/** Function words that tell a language: so many at least, and this share of all words. */
const LEAST_HITS = 2;
const LEAST_SHARE = 0.08;

/**
 * The language of a text as ISO 639-1 has it, or `unknown`: by the script where it tells, else by function words. It is
 * as good as that is: sure on a paragraph of prose, helpless on a title, and without an idea of languages that are not in the lists.
 *
 * @param words of the text in lower case
 */
export function languageOf(
  text: string,
  words: readonly string[],
  scripts: ReadonlyMap<Script, number>,
): string {
  const letters = [...scripts.values()].reduce((sum, count) => sum + count, 0);
  const [script] = [...scripts].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))[0] ?? [];
  if (script === undefined) return 'unknown';
  if (script === 'han') {
    const kana = text.match(/[\u3041-\u30ff]/g)?.length ?? 0;
    return kana * 20 >= letters ? 'ja' : 'zh';
  }
  if (script !== 'latin' && script !== 'cyrillic') return BY_SCRIPT[script] ?? 'unknown';
  const ranked = Object.entries(FUNCTION_WORDS[script])
    .map(([language, list]) => ({ language, hits: words.filter(word => list.has(word)).length }))
    .sort((a, b) => b.hits - a.hits || (a.language < b.language ? -1 : 1));
  const [best, second] = ranked as [{ language: string; hits: number }, { hits: number }];
  const sure = best.hits >= LEAST_HITS && best.hits >= LEAST_SHARE * words.length && best.hits > second.hits;
  return sure ? best.language : 'unknown';
}
