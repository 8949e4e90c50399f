// Which script a character belongs to, from a table of our own: what an engine says in \p{Script=…} depends on the version
// of Unicode that it was built with, and training must give the same bits everywhere.

/**
 * Unicode 17, Scripts.txt (unicode.org/Public/UCD): code points in hexadecimal. Unassigned ones inside a range belong to it.
 * Han holds Hiragana, Katakana and U+30FC too, as SentencePiece has it. What is not here is Common.
 */
const RANGES = {
  latin: `41-5a 61-7a aa ba c0-d6 d8-f6 f8-2b8 2e0-2e4 1d00-1d25 1d2c-1d5c 1d62-1d65 1d6b-1d77 1d79-1dbe
    1e00-1eff 2071 207f 2090-209c 212a-212b 2132 214e 2160-2188 2c60-2c7f a722-a787 a78b-a7ff
    ab30-ab5a ab5c-ab64 ab66-ab69 fb00-fb06 ff21-ff3a ff41-ff5a 10780-107ba 1df00-1df2a`,
  greek: `370-373 375-37d 37f-384 386 388-3e1 3f0-3ff 1d26-1d2a 1d5d-1d61 1d66-1d6a 1dbf 1f00-1ffe 2126 ab65
    10140-1018e 101a0 1d200-1d245`,
  cyrillic: '400-484 487-52f 1c80-1c8a 1d2b 1d78 2de0-2dff a640-a69f fe2e-fe2f 1e030-1e08f',
  armenian: '531-58f fb13-fb17',
  hebrew: '591-5f4 fb1d-fb4f',
  arabic: `600-604 606-60b 60d-61a 61c-61e 620-63f 641-64a 656-66f 671-6dc 6de-6ff 750-77f 870-8e1 8e3-8ff
    fb50-fd3d fd40-fdff fe70-fefc 10e60-10e7e 10ec2-10eff 1ee00-1eef1`,
  syriac: '700-74f 860-86a',
  thaana: '780-7b1',
  devanagari: '900-950 955-963 966-97f a8e0-a8ff 11b00-11b09',
  bengali: '980-9fe',
  gurmukhi: 'a01-a76',
  gujarati: 'a81-aff',
  oriya: 'b01-b77',
  tamil: 'b82-bfa 11fc0-11fff',
  telugu: 'c00-c7f',
  kannada: 'c80-cf3',
  malayalam: 'd00-d7f',
  sinhala: 'd81-df4 111e1-111f4',
  thai: 'e01-e3a e40-e5b',
  lao: 'e81-edf',
  tibetan: 'f00-fd4 fd9-fda',
  myanmar: '1000-109f a9e0-a9fe aa60-aa7f 116d0-116e3',
  georgian: '10a0-10fa 10fc-10ff 1c90-1cbf 2d00-2d2d',
  hangul: '1100-11ff 302e-302f 3131-318e 3200-321e 3260-327e a960-a97c ac00-d7fb ffa0-ffdc',
  ethiopic: '1200-1399 2d80-2dde ab01-ab2e 1e7e0-1e7fe',
  cherokee: '13a0-13fd ab70-abbf',
  khmer: '1780-17f9 19e0-19ff',
  mongolian: '1800-1801 1804 1806-18aa 11660-1166c',
  han: `2e80-2fd5 3005 3007 3021-3029 3038-303b 3041-3096 309d-309f 30a1-30fa 30fc-30ff 31f0-31ff
    32d0-32fe 3300-3357 3400-4dbf 4e00-9fff f900-fad9 ff66-ff6f ff71-ff9d 16fe2-16fe3 16ff0-16ff6
    1aff0-1b167 1f200 20000-33479`,
  inherited: `300-36f 485-486 64b-655 670 951-954 1ab0-1aeb 1cd0-1cd2 1cd4-1ce0 1ce2-1ce8 1ced 1cf4 1cf8-1cf9
    1dc0-1dff 200c-200d 20d0-20f0 302a-302d 3099-309a fe00-fe0f fe20-fe2d 101fd 102e0 1133b
    1cf00-1cf46 1d167-1d169 1d17b-1d182 1d185-1d18b 1d1aa-1d1ad e0100-e01ef`,
} as const;

export type Script = keyof typeof RANGES | 'common';

const NAMES: readonly Script[] = [...(Object.keys(RANGES) as Script[]), 'common'];

/** Where ranges begin, ascending, with the last code point and the script of each. */
const TABLE = Object.entries(RANGES)
  .flatMap(([name, ranges]) =>
    ranges.split(/\s+/).map(range => {
      const [first, last = first] = range.split('-').map(digits => Number.parseInt(digits, 16));
      return { first: first!, last: last!, script: NAMES.indexOf(name as Script) };
    }),
  )
  .sort((a, b) => a.first - b.first);

const COMMON = NAMES.length - 1;
const ASCII = Uint8Array.from({ length: 128 }, (_, code) => search(code));

function search(code: number): number {
  let low = 0;
  for (let high = TABLE.length; low < high; ) {
    const middle = (low + high) >> 1;
    if (TABLE[middle]!.first <= code) low = middle + 1;
    else high = middle;
  }
  const range = TABLE[low - 1];
  return range !== undefined && code <= range.last ? range.script : COMMON;
}

/** The script of a code point. Marks that go with any script are `inherited`. */
export function scriptOf(code: number): Script {
  return NAMES[code < 128 ? ASCII[code]! : search(code)]!;
}
