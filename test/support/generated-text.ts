import { Random } from '../../host/random.ts';

const SYLLABLES = ['ba', 'ko', 'ri', 'the', 'an', 'fo', 'x', 'ling', 'er', 'sto', 'ne', 'é', 'ed', 'wa', 'm'];
const ENDS = ['. ', '. ', '! ', ', ', '? ', ': “no” ', ' 12 ', ' 3.5 ', '.\n', '.\n\n', '  '];

/** Short made-up stories out of words that recur as words do: the first ones most. The same on every machine. */
export function generatedStories(count: number, seed = 1): string[] {
  const random = Random.seeded(seed);
  const lexicon = Random.seeded(77);
  const words = Array.from({ length: 300 }, () => {
    let word = '';
    for (let n = lexicon.bits() % 3; n >= 0; n--) word += SYLLABLES[lexicon.bits() % SYLLABLES.length];
    return word;
  });
  const pick = (): string => words[Math.floor(words.length * random.next() * random.next() * random.next())]!;
  return Array.from({ length: count }, () => {
    let story = '';
    for (let n = 5 + (random.bits() % 12); n > 0; n--) {
      const sentence = Array.from({ length: 2 + (random.bits() % 8) }, pick).join(' ');
      story += sentence[0]!.toUpperCase() + sentence.slice(1) + ENDS[random.bits() % ENDS.length];
    }
    return story.trim();
  });
}
