import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Source } from '../host/source.ts';
import { bytesSource } from '../host/sources/bytes.ts';
import { TextList } from '../host/text-list.ts';
import { Tokenizer } from '../host/tokenizer.ts';
import { Hash128 } from '../host/train/hash.ts';
import {
  type DataSource,
  folderStore,
  memoryStore,
  openData,
  openTokens,
  readDocuments,
  sourceHash,
  TokenData,
  type TokenDataOptions,
  type TokenFile,
  tokensOf,
  trainTokenizer,
  vocabularyHash,
  writeTokens,
} from '../host/train/index.ts';
import { checkedVocabulary } from '../host/vocabulary.ts';
import { temporaryFolder } from './support/cli.ts';
import { rejects } from './support/errors.ts';
import { generatedStories } from './support/generated-text.ts';
import { sharedFile, sharedTest } from './support/shared.ts';

const files = temporaryFolder();
const utf8 = new TextEncoder();
const STORIES = generatedStories(60);
const { vocabulary } = await trainTokenizer(STORIES, { vocabSize: 400 });
const tokenizer = new Tokenizer(checkedVocabulary(TextList.of(vocabulary.pieces), vocabulary, key => key));

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

const textsOf = async (source: DataSource): Promise<string[]> =>
  (await all(readDocuments(source))).map(({ text }) => text);
const bytesOf = (text: string): Uint8Array => utf8.encode(text);
const named = (name: string, bytes: Uint8Array): Source => bytesSource(bytes, name);

test('texts are cut at their separator, wherever reads end', async () => {
  assert.equal(await textsOf({ files: [bytesOf('\ufeffone\n<|endoftext|>\n\n<|endoftext|> two ')] }), [
    'one',
    'two',
  ]);
  assert.equal(await textsOf({ files: [bytesOf('a\n\nb\r\n')], separator: '\n' }), ['a', 'b']);
  // separators and characters that lie across the end of a read of 2^20 bytes
  for (const offset of [-13, -5, -2, -1, 0]) {
    const first = 'é'.repeat((2 ** 20 + offset) >> 1) + (offset % 2 === 0 ? '' : 'x');
    const texts = [first, '你好', 'end'];
    assert.equal(await textsOf({ files: [bytesOf(texts.join('<|endoftext|>'))] }), texts);
    assert.equal(await textsOf({ files: [bytesOf(texts.join('\n'))], separator: '\n' }), texts);
    const lines = texts.map(text => JSON.stringify({ text })).join('\n');
    assert.equal(await textsOf({ files: [named('x.jsonl', bytesOf(lines))] }), texts);
  }
});

test('a separator may be a pattern, wherever reads end', async () => {
  const lone = '/(?<!\\n)\\n(?!\\n)/'; // a line feed that makes no empty line
  assert.equal(await textsOf({ files: [bytesOf('a\n\nb\nc\nd\n')], separator: lone }), ['a\n\nb', 'c', 'd']);
  for (let offset = -5; offset < 3; offset++) {
    const texts = [`${'x'.repeat(2 ** 20 + offset)}\n\ny`, 'z\n\nz', 'end'];
    assert.equal(await textsOf({ files: [bytesOf(texts.join('\n'))], separator: lone }), texts);
  }
  // documents that end where reads do, against the text in one piece
  const many = Array.from({ length: 40_000 }, (_, i) => `${'a'.repeat(1 + (i % 97))}\n\n${i}b`);
  assert.equal(
    await textsOf({ files: [bytesOf(many.join('\n'))], separator: lone }),
    many.map(text => text.trim()),
  );
  // what stands before a document is not seen from it
  assert.equal(await textsOf({ files: [bytesOf('xABByz')], separator: '/(?<=[AB])B/' }), ['xA', 'Byz']);
  const chapters = ['CHAPTER 1\none', 'CHAPTER 2\ntwo'];
  assert.equal(
    await textsOf({ files: [bytesOf(chapters.join('\n'))], separator: '/(?=CHAPTER )/' }),
    chapters,
  );
});

test('JSONL gives a field, with licence and attribution', async () => {
  const lines = [{ md: 'one', by: 'Ann', license: 'CC-BY' }, { md: ['two', 'three'] }];
  const bytes = bytesOf(`${lines.map(line => JSON.stringify(line)).join('\r\n')}\r\n\n`);
  const source: DataSource = {
    files: [named('a.jsonl', bytes)],
    field: 'md',
    licenseField: 'license',
    attributionField: 'by',
    license: 'MIT',
  };
  assert.equal(await all(readDocuments(source)), [
    { license: 'CC-BY', text: 'one', attribution: 'Ann' },
    { license: 'MIT', text: 'two\nthree' },
  ]);
});

test('what is wrong with a text is told with its place', async () => {
  const bad = async (
    source: DataSource,
    code: Parameters<typeof rejects>[1],
    said: string,
  ): Promise<void> => {
    const error = await rejects(() => all(readDocuments(source)), code);
    assert.ok(error.message.includes(said), error.message);
  };
  const jsonl = (text: string | Uint8Array): Source =>
    named('a.jsonl', typeof text === 'string' ? bytesOf(text) : text);
  await bad({ files: [Uint8Array.of(65, 66, 0xff, 65)] }, 'bad-text', 'byte 2');
  await bad({ files: [Uint8Array.of(65, 0xc3)] }, 'bad-text', 'byte 2');
  const long = new Uint8Array(2 ** 20 + 100).fill(65);
  long[2 ** 20 - 1] = 0xc3;
  long[2 ** 20] = 0xa9;
  long[2 ** 20 + 50] = 0x80;
  await bad({ files: [long] }, 'bad-text', `byte ${2 ** 20 + 50}`);
  await bad({ files: [jsonl('{"text":"a"}\n\n{"text":')] }, 'bad-record', 'a.jsonl: line 3');
  await bad(
    { files: [jsonl('{"text":"a"}\n{"txt":"b"}')] },
    'bad-record',
    'line 2: expected a field "text" with a text, got the fields "txt"',
  );
  await bad({ files: [jsonl('[1]')] }, 'bad-record', 'line 1');
  await bad({ files: [jsonl('{"text":7}')] }, 'bad-record', 'got one that is a number');
  await bad({ files: [jsonl('{"a":"b"}')], field: '__proto__' }, 'bad-record', '"__proto__"');
  await bad(
    { files: [jsonl(Uint8Array.of(...bytesOf('{"text":"a"}\n'), 0xff))] },
    'bad-text',
    'line 2: byte 0',
  );
  await bad({ files: ['/no/such/file.txt'] }, 'file-not-found', 'no such file');
  await bad({ files: [] }, 'option-type', 'a list of files');
  await bad({ files: ['a'], format: 'csv' as never }, 'option-range', 'text, jsonl or parquet');
  await bad({ files: ['a'], separator: '' }, 'option-range', 'separator');
  await bad({ files: ['a'], separator: '/(/' }, 'option-range', 'a regular expression');
  await bad({ files: ['a'], separator: '/a/i' }, 'option-range', 'without flags');
  await bad({ files: ['a'], weight: -1 }, 'option-range', 'weight');
});

test('Parquet gives a column, row group by row group', async () => {
  const texts = STORIES.slice(0, 30);
  const buffer = parquetWriteBuffer({
    columnData: [
      { name: 'id', data: texts.map((_, i) => i), type: 'INT32' },
      { name: 'story', data: texts, type: 'STRING' },
      { name: 'license', data: texts.map((_, i) => (i % 2 === 0 ? 'MIT' : 'CC-BY')), type: 'STRING' },
    ],
    rowGroupSize: 7,
  });
  const bytes = new Uint8Array(buffer);
  const source: DataSource = { files: [named('a.parquet', bytes)], field: 'story', licenseField: 'license' };
  const documents = await all(readDocuments(source));
  assert.equal(
    documents.map(({ text }) => text),
    texts,
  );
  assert.equal(
    documents.slice(0, 2).map(({ license }) => license),
    ['MIT', 'CC-BY'],
  );
  const missing = await rejects(() => textsOf({ ...source, field: 'text' }), 'bad-parquet');
  assert.match(missing.message, 'expected a column "text", got id, story, license');
  for (let length = 0; length < bytes.length; length += 97) {
    const torn = { ...source, files: [named('a.parquet', bytes.subarray(0, length))] };
    await rejects(() => textsOf(torn), 'bad-parquet');
  }
});

/** The bytes of a token file of texts. */
async function tokenBytes(texts: readonly string[], source = new Uint8Array(16)): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  const documents = texts.map(text => ({ text }));
  await writeTokens(documents, tokenizer, source, { write: async bytes => void pieces.push(bytes.slice()) });
  return new Uint8Array(Buffer.concat(pieces));
}

const tokenFile = async (texts: readonly string[]): Promise<TokenFile> =>
  openTokens(named('x.tokens', await tokenBytes(texts)));

test('a token file holds each document with BOS and EOS', async () => {
  const file = await tokenFile(STORIES);
  const expected = STORIES.map(text => tokenizer.encode(text, { bos: true, eos: true }));
  assert.equal(
    Array.from(file.lengths),
    expected.map(ids => ids.length),
  );
  const ids = new Int32Array(file.totals.tokens);
  await file.read(ids, 0);
  assert.equal(Array.from(ids), expected.flat());
  assert.is(file.totals.bytes, bytesOf(STORIES.join('')).length);
  const empty = await tokenFile([]);
  assert.equal(empty.totals, { tokens: 0, documents: 0, bytes: 0 });
});

test('a token file that is torn, damaged or foreign is recognised', async () => {
  const whole = await tokenBytes(STORIES.slice(0, 6));
  for (let length = 0; length < whole.length; length++) {
    await rejects(() => openTokens(named('x', whole.subarray(0, length))), 'bad-token-file');
  }
  for (let at = 0; at < whole.length; at++) {
    const bytes = whole.slice();
    bytes[at]! ^= 1 << (at % 8);
    // the hash covers all but itself and the magic words, whose own change is one
    await rejects(() => openTokens(named('x', bytes)), 'bad-token-file');
  }
  const other = await trainTokenizer(STORIES.slice(1), { vocabSize: 400 });
  const foreign = { vocabulary: vocabularyHash(other.vocabulary) };
  await rejects(() => openTokens(named('x', whole), foreign), 'foreign-token-file');
  await rejects(
    () => openTokens(named('x', whole), { source: new Uint8Array(16).fill(1) }),
    'foreign-token-file',
  );
  await openTokens(named('x', whole), { vocabulary: vocabularyHash(vocabulary), source: new Uint8Array(16) });
});

test('a source is tokenised once, and again when its text, its reading or the vocabulary changes', async () => {
  for (const store of [memoryStore(), folderStore(files.file('x', '').replace(/x$/, 'tokens/deep'))]) {
    let written = 0;
    const counting: typeof store = {
      open: name => store.open(name),
      write: (name, work) => {
        written++;
        return store.write(name, work);
      },
    };
    const source: DataSource = { name: 'a/b ü', files: [bytesOf(STORIES.join('<|endoftext|>'))] };
    const tokens = async (changes: object = {}): Promise<number> => {
      const file = await tokensOf({ ...source, ...changes }, tokenizer, counting);
      await file.close();
      return file.totals.documents;
    };
    assert.is(await tokens(), STORIES.length);
    assert.is(await tokens(), STORIES.length);
    assert.is(written, 1);
    assert.ok((await tokens({ separator: '\n' })) > STORIES.length);
    assert.is(written, 2);
    await tokens({ files: [bytesOf(STORIES.join('<|endoftext|>').replace('a', 'b'))] });
    assert.is(written, 3);
  }
  // one that is damaged in the store is made again
  const kept = new Map<string, Uint8Array>();
  const store: ReturnType<typeof memoryStore> = {
    open: async name => (kept.has(name) ? named(name, kept.get(name)!) : undefined),
    write: async (name, work) => {
      const pieces: Uint8Array[] = [];
      await work({ write: async bytes => void pieces.push(bytes.slice()) });
      kept.set(name, new Uint8Array(Buffer.concat(pieces)));
    },
  };
  const source: DataSource = { files: [bytesOf(STORIES[0]!)] };
  await tokensOf(source, tokenizer, store);
  const [[name, whole]] = [...kept] as [[string, Uint8Array]];
  for (const damaged of [whole.subarray(0, 100), whole.map((byte, i) => (i === 70 ? byte ^ 1 : byte))]) {
    kept.set(name, damaged);
    await tokensOf(source, tokenizer, store);
    assert.equal(kept.get(name), whole);
  }
});

test('a run that ends while it writes leaves no token file', async () => {
  const folder = files.file('y', '').replace(/y$/, 'aborted');
  const store = folderStore(folder);
  const source: DataSource = { files: [named('a.jsonl', bytesOf('{"text":"a"}\n{"text":'))] };
  await rejects(() => tokensOf(source, tokenizer, store), 'bad-record');
  const { readdirSync } = await import('node:fs');
  assert.equal(readdirSync(folder), []);
});

const OPTIONS: TokenDataOptions = { B: 3, T: 16, microBatches: 2, seed: 5, validation: 0.1 };

async function dataOf(texts: readonly string[], options: Partial<TokenDataOptions> = {}): Promise<TokenData> {
  return new TokenData([{ name: 'a', file: await tokenFile(texts) }], { ...OPTIONS, ...options });
}

test('targets follow tokens, and documents follow one another', async () => {
  const data = await dataOf(STORIES, { validation: 0 });
  const bos = 1;
  const documents = STORIES.map(text => tokenizer.encode(text, { bos: true, eos: true }).join());
  const text = documents.join();
  for (let step = 0; step < 4; step++) {
    const { tokens, targets, rows } = await data.batchAt(step, 1);
    assert.is(rows, 3);
    assert.is(tokens.length, 3 * 16);
    for (let row = 0; row < 3; row++) {
      const from = row * 16;
      assert.equal(targets.slice(from, from + 15), tokens.slice(from + 1, from + 16));
      // between two BOS a row holds a stretch of one document
      const ids = [...tokens.slice(from, from + 16), targets[from + 15]!];
      const cuts = [0, ...ids.flatMap((id, i) => (id === bos && i > 0 ? [i] : [])), ids.length];
      for (let i = 1; i < cuts.length; i++) assert.ok(text.includes(ids.slice(cuts[i - 1], cuts[i]).join()));
    }
  }
});

test('an epoch has every id as a target once, but for less than a row', async () => {
  const file = await tokenFile(STORIES.map((_, i) => STORIES[i]!));
  const counts = (ids: Iterable<number>): number[] => {
    const sums = new Array<number>(400).fill(0);
    for (const id of ids) sums[id]!++;
    return sums;
  };
  const everything = new Int32Array(file.totals.tokens);
  await file.read(everything, 0);
  const data = new TokenData([{ name: 'a', file }], { B: 1, T: 32, seed: 9, validation: 0 });
  const { rows } = data.sources[0]!;
  const epochs: string[] = [];
  for (let epoch = 0; epoch < 3; epoch++) {
    const targets: number[] = [];
    for (let row = 0; row < rows; row++) targets.push(...(await data.batchAt(epoch * rows + row)).targets);
    const missing = counts(everything).map((count, id) => count - counts(targets)[id]!);
    assert.ok(missing.every(count => count >= 0));
    assert.is(
      missing.reduce((sum, count) => sum + count, 0),
      file.totals.tokens - 32 * rows,
    );
    assert.ok(file.totals.tokens - 32 * rows <= 32);
    epochs.push(targets.join());
  }
  assert.is(new Set(epochs).size, 3);
});

test('a batch follows from seed and place alone', async () => {
  const straight = await dataOf(STORIES);
  const batches = [];
  for (let step = 0; step < 40; step++) {
    for (let micro = 0; micro < 2; micro++) batches.push(await straight.batchAt(step, micro));
  }
  // another process that begins late and reads in any order
  const late = await dataOf(STORIES);
  for (const i of [79, 3, 40, 41, 0, 78]) {
    assert.equal(await late.batchAt(i >> 1, i & 1), batches[i]);
  }
  const hash = new Hash128();
  for (const { tokens } of batches) hash.update(new Uint8Array(tokens.buffer));
  assert.is(hash.hex(), '25aa4d6b654bc6ebfd72575000fa0b85');
  assert.not.equal((await (await dataOf(STORIES, { seed: 6 })).batchAt(0)).tokens, batches[0]!.tokens);
  // rows are numbered through: how many of them make a micro-batch does not change which they are
  const wider = await dataOf(STORIES, { B: 6, microBatches: 1 });
  assert.equal(
    (await wider.batchAt(7)).tokens,
    Int32Array.of(...batches[14]!.tokens, ...batches[15]!.tokens),
  );
});

test('a document keeps its side when others come and go', async () => {
  const sides = async (texts: readonly string[], seed = 5): Promise<Map<string, string>> => {
    const data = await dataOf(texts, { B: 1, T: 8, validation: 0.3, splitSeed: seed });
    const held: number[] = [];
    for (let i = 0; i < data.validationBatches; i++) held.push(...(await data.validationAt(i)).tokens);
    const text = held.join();
    return new Map(
      texts.map(one => [
        one,
        text.includes(tokenizer.encode(one, { bos: false }).slice(0, 12).join()) ? 'held' : 'train',
      ]),
    );
  };
  const few = await sides(STORIES.slice(0, 40));
  const many = await sides([...generatedStories(10, 3), ...STORIES]);
  for (const [text, side] of few) assert.is(many.get(text), side);
  const share = [...few.values()].filter(side => side === 'held').length / few.size;
  assert.ok(share > 0.1 && share < 0.5, String(share));
  assert.not.equal([...(await sides(STORIES.slice(0, 40), 6)).values()], [...few.values()]);
});

test('no document is on both sides, and all are on one', async () => {
  const data = await dataOf(STORIES, { validation: 0.25 });
  const [{ documents, tokens }] = data.sources as [TokenData['sources'][0]];
  assert.is(documents.train + documents.validation, STORIES.length);
  assert.is(tokens.train + tokens.validation, (await tokenFile(STORIES)).totals.tokens);
  assert.ok(documents.validation > 5 && documents.validation < 25);
  let rows = 0;
  for (let i = 0; i < data.validationBatches; i++) rows += (await data.validationAt(i)).rows;
  assert.is(rows, Math.floor((tokens.validation - 1) / 16));
});

test('one long text is split by its end', async () => {
  const text = STORIES.join('\n');
  await rejects(() => dataOf([text], { validation: 0.1 }), 'no-text');
  const data = await dataOf([text], { validation: 0.1, split: 'tail' });
  const ids = tokenizer.encode(text, { bos: true, eos: true });
  const cut = Math.floor(ids.length * (1 - 0.1));
  assert.equal(data.sources[0]!.tokens, { train: cut, validation: ids.length - cut });
  assert.equal(Array.from((await data.validationAt(0)).tokens), ids.slice(cut, cut + 3 * 16));
  const last = await data.validationAt(data.validationBatches - 1);
  assert.ok(last.rows >= 1 && last.rows <= 3);
  assert.ok(last.tokens.slice(last.rows * 16).every(id => id === 0));
});

test('sources are mixed by tokens times weight, exactly over every 65,536 rows', async () => {
  const { Mixture } = await import('../host/train/data/mixture.ts');
  await fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0, max: 1000, noNaN: true }), { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 0, max: 2 ** 18 }),
      (amounts, start) => {
        const sum = amounts.reduce((total, amount) => total + amount, 0);
        fc.pre(sum > 1e-3);
        const mixture = new Mixture(amounts);
        const seen = amounts.map(() => 0);
        const first = amounts.map(() => -1);
        for (let row = start; row < start + 2000; row++) {
          const { source, index } = mixture.at(row);
          if (first[source]! < 0) first[source] = index;
          // each source's rows come one after the other
          assert.is(index, first[source]! + seen[source]!);
          seen[source]!++;
        }
        for (const [i, amount] of amounts.entries()) {
          assert.ok(Math.abs(seen[i]! - (2000 * amount) / sum) < 12, `${seen} of ${amounts}`);
          assert.ok(Math.abs(mixture.counts[i]! - (65536 * amount) / sum) <= 1);
        }
        assert.is(mixture.at(65536).source, mixture.at(0).source);
      },
    ),
    { numRuns: 30 },
  );
  const [a, b] = [await tokenFile(STORIES.slice(0, 30)), await tokenFile(STORIES.slice(30))];
  const data = new TokenData(
    [
      { name: 'a', file: a, weight: 3 },
      { name: 'b', file: b },
    ],
    { ...OPTIONS, validation: 0 },
  );
  const expected = (3 * a.totals.tokens) / (3 * a.totals.tokens + b.totals.tokens);
  assert.ok(Math.abs(data.sources[0]!.share - expected) < 1e-4);
  const none = [{ name: 'a', file: a, weight: 0 }];
  await rejects(() => new TokenData(none, OPTIONS), 'option-range');
});

test('a batch reads the ranges that it needs', async () => {
  const bytes = await tokenBytes(STORIES);
  let read = 0;
  const source = named('x', bytes);
  const counting: Source = {
    ...source,
    readInto: (view, offset) => {
      read += view.length;
      return source.readInto(view, offset);
    },
  };
  const data = new TokenData([{ name: 'a', file: await openTokens(counting) }], OPTIONS);
  read = 0;
  await data.batchAt(3);
  assert.is(read, 3 * 17 * 2);
});

test('wrong options and places are named', async () => {
  for (const [options, code] of [
    [{ B: 0 }, 'option-range'],
    [{ T: 1.5 }, 'option-range'],
    [{ validation: 1 }, 'option-range'],
    [{ split: 'half' }, 'option-range'],
    [{ seed: -1 }, 'option-range'],
    [{ T: 1e6 }, 'no-text'],
  ] as const) {
    await rejects(() => dataOf(STORIES, options as never), code);
  }
  const data = await dataOf(STORIES);
  await rejects(() => data.batchAt(-1), 'option-range');
  await rejects(() => data.batchAt(0, 2), 'option-range');
  await rejects(() => data.validationAt(data.validationBatches), 'option-range');
});

test('openData does all of it', async () => {
  const text = bytesOf(STORIES.join('<|endoftext|>'));
  const data = await openData([{ name: 'a', files: [text] }], tokenizer, OPTIONS);
  assert.equal(await data.batchAt(11, 1), await (await dataOf(STORIES)).batchAt(11, 1));
  await data.close();
  await rejects(() => openData([{ files: ['/no/such'] }], tokenizer, OPTIONS), 'file-not-found');
});

test('without a file system bytes are read and paths are refused', async () => {
  const train = await import('../host/entries/train.ts');
  const text = bytesOf(STORIES.join('<|endoftext|>'));
  const data = await train.openData([{ name: 'a', files: [text] }], tokenizer, OPTIONS);
  assert.equal(await data.batchAt(11, 1), await (await dataOf(STORIES)).batchAt(11, 1));
  await rejects(() => train.openData([{ files: ['a.txt'] }], tokenizer, OPTIONS), 'unsupported-runtime');
});

test('the hash of bytes does not depend on how they come', () => {
  const bytes = Uint8Array.from({ length: 300 }, (_, i) => (i * 7) % 251);
  const whole = new Hash128().update(bytes).hex();
  assert.is(whole, '856f0924715c2578d1f1d96451eb03b2');
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 300 })), cuts => {
      const hash = new Hash128();
      const sorted = [0, ...cuts.sort((a, b) => a - b), 300];
      for (let i = 1; i < sorted.length; i++) hash.update(bytes.subarray(sorted[i - 1], sorted[i]));
      assert.is(hash.hex(), whole);
    }),
  );
  const seen = new Set(Array.from({ length: 300 }, (_, n) => new Hash128().update(new Uint8Array(n)).hex()));
  assert.is(seen.size, 300);
});

sharedTest(test, 'real files: stories in JSONL, and a text with separators', async () => {
  const tales = await textsOf({
    files: [sharedFile('data/text/fairytaleqa/stories.jsonl')],
    field: 'sections',
  });
  assert.is(tales.length, 278);
  const file = sharedFile('data/text/tinystories-v2-head.txt');
  const stories = await textsOf({ files: [file] });
  const parts = readFileSync(file, 'utf8')
    .split('<|endoftext|>')
    .map(part => part.trim());
  assert.equal(
    stories,
    parts.filter(part => part !== ''),
  );
  assert.equal(
    await sourceHash({ files: [file] }),
    await sourceHash({ files: [readFileSync(file)], name: 'other' }),
  );
});

test.run();
