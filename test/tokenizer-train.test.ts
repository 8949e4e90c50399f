import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openTokenizer } from '../host/index.ts';
import type { Vocabulary } from '../host/model-file.ts';
import { Random } from '../host/random.ts';
import { vocabularyFromSentencePiece, writeSentencePiece } from '../host/sentencepiece.ts';
import { TextList } from '../host/text-list.ts';
import { Tokenizer } from '../host/tokenizer.ts';
import { hexOf } from '../host/train/hash.ts';
import { trainTokenizer, vocabularyHash, writeVocabularyGguf } from '../host/train/index.ts';
import { scriptOf } from '../host/train/scripts.ts';
import { checkedVocabulary } from '../host/vocabulary.ts';
import { pythonWith } from '../scripts/python.ts';
import { cria, temporaryFolder } from './support/cli.ts';
import { rejects } from './support/errors.ts';
import { generatedStories } from './support/generated-text.ts';
import { sharedFile, sharedTest } from './support/shared.ts';

const files = temporaryFolder();
/** Of 400 generated stories and 700 pieces; the same on every runtime. */
const GOLDEN = {
  figures: { documents: 400, bytes: 122088, characters: 45, merges: 396 },
  hash: '72d322870c6fda956b7d2f0b6c1da792',
  ids: [
    1, 303, 655, 658, 675, 666, 285, 672, 655, 671, 657, 661, 666, 307, 306, 682, 680, 655, 685, 686, 655,
    102, 657, 668, 670, 673, 13,
  ],
};
const tokenizerOf = (vocabulary: Vocabulary): Tokenizer =>
  new Tokenizer(checkedVocabulary(TextList.of(vocabulary.pieces), vocabulary, key => key));
const mergedPieces = ({ pieces }: Vocabulary, characters: number): string[] =>
  pieces.slice(259, pieces.length - characters);

/** Encodes a word by pieces in the order of their ranks, as slowly as can be. */
function encodeWord(word: string, ranks: Map<string, number>): string[] {
  const symbols = [...word];
  for (;;) {
    let best = Infinity;
    let at = -1;
    for (let i = 0; i + 1 < symbols.length; i++) {
      const rank = ranks.get(symbols[i]! + symbols[i + 1]!) ?? Infinity;
      if (rank < best) [best, at] = [rank, i];
    }
    if (at < 0) return symbols;
    symbols.splice(at, 2, symbols[at]! + symbols[at + 1]!);
  }
}

/** What may be a piece of the texts below: spaces alone, or at most one and then letters or marks, but no digit. */
const ALLOWED = /^(\u2581+|\u2581?[a-zé]+|\u2581?[.,!]+)$/;

/** The definition: after each piece everything is encoded and counted anew. */
function naiveMerges(texts: string[], count: number, maxLength: number): string[] {
  const words = texts.filter(text => text !== '').map(text => `\u2581${text.replaceAll(' ', '\u2581')}`);
  const ranks = new Map<string, number>();
  while (ranks.size < count) {
    const counts = new Map<string, number>();
    for (const word of words) {
      const symbols = encodeWord(word, ranks);
      let skip = -1;
      for (let i = 0; i + 1 < symbols.length; i++) {
        const pair = symbols[i]! + symbols[i + 1]!;
        if (i === skip || !ALLOWED.test(pair) || [...pair].length > maxLength) continue;
        if (symbols[i] === symbols[i + 1] && symbols[i + 1] === symbols[i + 2]) skip = i + 1;
        counts.set(pair, (counts.get(pair) ?? 0) + 1);
      }
    }
    const best = [...counts].sort(([a, x], [b, y]) => y - x || a.length - b.length || (a < b ? -1 : 1))[0];
    if (best === undefined) break;
    ranks.set(best[0], ranks.size);
  }
  return [...ranks.keys()];
}

test('merges are those of the definition, whatever the text', async () => {
  const word = fc.array(fc.constantFrom(...'aaabbé1.,!'), { maxLength: 9 }).map(parts => parts.join(''));
  const text = fc.array(word, { maxLength: 8 }).map(words => words.join(' '));
  await fc.assert(
    fc.asyncProperty(
      fc.array(text, { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 1, max: 6 }),
      async (texts, long) => {
        fc.pre(texts.some(one => one !== ''));
        const expected = naiveMerges(texts, 40, long);
        const { characters } = await trainTokenizer(texts, { characterCoverage: 1 });
        const options = {
          vocabSize: 259 + characters + expected.length,
          characterCoverage: 1,
          maxPieceLength: long,
        };
        const { vocabulary } = await trainTokenizer(texts, options);
        assert.equal(mergedPieces(vocabulary, characters), expected);
        if (expected.length < 40) {
          const more = trainTokenizer(texts, { ...options, vocabSize: options.vocabSize + 1 });
          const error = await rejects(() => more, 'option-range');
          assert.match(error.message, `at most ${options.vocabSize} pieces`);
        }
      },
    ),
    { numRuns: 300 },
  );
});

test('the same text gives the same vocabulary on every machine, in any order of documents', async () => {
  const stories = generatedStories(400);
  const { vocabulary, ...figures } = await trainTokenizer(stories, { vocabSize: 700 });
  assert.equal(figures, GOLDEN.figures);
  assert.is(hexOf(vocabularyHash(vocabulary)), GOLDEN.hash);
  assert.equal(tokenizerOf(vocabulary).encode('The old fox said “no”: 12 café.\n'), GOLDEN.ids);
  const reversed = await trainTokenizer([...stories].reverse(), { vocabSize: 700 });
  assert.equal(reversed.vocabulary, vocabulary);
  const streamed = await trainTokenizer(
    (async function* () {
      yield* stories;
    })(),
    { vocabSize: 700 },
  );
  assert.equal(streamed.vocabulary, vocabulary);
});

test('any text survives encoding and decoding', async () => {
  const { vocabulary } = await trainTokenizer(generatedStories(50), { vocabSize: 400 });
  const tokenizer = tokenizerOf(vocabulary);
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), text => {
      fc.pre(!text.includes('\u2581'));
      const whole = text.replace(/\p{Surrogate}/gu, '\ufffd');
      assert.is(tokenizer.decode(tokenizer.encode(text)), whole);
    }),
  );
});

test('the switches do what they say', async () => {
  const text = ['aa 2024 2024 2024 aa\naa\tb aa'];
  const pieces = async (options: object): Promise<string[]> =>
    (await trainTokenizer(text, { characterCoverage: 1, ...options })).vocabulary.pieces;
  assert.not.ok((await pieces({})).some(piece => piece === '\n' || piece === '\t'));
  assert.ok((await pieces({ vocabSize: 259 + 6 + 2 })).includes('aa'));
  assert.not.ok((await pieces({ vocabSize: 259 + 6 + 2 })).some(piece => /^(\d\d|\u2581\d)/.test(piece)));
  assert.ok(
    (await pieces({ vocabSize: 259 + 6 + 6, splitDigits: false })).some(piece => piece.endsWith('2024')),
  );
  // characters alone, line feeds among them, as character-level models have it
  const characters = await pieces({ byteFallback: false, addDummyPrefix: false });
  assert.equal(
    [...characters].sort(),
    ['<unk>', '<s>', '</s>', '\u2581', 'a', '2', '0', '4', '\n', '\t', 'b'].sort(),
  );
  const { vocabulary } = await trainTokenizer(text, { byteFallback: false, addDummyPrefix: false });
  assert.is(tokenizerOf(vocabulary).decode(tokenizerOf(vocabulary).encode(text[0]!)), text[0]);
  // b is one character of 27
  assert.not.ok((await pieces({ characterCoverage: 0.9 })).includes('b'));
});

test('wrong options and texts are named', async () => {
  await rejects(() => trainTokenizer([], {}), 'no-text');
  await rejects(() => trainTokenizer(['', ''], {}), 'no-text');
  const small = await rejects(() => trainTokenizer(['abc'], { vocabSize: 262 }), 'option-range');
  assert.match(small.message, 'at least 263 pieces: 3 special, 256 bytes and 4 characters');
  await rejects(() => trainTokenizer(['abc'], { vocabSize: 1.5 }), 'option-range');
  await rejects(() => trainTokenizer(['abc'], { characterCoverage: 0 }), 'option-range');
  await rejects(() => trainTokenizer(['abc'], { byteFallback: 1 as never }), 'option-type');
  await rejects(() => trainTokenizer(['abc'], { vocabsize: 300 } as never), 'option-unknown');
});

test('scripts are those of Unicode', () => {
  // an engine may know fewer characters than the table, never others
  const han = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\u30fc]/u;
  const seen = new Set<string>();
  for (let code = 0; code < 0x110000; code++) {
    if (code >= 0xd800 && code < 0xe000) continue;
    const character = String.fromCodePoint(code);
    if (/\p{Cn}/u.test(character)) continue;
    const script = scriptOf(code);
    seen.add(script);
    const pattern = script === 'han' ? han : SCRIPT_PATTERNS.get(script);
    if (script === 'common') {
      assert.not.ok(LISTED.test(character), `U+${code.toString(16)} is not common`);
    } else assert.ok(pattern!.test(character), `U+${code.toString(16)} is not ${script}`);
  }
  assert.is(seen.size, 31);
});

const NAMES = (
  'Latin Greek Cyrillic Armenian Hebrew Arabic Syriac Thaana Devanagari Bengali Gurmukhi Gujarati Oriya Tamil Telugu ' +
  'Kannada Malayalam Sinhala Thai Lao Tibetan Myanmar Georgian Hangul Ethiopic Cherokee Khmer Mongolian Inherited'
).split(' ');
const SCRIPT_PATTERNS = new Map(
  NAMES.map(name => [name.toLowerCase(), new RegExp(`\\p{Script=${name}}`, 'u')]),
);
const LISTED = new RegExp(
  `[${[...NAMES, 'Han', 'Hiragana', 'Katakana'].map(name => `\\p{Script=${name}}`).join('')}]`,
  'u',
);

test('both kinds of file hold the vocabulary', async () => {
  const { vocabulary } = await trainTokenizer(generatedStories(50), { vocabSize: 420 });
  const model = await openTokenizer(writeSentencePiece(vocabulary));
  const gguf = await openTokenizer(writeVocabularyGguf(vocabulary));
  assert.is(hexOf(vocabularyHash(model.vocabulary)), hexOf(vocabularyHash(vocabulary)));
  assert.is(hexOf(vocabularyHash(gguf.vocabulary)), hexOf(vocabularyHash(vocabulary)));
});

test('a damaged tokenizer.model is a typed error or a vocabulary', async () => {
  const { vocabulary } = await trainTokenizer(['ab ab ba'], { byteFallback: false });
  const whole = writeSentencePiece(vocabulary);
  const codes = new Set<string>();
  const attempt = (bytes: Uint8Array): void => {
    try {
      tokenizerOf(vocabularyFromSentencePiece(bytes, 'x.model')).encode('ab <s>');
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === undefined) throw error;
      codes.add(code);
    }
  };
  for (let length = 0; length < whole.length; length++) attempt(whole.subarray(0, length));
  const random = Random.seeded(3);
  for (let i = 0; i < 20_000; i++) {
    const bytes = whole.slice();
    for (let n = random.bits() % 3; n >= 0; n--) bytes[random.bits() % bytes.length] = random.bits();
    attempt(bytes);
  }
  assert.equal([...codes].sort(), ['bad-message', 'bad-vocabulary', 'unsupported-tokenizer']);
});

sharedTest(test, "Llama 2's tokenizer.model gives the vocabulary that llama.cpp has of it", async () => {
  const model = await openTokenizer(sharedFile('data/tokenizers/tokenizer.model'));
  const gguf = await openTokenizer(sharedFile('data/tokenizers/ggml-vocab-llama-spm.gguf'));
  assert.equal(model.vocabulary.pieces, gguf.vocabulary.pieces);
  assert.equal(model.vocabulary.types, gguf.vocabulary.types);
  const text = readFileSync(sharedFile('data/text/tinyshakespeare.txt'), 'utf8').slice(0, 20_000);
  assert.equal(model.encode(text), gguf.encode(text));
});

sharedTest(test, 'any other model that SentencePiece wrote is read or refused by name', async () => {
  const other = sharedFile('data/tokenizers/openllama3b-tokenizer.model');
  const tokenizer = await openTokenizer(other).catch(error => error);
  assert.ok(tokenizer instanceof Tokenizer || tokenizer.code === 'unsupported-tokenizer', String(tokenizer));
});

const python = pythonWith('sentencepiece');

/** Trains by SentencePiece, and prints the ids of both vocabularies for a text, and the pieces of its own. */
const SCRIPT = `
import sys, json, sentencepiece as s
text, ours, held, prefix, size = sys.argv[1:6]
s.SentencePieceTrainer.train(input=text, model_prefix=prefix, model_type='bpe', vocab_size=int(size),
  character_coverage=0.99995, split_digits=True, byte_fallback=True, allow_whitespace_only_pieces=True,
  normalization_rule_name='identity', remove_extra_whitespaces=False, max_sentence_length=10**6, minloglevel=2)
a, b = s.SentencePieceProcessor(model_file=ours), s.SentencePieceProcessor(model_file=prefix + '.model')
lines = open(held, encoding='utf8', newline='').read().split('\\n')
print(json.dumps({'ours': a.encode(lines), 'theirs': b.encode(lines), 'decoded': a.decode(a.encode(lines)),
  'pieces': [b.id_to_piece(i) for i in range(b.get_piece_size())]}))
`;

async function compareWithSentencePiece(lines: string[], held: string[], vocabSize: number): Promise<void> {
  const { vocabulary } = await trainTokenizer(lines, { vocabSize });
  const model = files.file('ours.model', writeSentencePiece(vocabulary));
  const text = files.file('text.txt', `${lines.join('\n')}\n`);
  const heldFile = files.file('held.txt', held.join('\n'));
  const prefix = files.file('theirs', '');
  const out = execFileSync(python!, ['-c', SCRIPT, text, model, heldFile, prefix, String(vocabSize)], {
    maxBuffer: 2 ** 28,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const { ours, theirs, decoded, pieces } = JSON.parse(out);
  const tokenizer = tokenizerOf(vocabulary);
  assert.equal(
    ours,
    held.map(line => tokenizer.encode(line, { bos: false })),
  );
  assert.equal(decoded, held);
  const total = (ids: number[][]) => ids.reduce((sum, one) => sum + one.length, 0);
  const ratio = total(theirs) / total(ours);
  assert.ok(ratio > 0.98 && ratio < 1.02, `bytes a token: ${ratio} of SentencePiece's`);
  const common = pieces.filter((piece: string) => vocabulary.pieces.includes(piece)).length;
  assert.ok(common >= 0.97 * vocabSize, `${common} of ${vocabSize} pieces are SentencePiece's too`);
}

if (python === undefined) {
  console.log('skipped: SentencePiece opens our models and trains like us (no Python with sentencepiece)');
} else {
  test('SentencePiece opens our models and trains like us', async () => {
    const linesOf = (stories: string[]) =>
      stories.flatMap(story => story.split('\n')).filter(line => line !== '');
    const odd = ['', ' ', 'The  fox:\tcafé 12', '  你好 🦙', '</s><s>'];
    await compareWithSentencePiece(
      linesOf(generatedStories(300)),
      [...odd, ...linesOf(generatedStories(20, 9))],
      600,
    );
  });
  sharedTest(test, 'SentencePiece opens our models and trains like us: English and Japanese', async () => {
    for (const [file, size] of [
      ['tinystories-v2-head.txt', 2048],
      ['wagahaiwa_nekodearu.txt', 4096],
    ] as const) {
      const text = readFileSync(sharedFile(`data/text/${file}`), 'utf8').replaceAll('<|endoftext|>', '');
      const lines = text.split(/\r?\n/).filter(line => line !== '');
      const held = lines.filter((_, i) => i % 10 === 0);
      await compareWithSentencePiece(
        lines.filter((_, i) => i % 10 !== 0),
        held,
        size,
      );
    }
  });
}

test('cria tokenizer train writes either file', async () => {
  const text = files.file('stories.txt', generatedStories(60).join('<|endoftext|>'));
  for (const ending of ['model', 'gguf']) {
    const out = files.file(`made.${ending}`, '');
    const { code, stdout, stderr } = await cria([
      'tokenizer',
      'train',
      text,
      '--vocab-size',
      '400',
      '--out',
      out,
      '--json',
    ]);
    assert.is(stderr, '');
    assert.is(code, 0);
    const { pieces, documents } = JSON.parse(stdout);
    assert.equal([pieces, documents], [400, 60]);
    const tokenizer = await openTokenizer(out);
    assert.equal(
      tokenizer.vocabulary.pieces,
      (await trainTokenizer(generatedStories(60), { vocabSize: 400 })).vocabulary.pieces,
    );
  }
  for (const [args, said] of [
    [['tokenizer'], /expected tokenizer train, got nothing/],
    [['tokenizer', 'train', text], /--vocab-size is missing/],
    [['tokenizer', 'train', text, '--vocab-size', '400', '--out', 'x.bin'], /\.gguf or \.model/],
    [['tokenizer', 'train'], /FILES is missing/],
  ] as const) {
    const { code, stderr } = await cria([...args]);
    assert.is(code, 2);
    assert.match(stderr, said);
  }
});

test.run();
