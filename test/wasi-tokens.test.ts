// The WASI command's tokenizer gives the host's ids.

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { writeGguf } from '../host/gguf-write.ts';
import { PieceType, type Vocabulary } from '../host/model-file.ts';
import { Tokenizer } from '../host/tokenizer.ts';
import { sharedFile, sharedTest } from './support/shared.ts';
import { handMade } from './support/vocabularies.ts';
import { runCommand } from './support/wasi.ts';

/** A GGUF file with a vocabulary and nothing else. */
function fileOf(vocabulary: Vocabulary): Uint8Array {
  const id = (value: number) => ({ type: 'u32', value: value < 0 ? 2 ** 32 - 1 : value }) as const;
  const flag = (value: boolean) => ({ type: 'bool', value }) as const;
  return writeGguf(
    [
      ['tokenizer.ggml.model', { type: 'string', value: 'llama' }],
      ['tokenizer.ggml.tokens', { type: 'array', of: 'string', value: vocabulary.pieces }],
      ['tokenizer.ggml.scores', { type: 'array', of: 'f32', value: vocabulary.scores }],
      ['tokenizer.ggml.token_type', { type: 'array', of: 'i32', value: vocabulary.types }],
      ['tokenizer.ggml.bos_token_id', id(vocabulary.bos)],
      ['tokenizer.ggml.eos_token_id', id(vocabulary.eos)],
      ['tokenizer.ggml.unknown_token_id', id(vocabulary.unknown)],
      ['tokenizer.ggml.add_bos_token', flag(vocabulary.addBos)],
      ['tokenizer.ggml.add_eos_token', flag(vocabulary.addEos)],
      ['tokenizer.ggml.add_space_prefix', flag(vocabulary.addSpacePrefix)],
    ],
    [],
  );
}

/** The command's ids of a text, or of bytes that are none. */
function idsOf(file: Uint8Array, stdin: string | Uint8Array, piece?: number): number[] {
  const run = { args: ['m.gguf', '--tokenize'], files: { 'm.gguf': file }, stdin };
  const { code, stdout, stderr } = runCommand(piece === undefined ? run : { ...run, piece });
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout.toString());
}

const letters = fc.constantFrom(
  'a',
  'b',
  'c',
  'd',
  'e',
  'f',
  ' ',
  '▁',
  'x',
  'y',
  '[U]',
  '[',
  's>',
  '</s>',
  'é',
  '🦙',
  '\0',
);
const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: letters }),
  fc.string({ unit: letters, minLength: 300 }),
);

test('random text under the small vocabularies', () => {
  const vocabularies = [
    handMade(true),
    handMade(false),
    handMade(true, { addBos: true, addSpacePrefix: false }),
    handMade(false, { addBos: true, addEos: true, bos: 2 }),
  ].map(vocabulary => ({ file: fileOf(vocabulary), host: new Tokenizer(vocabulary) }));
  fc.assert(
    fc.property(anyText, fc.constantFrom(...vocabularies), (text, { file, host }) => {
      assert.equal(idsOf(file, text), host.encode(text, { eos: false }));
    }),
    { numRuns: 600 },
  );
});

test('random text under random vocabularies', () => {
  const piece = fc.string({ unit: fc.constantFrom('a', 'b', '▁', ' ', 'é'), minLength: 0, maxLength: 5 });
  const type = fc.constantFrom(
    PieceType.normal,
    PieceType.normal,
    PieceType.normal,
    PieceType.unused,
    PieceType.userDefined,
  );
  const entries = fc.array(fc.tuple(piece, fc.integer({ min: -6, max: 0 }), type), {
    minLength: 4,
    maxLength: 40,
  });
  const text = fc.string({ unit: fc.constantFrom('a', 'b', ' ', '▁', 'é', 'c') });
  fc.assert(
    fc.property(entries, fc.array(text, { minLength: 3, maxLength: 3 }), (list, texts) => {
      const vocabulary: Vocabulary = {
        ...handMade(true),
        pieces: [...handMade(true).pieces.slice(0, 259), ...list.map(([text]) => text)],
        scores: Float32Array.from([...Array(259).fill(0), ...list.map(([, score]) => score)]),
        types: Uint8Array.from([...handMade(true).types.slice(0, 259), ...list.map(([, , type]) => type)]),
      };
      const file = fileOf(vocabulary);
      const host = new Tokenizer(vocabulary);
      for (const text of texts)
        assert.equal(idsOf(file, text), host.encode(text), JSON.stringify([list, text]));
    }),
    { numRuns: 400 },
  );
});

test('bytes that are no text count as the same U+FFFD', () => {
  const host = new Tokenizer(handMade(true));
  const file = fileOf(handMade(true));
  const nasty = fc.constantFrom(
    0x61,
    0x20,
    0x80,
    0xbf,
    0xc0,
    0xc3,
    0xa9,
    0xe0,
    0xe2,
    0x96,
    0x81,
    0xed,
    0xa0,
    0xf0,
    0x9f,
    0xf4,
    0x90,
    0xff,
  );
  fc.assert(
    fc.property(fc.array(nasty, { maxLength: 40 }), values => {
      const bytes = Uint8Array.from(values);
      const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
      assert.equal(idsOf(file, bytes), host.encode(text));
    }),
    { numRuns: 500 },
  );
});

test('long texts that merge all over, and input in small pieces', () => {
  const host = new Tokenizer(handMade(true));
  const file = fileOf(handMade(true));
  // a queue that is no heap, or a list that is searched, would take minutes
  for (const text of [
    'a'.repeat(300_000),
    'abc'.repeat(100_000),
    ' '.repeat(200_000),
    '[U][U'.repeat(50_000),
  ]) {
    assert.is(idsOf(file, text).join(), host.encode(text).join(), text.slice(0, 10));
  }
  assert.equal(idsOf(file, 'abcabc de def é', 3), host.encode('abcabc de def é'));
});

sharedTest(test, "llama.cpp's test texts under the vocabulary of Llama", () => {
  const path = sharedFile('data/tokenizers/ggml-vocab-llama-spm.gguf');
  const file = readFileSync(path);
  const texts = readFileSync(`${path}.inp`, 'utf8').split('\n__ggml_vocab_test__\n').slice(0, -1);
  const lines = readFileSync(`${path}.out`, 'utf8').split('\n').slice(0, -1);
  assert.is(texts.length, lines.length);
  assert.ok(texts.length >= 46);
  for (const [i, text] of texts.entries()) {
    const ids = lines[i]!.split(' ').filter(Boolean).map(Number);
    assert.equal(idsOf(file, text), [1, ...ids], JSON.stringify(text));
  }
});

test.run();
