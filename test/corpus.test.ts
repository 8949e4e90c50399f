// Files with one thing wrong each (test/support/corpus.ts) give the error that names it.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CriaError } from '../host/errors.ts';
import { parseGguf } from '../host/gguf.ts';
import { modelFromGguf } from '../host/llama-file.ts';
import { CONTAINER, MODEL, nestedArrays, twice, whole } from './support/corpus.ts';
import { info, key, type RawFile, rawGguf, T, u8, u32 } from './support/raw-gguf.ts';

function open(bytes: Uint8Array): void {
  const header = parseGguf(bytes, bytes.length, 'test.gguf');
  if (typeof header === 'number') throw new Error('a whole file is enough');
  modelFromGguf(header, bytes.length, 'test.gguf');
}

/** The error that opening gives; another kind of error is a failure of the test. */
function errorOf(run: () => void): CriaError | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof CriaError) return error;
    throw error;
  }
  return undefined;
}

for (const [title, cases] of [
  ['container', CONTAINER],
  ['model', MODEL],
] as const) {
  for (const [name, bytes, code] of cases) {
    test(`${title}: ${name}`, () => {
      const error = errorOf(() => open(bytes()));
      assert.is(error?.code, code, error?.message);
      // A message that names the file, both sides and a way out.
      assert.ok(error!.where.startsWith('test.gguf'), error!.where);
      for (const part of [error!.expected, error!.got, error!.hint]) assert.ok(part.length > 0);
    });
  }
}

test('the corpus is large enough, and its unchanged model opens', () => {
  assert.ok(CONTAINER.length + MODEL.length >= 80, `${CONTAINER.length + MODEL.length} files`);
  console.log(`${CONTAINER.length + MODEL.length} malformed files`);
  open(whole());
});

test('a big-endian file is told how to become a little-endian one', () => {
  for (const magic of ['GGUF', 'FUGG']) {
    const error = errorOf(() => open(rawGguf({ magic, version: 0x03000000 })));
    assert.match(error!.hint, 'gguf_convert_endian.py');
  }
});

test('hostile text in a message is cut short and cannot break a line', () => {
  const name = `a\n\u001b[31m${'x'.repeat(1000)}`;
  const error = errorOf(() => open(rawGguf({ keys: twice(name) })));
  assert.ok(error!.message.length < 400);
  assert.not.match(error!.message, '\n');
  assert.not.match(error!.message, '\u001b');
});

test('at the limits, files are accepted', () => {
  const parsed = (bytes: Uint8Array) => parseGguf(bytes, bytes.length, 'test.gguf');
  const accepts = (file: RawFile): void => assert.type(parsed(rawGguf(file)), 'object');
  accepts({ keys: [key('k'.repeat(65535), T.u8, u8(1))] });
  accepts({ keys: [key('a', T.arr, nestedArrays(4))] });
  accepts({ keys: [key('__proto__', T.u8, u8(1)), key('constructor', T.u8, u8(1))] });
  accepts({
    keys: [key('general.alignment', T.u32, u32(8))],
    tensors: [info('t', [4], 0, 8)],
    data: 24,
    alignment: 8,
  });
  accepts({ keys: [key('general.alignment', T.u32, u32(65536))] });
  accepts({ tensors: [info('n'.repeat(64), [1, 1, 1, 4])], data: 16 });
  accepts({ tensors: [info('a', [8]), info('b', [8], 0, 32)], data: 64 });
  accepts({ tensors: [info('b', [8], 0, 32), info('a', [8])], data: 64 });
});

test.run();
