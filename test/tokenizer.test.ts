import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { WorkCounter } from '../host/bpe.ts';
import { type CriaError, type ErrorCode, FileError, OptionError } from '../host/errors.ts';
import { parseGguf } from '../host/gguf.ts';
import { type Metadata, type MetadataValue, PieceType, type Vocabulary } from '../host/model-file.ts';
import { hashOf, PieceTable } from '../host/piece-table.ts';
import { TextList } from '../host/text-list.ts';
import { Tokenizer } from '../host/tokenizer.ts';
import { vocabularyFromLlama2c, vocabularyFromMetadata } from '../host/vocabulary.ts';
import { sharedFile, sharedTest } from './support/shared.ts';
import { handMade, llama2cTokenizer } from './support/vocabularies.ts';

const small = new Tokenizer(handMade(true));
const noBytes = new Tokenizer(handMade(false));
const utf8 = new TextEncoder();
/** The byte piece's id in `small` and in Llama's vocabulary. */
const byteId = (byte: number): number => byte + 3;

function throws(run: () => unknown, type: typeof FileError | typeof OptionError, code: ErrorCode): CriaError {
  try {
    run();
  } catch (error) {
    assert.instance(error, type);
    assert.is((error as CriaError).code, code, (error as CriaError).message);
    return error as CriaError;
  }
  assert.unreachable(`expected ${code}`);
  throw new Error();
}

// The ids are those of SentencePiece 0.1.97 (Python), given `handMade` as a ModelProto: BPE, identity normaliser,
// add_dummy_prefix, escape_whitespaces, byte_fallback as `withBytes`.
const VECTORS: [text: string, withBytes: number[], withoutBytes: number[]][] = [
  ['', [], []],
  ['\ufffd', [259, 280], [3, 24]],
  ['a', [267], [11]],
  ['abc', [259, 265], [3, 9]],
  ['aabc', [267, 265], [11, 9]],
  ['bca', [259, 261, 266], [3, 5, 10]],
  ['abcabc', [259, 264, 266, 263], [3, 8, 10, 7]],
  [' a', [259, 267], [3, 11]],
  ['  a', [269, 267], [13, 11]],
  ['aaa', [267, 268], [11, 12]],
  ['aaaa', [267, 268, 260], [11, 12, 4]],
  ['xy', [259, 270], [3, 14]],
  ['x', [259, 123], [3, 0]],
  ['xyx', [259, 270, 123], [3, 14, 0]],
  ['de', [259, 271, 104], [3, 15, 0]],
  ['def', [259, 273], [3, 17]],
  ['dexy', [259, 271, 104, 270], [3, 15, 0, 14]],
  ['ded', [259, 271, 104, 271], [3, 15, 0, 15]],
  ['a[U]b', [267, 275, 261], [11, 19, 5]],
  ['[U][U][U]', [259, 276, 275], [3, 20, 19]],
  ['[U', [259, 94, 88], [3, 0]],
  ['c[U]', [259, 262, 275], [3, 6, 19]],
  ['c[', [259, 277], [3, 21]],
  ['[U]b', [259, 275, 261], [3, 19, 5]],
  ['[U][U]b', [259, 276, 261], [3, 20, 5]],
  ['<s>', [259, 63, 279], [3, 0, 23]],
  ['</s>', [259, 63, 50, 279], [3, 0, 23]],
  ['<0x41>', [259, 63, 51, 123, 55, 52, 65], [3, 0]],
  ['é', [259, 198, 172], [3, 0]],
  ['zz', [259, 125, 125], [3, 0]],
  ['z z', [259, 125, 259, 125], [3, 0, 3, 0]],
  ['zaz', [259, 125, 260, 125], [3, 0, 4, 0]],
  ['🦙', [259, 243, 162, 169, 156], [3, 0]],
  ['a\nb', [267, 13, 261], [11, 0, 5]],
  ['▁a', [259, 267], [3, 11]],
  ['\ufeffa', [259, 242, 190, 194, 260], [3, 0, 4]],
  ['\u0000', [259, 3], [3, 0]],
];

test('encode: a small vocabulary gives the ids of SentencePiece', () => {
  for (const [text, withBytes, withoutBytes] of VECTORS) {
    assert.equal(small.encode(text), withBytes, JSON.stringify(text));
    assert.equal(noBytes.encode(text), withoutBytes, JSON.stringify(text));
  }
});

test('decode: a small vocabulary gives the text of SentencePiece', () => {
  // from the same program as VECTORS
  const vectors: [number[], string][] = [
    [[1, 267, 2], 'a'],
    [[0, 260], ' ⁇ a'],
    [[260, 0], 'a ⁇ '],
    [[231, 192, 163], '你'],
    [[35, 267], '  a'],
    [[267, 267], 'a a'],
    [[1, 1, 259, 267], ' a'],
    [[275, 267], '[U] a'],
    [[231, 260], '\ufffda'],
    [[258], '\ufffd'],
  ];
  for (const [ids, text] of vectors) assert.is(small.decode(ids), text, String(ids));
});

test('encode: BOS and EOS come as the vocabulary says, and as asked', () => {
  const adding = new Tokenizer(handMade(true, { addBos: true, addEos: true }));
  assert.equal(adding.encode('a'), [1, 267, 2]);
  assert.equal(adding.encode('a', { bos: false }), [267, 2]);
  assert.equal(adding.encode('a', { eos: false }), [1, 267]);
  assert.equal(adding.encode(''), [1, 2]);
  assert.equal(small.encode('a', { bos: true, eos: true }), [1, 267, 2]);
  const none = new Tokenizer(handMade(true, { bos: -1 }));
  throws(() => none.encode('a', { bos: true }), OptionError, 'option-range');
  assert.equal(none.encode('a', { bos: false }), [267]);
});

test('encode: control pieces are recognised only on request', () => {
  assert.equal(small.encode('a</s>a', { special: true }), [267, 2, 267]);
  assert.equal(small.encode('<s><s> a', { special: true }), [1, 1, 259, 267]);
  assert.equal(small.encode('</s>', { special: true }), [2]);
  assert.equal(small.encode('<unk>', { special: true }), small.encode('<unk>'));
  assert.not.ok(small.encode('a</s><s>a').some(id => id < 3));
  // the longest of two that begin alike, and nothing in a spelling is a pattern
  const vocabulary = handMade(true);
  vocabulary.pieces[1] = '<.*>';
  vocabulary.pieces[2] = '<.*>|';
  const odd = new Tokenizer(vocabulary);
  assert.equal(odd.encode('<.*>|<.*><x>', { special: true }), [2, 1, ...odd.encode('<x>')]);
});

test('encode: without a space prefix nothing is added or dropped', () => {
  const bare = new Tokenizer(handMade(true, { addSpacePrefix: false }));
  assert.equal(bare.encode('abc'), [265]);
  assert.is(bare.decode([267]), ' a');
});

test('encode: lone surrogates count as U+FFFD', () => {
  assert.equal(small.encode('\ud83d a\udd99'), [259, 280, 267, 280]);
  assert.is(small.decode(small.encode('\udd99\ud83d')), '\ufffd\ufffd');
});

test('encode and decode: wrong arguments are named', () => {
  for (const text of [undefined, null, 7, ['a'], {}]) {
    throws(() => small.encode(text as unknown as string), OptionError, 'option-type');
  }
  for (const option of ['bos', 'eos', 'special']) {
    throws(() => small.encode('a', { [option]: 1 }), OptionError, 'option-type');
  }
  for (const id of [-1, small.size, 0.5, Number.NaN]) {
    throws(() => small.decode([id]), OptionError, 'token-out-of-range');
    throws(() => small.piece(id), OptionError, 'token-out-of-range');
    throws(() => small.decoder().push(id), OptionError, 'token-out-of-range');
  }
  assert.is(small.piece(267), '▁a');
});

/** Well-formed text without U+2581, with much of what the small vocabulary has. */
const anyText = fc.oneof(
  fc.string({ unit: 'binary' }).map(text => text.replaceAll('▁', '')),
  fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', ' ', 'x', 'y', '[U]', '[', '</s>', '🦙') }),
);

test('decode(encode(text)) is the text', () => {
  for (const text of ['', ' ', '  ', '\ufeff', '\ufeff\ufeffa', '\u0000', '\r\n', ' a ', '[U] [U]']) {
    assert.is(small.decode(small.encode(text)), text, JSON.stringify(text));
  }
  fc.assert(
    fc.property(anyText, text => small.decode(small.encode(text, { bos: true, eos: true })) === text),
  );
});

test('decoder: its pieces put together are what decode says, for any ids', () => {
  const someIds = fc.array(
    fc.oneof(fc.nat(small.size - 1), fc.constantFrom(...utf8.encode('🦙é你').map(byteId), 259, 267, 0, 1)),
  );
  fc.assert(
    fc.property(someIds, ids => {
      const decoder = small.decoder();
      const text = ids.map(id => decoder.push(id)).join('') + decoder.end();
      // the oracle: all bytes at once, cut where the text pieces are
      const type = (id: number): number => small.vocabulary.types[id]!;
      let expected = '';
      let run: number[] = [];
      let first = true;
      const flush = (): void => {
        expected += new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(run));
        run = [];
      };
      for (const id of ids) {
        if (type(id) === PieceType.control) continue;
        const leading = first;
        first = false;
        if (type(id) === PieceType.byte) {
          run.push(id - 3);
          continue;
        }
        flush();
        const said = id === 0 ? ' ⁇ ' : small.piece(id).replaceAll('▁', ' ');
        expected += leading && id !== 0 ? said.replace(/^ /, '') : said;
      }
      flush();
      assert.is(text, expected);
      assert.is(small.decode(ids), expected);
    }),
  );
});

test('decoder: a character comes whole or not yet', () => {
  const decoder = small.decoder();
  const said = [...utf8.encode('é🦙\ufeff')].map(byte => decoder.push(byteId(byte)));
  assert.equal(said, ['', 'é', '', '', '', '🦙', '', '', '\ufeff']);
  assert.is(decoder.end(), '');
  assert.is(decoder.push(byteId(0xf0)), '');
  assert.is(decoder.push(2), '', 'control pieces do not cut a character');
  assert.is(decoder.end(), '\ufffd');
});

test('decoder: one that continues a prompt keeps the leading space', () => {
  const decoder = small.decoder({ stripLeadingSpace: false });
  assert.is(decoder.push(267) + decoder.push(267), ' a a');
  const fresh = small.decoder();
  assert.is(fresh.push(1) + fresh.push(267) + fresh.push(267), 'a a');
});

test('encode: the work grows with the text, whatever the text', () => {
  let state = 1;
  const random = (n: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  const makers: Record<string, (n: number) => string> = {
    'one repeated letter': n => 'a'.repeat(n),
    spaces: n => ' '.repeat(n),
    words: n => Array.from({ length: n }, () => 'aabbccdef  '[random(11)]).join(''),
    'no spaces': n => Array.from({ length: n }, () => 'abcdefxy'[random(8)]).join(''),
    'merges that cascade': n => 'abc'.repeat(n / 3),
    'unknown characters': n => 'é'.repeat(n),
    'user-defined': n => '[U][U'.repeat(n / 5),
  };
  for (const [name, make] of Object.entries(makers)) {
    const cost = (n: number): WorkCounter => {
      const work = { lookups: 0, comparisons: 0 };
      small.encode(make(n), {}, work);
      assert.ok(work.lookups <= 3 * n + 3, `${name}: ${work.lookups} lookups for ${n} characters`);
      return work;
    };
    const [one, four] = [cost(15_000), cost(60_000)];
    const ratio = (four.lookups + four.comparisons) / (one.lookups + one.comparisons);
    assert.ok(ratio <= 5, `${name}: four times the text took ${ratio} times the work`);
  }
  const counted = { lookups: 0, comparisons: 0 };
  small.encode('abcabc', {}, counted);
  assert.ok(counted.lookups > 5 && counted.comparisons > 5, 'the counter counts');
});

/** A GGUF's tokenizer keys, changed. */
function metadata(changes: Record<string, MetadataValue | undefined> = {}): Metadata {
  const { pieces, scores, types } = handMade(true);
  const keys: Record<string, MetadataValue | undefined> = {
    model: 'llama',
    tokens: pieces,
    scores,
    token_type: Int32Array.from(types),
    bos_token_id: 1,
    eos_token_id: 2,
    unknown_token_id: 0,
    ...changes,
  };
  const map: Metadata = new Map([['general.architecture', 'llama']]);
  for (const [key, value] of Object.entries(keys)) {
    if (value !== undefined) map.set(`tokenizer.ggml.${key}`, value);
  }
  return map;
}

test('vocabulary of a GGUF: as written', () => {
  const read = vocabularyFromMetadata(metadata(), 'f');
  assert.equal(read, handMade(true, { addBos: true }));
  const switched = vocabularyFromMetadata(
    metadata({ add_bos_token: false, add_eos_token: true, add_space_prefix: false, eos_token_id: 5n }),
    'f',
  );
  assert.equal(switched, handMade(true, { addEos: true, addSpacePrefix: false, eos: 5 }));
});

test('vocabulary of a GGUF: what may be missing', () => {
  assert.is(vocabularyFromMetadata(new Map([['general.architecture', 'llama']]), 'f'), undefined);
  const missing = { bos_token_id: undefined, eos_token_id: undefined, unknown_token_id: undefined };
  const withIds = vocabularyFromMetadata(metadata(missing), 'f')!;
  assert.equal([withIds.unknown, withIds.bos, withIds.eos], [0, 1, 2]);
  // without the types, all but special and byte pieces are normal
  const derived = vocabularyFromMetadata(metadata({ ...missing, token_type: undefined }), 'f')!;
  const normal = handMade(true).types.map(type => (type === 4 || type === 5 ? PieceType.normal : type));
  assert.equal(derived.types, normal);
  // pieces that are not Llama's are nobody's BOS
  const pieces = handMade(true).pieces.with(1, '<start>').with(2, '<end>');
  const none = vocabularyFromMetadata(metadata({ ...missing, tokens: pieces }), 'f')!;
  assert.equal([none.unknown, none.bos, none.eos, none.addBos], [0, -1, -1, false]);
});

test('vocabulary of a GGUF: what cannot be a vocabulary', () => {
  const { pieces, scores, types } = handMade(true);
  const size = pieces.length;
  const twice = pieces.with(4, '<0x00>');
  const cases: Record<string, Record<string, MetadataValue | undefined>> = {
    model: { model: undefined },
    'model is a number': { model: 1 },
    tokens: { tokens: undefined },
    'tokens are numbers': { tokens: new Int32Array(size) },
    'tokens are booleans': { tokens: [true] },
    'no tokens': { tokens: [], scores: new Float32Array(0), token_type: new Int32Array(0) },
    scores: { scores: undefined },
    'scores are integers': { scores: new Int32Array(size) },
    'scores are fewer': { scores: scores.slice(1) },
    'a score is NaN': { scores: scores.with(size - 1, Number.NaN) },
    'types are fewer': { token_type: Int32Array.from(types.slice(0, -1)) },
    'types are floats': { token_type: Float32Array.from(types) },
    'types are strings': { token_type: pieces },
    'type 0': { token_type: Int32Array.from(types).with(7, 0) },
    'type 7': { token_type: Int32Array.from(types).with(7, 7) },
    'type 257, which would be 1 in a byte': { token_type: Int32Array.from(types).with(7, 257) },
    'type -1': { token_type: Int32Array.from(types).with(7, -1) },
    'a byte piece is text': { tokens: pieces.with(3, 'zero') },
    'a byte twice': { tokens: twice },
    'BOS out of range': { bos_token_id: size },
    'BOS is text': { bos_token_id: '<s>' },
    'EOS out of range': { eos_token_id: 4294967294 },
    'EOS negative': { eos_token_id: -1 },
    'unknown out of range': { unknown_token_id: 1n << 60n },
    'BOS is no integer': { bos_token_id: 0.5 },
    'add_bos is a number': { add_bos_token: 1 },
    'add_eos is text': { add_eos_token: 'true' },
    'add_space_prefix is a number': { add_space_prefix: 0 },
    'text without ids': {
      tokens: pieces.with(0, 'x').with(3, 'y'),
      token_type: undefined,
      unknown_token_id: undefined,
    },
  };
  for (const [name, changes] of Object.entries(cases)) {
    const error = throws(
      () => vocabularyFromMetadata(metadata(changes), 'f.gguf'),
      FileError,
      'bad-vocabulary',
    );
    assert.match(error.where, /^f\.gguf: tokenizer\.ggml\./, name);
  }
  for (const model of ['gpt2', 'bert', 'LLAMA', '']) {
    throws(() => vocabularyFromMetadata(metadata({ model }), 'f'), FileError, 'unsupported-tokenizer');
  }
});

/** The small vocabulary as llama2.c would export it: it has no types, so the unused and user-defined go. */
function exported(): { file: Uint8Array; vocabulary: Vocabulary } {
  const vocabulary = handMade(true, { addBos: true });
  for (const [id, type] of vocabulary.types.entries()) if (type === 4 || type === 5) vocabulary.types[id] = 1;
  const pieces = vocabulary.pieces.with(1, '\n<s>\n').with(2, '\n</s>\n');
  const file = llama2cTokenizer(
    pieces.map((piece, id) => [utf8.encode(piece.replaceAll('▁', ' ')), vocabulary.scores[id]!]),
  );
  return { file, vocabulary };
}

test('vocabulary of llama2.c: as written', () => {
  const { file, vocabulary } = exported();
  assert.equal(vocabularyFromLlama2c(file, vocabulary.pieces.length, 'f'), vocabulary);
  assert.equal(vocabularyFromLlama2c(file, undefined, 'f'), vocabulary);
  // at an odd address, inside a larger buffer
  const larger = new Uint8Array(file.length + 9);
  larger.set(file, 3);
  assert.equal(vocabularyFromLlama2c(larger.subarray(3, 3 + file.length), undefined, 'f'), vocabulary);
});

test('vocabulary of llama2.c: every shorter file is refused', () => {
  const { file, vocabulary } = exported();
  const size = vocabulary.pieces.length;
  const ends = new Set([4]);
  for (let at = 4; at < file.length; ends.add(at)) {
    at += 8 + new DataView(file.buffer).getUint32(at + 4, true);
  }
  throws(() => vocabularyFromLlama2c(file.subarray(0, 0), size, 'f'), FileError, 'file-empty');
  for (let length = 1; length < file.length; length++) {
    const expected = ends.has(length) ? 'bad-vocabulary' : 'file-truncated';
    throws(() => vocabularyFromLlama2c(file.subarray(0, length), size, 'f'), FileError, expected);
  }
});

test('vocabulary of llama2.c: what cannot be a vocabulary', () => {
  const { file, vocabulary } = exported();
  const size = vocabulary.pieces.length;
  const bad = (bytes: Uint8Array, vocabSize: number | undefined = size): CriaError =>
    throws(() => vocabularyFromLlama2c(bytes, vocabSize, 'f.bin'), FileError, 'bad-vocabulary');
  bad(file, size - 1);
  bad(file, size + 1);
  bad(Uint8Array.of(...file, 0));
  bad(Uint8Array.of(...file, ...new Uint8Array(8)));
  const changed = (change: (view: DataView) => void): Uint8Array => {
    const copy = file.slice();
    change(new DataView(copy.buffer));
    return copy;
  };
  bad(changed(view => view.setUint32(0, 5, true)));
  bad(changed(view => view.setUint32(8, 0xffffffff, true)));
  bad(changed(view => view.setFloat32(4, Number.NaN, true)));
  bad(changed(view => view.setUint8(12, 0xff)));
  throws(
    () =>
      vocabularyFromLlama2c(
        changed(view => {
          view.setUint32(0, 0xffffffff, true);
          view.setUint32(8, 0xfffffff0, true);
        }),
        size,
        'f',
      ),
    FileError,
    'file-truncated',
  );
  bad(llama2cTokenizer([[utf8.encode('<unk>'), 0]]), undefined);
  bad(llama2cTokenizer([]), undefined);
});

test('pieces are found by their bytes, also where a file made them collide', () => {
  // 200 texts of one place in a table of 512, more than a chain is followed for
  const colliding: string[] = [];
  for (let i = 0; colliding.length < 200; i++) {
    const bytes = utf8.encode(`é${i}`);
    if ((hashOf(bytes, 0, bytes.length) & 511) === 77) colliding.push(`é${i}`);
  }
  const honest = Array.from({ length: 200 }, (_, i) => `▁${i}`);
  for (const pieces of [honest, colliding, [...honest, ...colliding].slice(0, 300)]) {
    // every seventh is no member, and the last one comes twice
    const texts = TextList.of([...pieces, pieces[1]!]);
    const flags = Uint8Array.from({ length: texts.length }, (_, id) => (id % 7 === 0 ? 0 : 1));
    const table = new PieceTable(texts, flags);
    const find = (text: string): number => {
      const bytes = utf8.encode(`<${text}>`);
      return table.find(bytes, 1, bytes.length - 1);
    };
    for (const [id, piece] of pieces.entries()) assert.is(find(piece), id % 7 === 0 ? -1 : id, piece);
    for (const absent of ['', '▁', 'é', `${pieces[1]}x`, '🦙']) assert.is(find(absent), -1);
  }
});

test('encode: a long text is the same whether its words are merged apart or together', () => {
  // one piece more keeps them together: a space after another character, or an unused piece; neither comes up
  const alone = handMade(true);
  for (const [id, type] of alone.types.entries())
    if (type === PieceType.unused) alone.types[id] = PieceType.normal;
  const with_ = (piece: string, type: number): Tokenizer =>
    new Tokenizer({
      ...alone,
      pieces: [...alone.pieces, piece],
      scores: Float32Array.of(...alone.scores, -1),
      types: Uint8Array.of(...alone.types, type),
    });
  const together = [
    with_('q▁', PieceType.normal),
    with_('▁q▁a', PieceType.userDefined),
    with_('q', PieceType.unused),
  ];
  const apart = new Tokenizer(alone);
  const text = fc
    .array(
      fc.constantFrom(
        'abc',
        ' ',
        '  ',
        '▁',
        'aabc',
        'xy',
        'de',
        '[U]',
        '[U][U]b',
        '🦙',
        'é',
        '\n',
        'ca',
        '\ud83d',
      ),
      {
        minLength: 1200,
        maxLength: 2400,
      },
    )
    .map(parts => parts.join(''));
  fc.assert(
    fc.property(text, raw => {
      const ids = apart.encode(raw).join();
      for (const other of together) assert.is(other.encode(raw).join(), ids);
    }),
    { numRuns: 30 },
  );
});

const TOKENIZERS = 'data/tokenizers';

function llama2cFile(name: string, size: number): Tokenizer {
  return new Tokenizer(vocabularyFromLlama2c(readFileSync(sharedFile(`${TOKENIZERS}/${name}`)), size, name));
}

sharedTest(test, "encode: llama.cpp's test texts under the vocabulary of Llama", () => {
  const llama = llama2cFile('tokenizer.bin', 32000);
  const file = sharedFile(`${TOKENIZERS}/ggml-vocab-llama-spm.gguf`);
  const texts = readFileSync(`${file}.inp`, 'utf8').split('\n__ggml_vocab_test__\n').slice(0, -1);
  const lines = readFileSync(`${file}.out`, 'utf8').split('\n').slice(0, -1);
  assert.is(texts.length, 46);
  assert.is(lines.length, 46);
  for (const [i, text] of texts.entries()) {
    const ids = lines[i]!.split(' ').filter(Boolean).map(Number);
    assert.equal(llama.encode(text, { bos: false }), ids, JSON.stringify(text));
    assert.equal(llama.encode(text), [1, ...ids]);
    assert.is(llama.decode(ids), text);
  }
});

sharedTest(test, 'vocabulary: GGUF and llama2.c say the same of Llama', () => {
  const bytes = readFileSync(sharedFile(`${TOKENIZERS}/ggml-vocab-llama-spm.gguf`));
  const header = parseGguf(bytes, bytes.length, 'ggml-vocab-llama-spm.gguf');
  if (typeof header === 'number') throw new Error('the whole file is at hand');
  const gguf = vocabularyFromMetadata(header.metadata, 'ggml-vocab-llama-spm.gguf')!;
  const llama2c = llama2cFile('tokenizer.bin', 32000).vocabulary;
  const entry = ({ pieces, scores, types }: Vocabulary, id: number): string =>
    `${pieces[id]} ${scores[id]} ${types[id]}`;
  const differing = gguf.pieces.findIndex((_, id) => entry(gguf, id) !== entry(llama2c, id));
  assert.is(differing, -1);
  const settings = ({ pieces, scores: _scores, types: _types, ...rest }: Vocabulary): object => ({
    size: pieces.length,
    ...rest,
  });
  assert.equal(settings(gguf), settings(llama2c));
});

for (const [name, text] of [
  ['llama2.tinyshakespeare', 'tinyshakespeare'],
  ['llama2.wagahaiwa', 'wagahaiwa_nekodearu'],
] as const) {
  sharedTest(test, `encode: every line of ${text} gives the ids of SentencePiece`, () => {
    const llama = llama2cFile('tokenizer.bin', 32000);
    const zipped = readFileSync(sharedFile(`data/fixtures/sentencepiece/${name}.lines.ids.txt.gz`));
    const expected = gunzipSync(zipped).toString('utf8').split('\n');
    const lines = readFileSync(sharedFile(`data/text/${text}.txt`), 'utf8').split('\n');
    if (expected.length === lines.length + 1) assert.is(expected.pop(), '');
    assert.is(expected.length, lines.length);
    assert.ok(lines.length > 2000);
    for (const [i, line] of lines.entries()) {
      const ids = llama.encode(line, { bos: false });
      assert.is(ids.join(' '), expected[i], JSON.stringify(line));
      assert.is(llama.decode(ids), line);
    }
  });
}

sharedTest(test, 'encode: the prompts of run.c under the 512 pieces of TinyStories', () => {
  const tok512 = llama2cFile('tok512.bin', 512);
  const file = sharedFile('data/fixtures/llama2c-run.c/stories260K.greedy256.jsonl');
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  assert.ok(lines.length > 8);
  for (const line of lines) {
    const { prompt, prompt_ids } = JSON.parse(line) as { prompt: string; prompt_ids: number[] };
    assert.equal(tok512.encode(prompt), prompt_ids, JSON.stringify(prompt));
    assert.is(tok512.decode(prompt_ids), prompt);
  }
});

sharedTest(test, 'decode(encode(text)) is the text under the vocabulary of Llama', () => {
  const llama = llama2cFile('tokenizer.bin', 32000);
  const text = fc.string({ unit: 'binary', maxLength: 60 }).map(raw => raw.replaceAll('▁', ''));
  fc.assert(fc.property(text, raw => llama.decode(llama.encode(raw)) === raw));
});

test.run();
