import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FileError } from '../host/errors.ts';
import { type GgufHeader, parseGguf } from '../host/gguf.ts';
import { type GgufValue, ggufChunks, writeGguf } from '../host/gguf-write.ts';
import { modelFromGguf } from '../host/llama-file.ts';
import type { ModelFile } from '../host/model-file.ts';
import { STORED_TYPES } from '../host/quantize/decode.ts';
import { vocabularyFromMetadata } from '../host/vocabulary.ts';
import { quantize } from './support/quantize.ts';
import { rawGguf } from './support/raw-gguf.ts';
import { sharedFile, sharedTest } from './support/shared.ts';
import { TINY_PIECES, tinyModel } from './support/tiny-model.ts';

function header(bytes: Uint8Array): GgufHeader {
  const result = parseGguf(bytes, bytes.length, 'test.gguf');
  if (typeof result === 'number') throw new Error('a whole file is enough');
  return result;
}

function model(bytes: Uint8Array): ModelFile {
  return modelFromGguf(header(bytes), bytes.length, 'test.gguf');
}

function readShared(path: string): Uint8Array {
  // not a Buffer, whose `slice` would share memory
  return new Uint8Array(readFileSync(sharedFile(path)));
}

const EVERY_TYPE: [string, GgufValue, unknown][] = [
  ['u8', { type: 'u8', value: 255 }, 255],
  ['i8', { type: 'i8', value: -128 }, -128],
  ['u16', { type: 'u16', value: 65535 }, 65535],
  ['i16', { type: 'i16', value: -32768 }, -32768],
  ['u32', { type: 'u32', value: 4294967295 }, 4294967295],
  ['i32', { type: 'i32', value: -2147483648 }, -2147483648],
  ['f32', { type: 'f32', value: 0.5 }, 0.5],
  ['bool', { type: 'bool', value: true }, true],
  ['string', { type: 'string', value: '\ufeffa▁é😀' }, '\ufeffa▁é😀'],
  ['long string', { type: 'string', value: 'x'.repeat(100000) }, 'x'.repeat(100000)],
  ['empty string', { type: 'string', value: '' }, ''],
  ['u64', { type: 'u64', value: 2 ** 53 - 1 }, 2 ** 53 - 1],
  ['large u64', { type: 'u64', value: 2n ** 64n - 1n }, 2n ** 64n - 1n],
  ['i64', { type: 'i64', value: -5 }, -5],
  ['large i64', { type: 'i64', value: -(2n ** 63n) }, -(2n ** 63n)],
  ['f64', { type: 'f64', value: Math.PI }, Math.PI],
  ['u8s', { type: 'array', of: 'u8', value: [1, 2] }, Uint8Array.of(1, 2)],
  ['i8s', { type: 'array', of: 'i8', value: [-1] }, Int8Array.of(-1)],
  ['u16s', { type: 'array', of: 'u16', value: [65535] }, Uint16Array.of(65535)],
  ['i16s', { type: 'array', of: 'i16', value: [-3] }, Int16Array.of(-3)],
  ['u32s', { type: 'array', of: 'u32', value: [7, 8, 9] }, Uint32Array.of(7, 8, 9)],
  ['i32s', { type: 'array', of: 'i32', value: [-7] }, Int32Array.of(-7)],
  ['f32s', { type: 'array', of: 'f32', value: [0.25, -1] }, Float32Array.of(0.25, -1)],
  ['f64s', { type: 'array', of: 'f64', value: [Math.E] }, Float64Array.of(Math.E)],
  ['u64s', { type: 'array', of: 'u64', value: [5] }, BigUint64Array.of(5n)],
  ['i64s', { type: 'array', of: 'i64', value: [-5] }, BigInt64Array.of(-5n)],
  ['bools', { type: 'array', of: 'bool', value: [true, false] }, [true, false]],
  ['strings', { type: 'array', of: 'string', value: ['', 'a', '▁the'] }, ['', 'a', '▁the']],
  ['no strings', { type: 'array', of: 'string', value: [] }, []],
  ['__proto__', { type: 'string', value: 'harmless' }, 'harmless'],
];

test('64-bit integers in arrays are exact', () => {
  const value = [2n ** 64n - 1n, 2n ** 53n + 1n];
  const { metadata } = header(writeGguf([['a', { type: 'array', of: 'u64', value }]], []));
  assert.equal(metadata.get('a'), BigUint64Array.from(value));
});

test('every type of value is read as it was written', () => {
  const { metadata, version, alignment } = header(
    writeGguf(
      EVERY_TYPE.map(([key, value]) => [key, value]),
      [],
    ),
  );
  assert.is(version, 3);
  assert.is(alignment, 32);
  for (const [key, , expected] of EVERY_TYPE) assert.equal(metadata.get(key), expected, key);
  assert.is(metadata.size, EVERY_TYPE.length);
  assert.is((metadata as unknown as Record<string, unknown>)['harmless'], undefined);
});

test('numeric arrays are copies: the file may be dropped or changed', () => {
  const file = writeGguf([['a', { type: 'array', of: 'f32', value: [1, 2, 3] }]], []);
  const { metadata } = header(file);
  file.fill(0);
  assert.equal(metadata.get('a'), Float32Array.of(1, 2, 3));
});

test('lists of strings: any lengths, any characters, and the file may be dropped', () => {
  const piece = fc.oneof(
    { weight: 5, arbitrary: fc.string({ unit: 'binary', maxLength: 6 }) },
    fc.constantFrom('', '\0', '\ufeff', 'x'.repeat(127), 'x'.repeat(128), 'é'.repeat(64), 'é'.repeat(300)),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), value => {
      const file = writeGguf([['texts', { type: 'array', of: 'string', value }]], []);
      const { metadata } = header(file);
      file.fill(0);
      assert.equal(metadata.get('texts'), value);
      assert.is(metadata.get('texts'), metadata.get('texts'));
    }),
  );
});

test('lists of strings: the one that is not UTF-8 is told, wherever it stands', () => {
  const value = ['a', '▁b', 'c'.repeat(130), '', 'd', 'é', 'f'];
  const file = writeGguf([['texts', { type: 'array', of: 'string', value }]], []);
  let at = 24 + 8 + 'texts'.length + 4 + 4 + 8;
  for (const text of value) {
    const length = new TextEncoder().encode(text).length;
    if (length > 0) {
      for (const byte of [0xff, 0xc3, 0x80]) {
        const broken = file.slice();
        broken[at + 8 + length - 1] = byte;
        // the end of a character that has another one before it: still UTF-8
        if (byte === 0x80 && text === 'é') assert.is(header(broken).metadata.size, 1);
        else {
          assert.throws(
            () => header(broken),
            (e: unknown) =>
              e instanceof FileError && e.code === 'bad-string' && e.message.includes(`(byte ${at})`),
          );
        }
      }
    }
    at += 8 + length;
  }
});

test('a prefix asks for more, never for less than it has or more than there is', () => {
  const file = tinyModel({ dim: 32, nHeads: 2, nKvHeads: 1, hiddenDim: 32, nLayers: 1 });
  const { dataOffset } = header(file);
  for (let length = 0; length < dataOffset; length += length < 64 ? 1 : 97) {
    const result = parseGguf(file.subarray(0, length), file.length, 'test.gguf');
    if (typeof result === 'number') {
      assert.ok(result > length && result <= file.length, `prefix ${length} asks for ${result}`);
    } else assert.ok(length > dataOffset - 32, `a header from ${length} of ${dataOffset} bytes`);
  }
});

test('a reader that doubles its prefix gets the same header', () => {
  const file = tinyModel();
  let length = 16;
  for (let step = 0; step < 20; step++) {
    const result = parseGguf(file.subarray(0, length), file.length, 'test.gguf');
    if (typeof result !== 'number') {
      assert.equal(result, header(file));
      assert.ok(length < file.length / 2, 'weights were not needed');
      return;
    }
    length = Math.min(file.length, Math.max(result, 2 * length));
  }
  assert.unreachable('no header after 20 doublings');
});

test('bytes may begin anywhere in their buffer', () => {
  const file = tinyModel();
  const shifted = new Uint8Array(file.length + 3).subarray(3);
  shifted.set(file);
  assert.equal(header(shifted), header(file));
});

test('version 2 reads like version 3', () => {
  const file = rawGguf({ version: 2 });
  assert.is(header(file).version, 2);
});

test('tensors are found where they were written', () => {
  const tensors = [
    { name: 'a', dims: [3], ggmlType: 0, data: quantize('F32', Float32Array.of(1, 2, 3)) },
    { name: 'b', dims: [2, 2, 1, 1], ggmlType: 1, data: () => Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) },
    { name: 'c', dims: [32, 3], ggmlType: 8, data: new Uint8Array(3 * 34).fill(9) },
  ];
  for (const alignment of [8, 32, 4096]) {
    const file = writeGguf([], tensors, alignment);
    const parsed = header(file);
    assert.is(parsed.alignment, alignment);
    assert.equal(
      parsed.tensors.map(t => [t.name, t.dims, t.typeName, t.elements, t.bytes]),
      [
        ['a', [3], 'F32', 3, 12],
        ['b', [2, 2, 1, 1], 'F16', 4, 8],
        ['c', [32, 3], 'Q8_0', 96, 102],
      ],
    );
    for (const [i, tensor] of parsed.tensors.entries()) {
      const data = tensors[i]!.data;
      assert.is(tensor.offset % alignment, 0);
      const stored = file.slice(tensor.offset, tensor.offset + tensor.bytes);
      assert.equal(stored, typeof data === 'function' ? data() : data);
    }
    assert.equal(
      writeGguf([], tensors, alignment),
      Uint8Array.from([...ggufChunks([], tensors, alignment)].flatMap(c => [...c])),
    );
  }
});

test('the writer refuses data of the wrong length, and rows that are not whole blocks', () => {
  const bytes = new Uint8Array(4);
  assert.throws(
    () => writeGguf([], [{ name: 'a', dims: [2], ggmlType: 0, data: bytes }]),
    /expected 8 bytes of data, got 4/,
  );
  assert.throws(
    () => writeGguf([], [{ name: 'a', dims: [31], ggmlType: 8, data: bytes }]),
    /rows of 31 values/,
  );
});

test('tiny models of every type are Llamas', () => {
  for (const name of STORED_TYPES) {
    const { config, tensors, vocabulary } = model(
      tinyModel({ dtype: name, nLayers: 2, dim: name.includes('_K') || name === 'IQ4_XS' ? 256 : 64 }),
    );
    assert.is(config.vocabSize, TINY_PIECES.length);
    assert.is(vocabulary?.pieces.length, TINY_PIECES.length);
    assert.is(tensors.size, 2 * 9 + 3);
    assert.is(tensors.get('blk.1.ffn_down.weight')?.dtype, name.toLowerCase());
    assert.is(tensors.get('blk.1.ffn_norm.weight')?.dtype, 'f32');
    const { rows, cols } = tensors.get('blk.1.attn_k.weight')!;
    assert.equal([rows, cols], [config.dim / 2, config.dim]);
  }
});

test('a tiny model is the same for the same seed only', () => {
  assert.equal(tinyModel({ seed: 5 }), tinyModel({ seed: 5 }));
  assert.not.equal(tinyModel({ seed: 5 }), tinyModel({ seed: 6 }));
});

test('what a model may leave out', () => {
  const { config, tensors } = model(
    tinyModel({
      tied: true,
      edit: metadata => {
        metadata.delete('llama.attention.head_count_kv');
        metadata.delete('llama.rope.freq_base');
        metadata.delete('llama.rope.dimension_count');
        metadata.delete('llama.vocab_size');
      },
      nKvHeads: 4,
    }),
  );
  assert.is(config.nKvHeads, 4);
  assert.is(config.ropeTheta, 10000);
  assert.is(config.ropeScale, 1);
  assert.not(tensors.has('output.weight'));
  assert.is(
    model(
      tinyModel({
        edit: keys => [...keys.keys()].filter(k => k.startsWith('tok')).forEach(k => void keys.delete(k)),
      }),
    ).vocabulary,
    undefined,
  );
});

test('rope: base, linear scaling in either spelling, factors', () => {
  assert.is(model(tinyModel({ ropeTheta: 500000 })).config.ropeTheta, 500000);
  assert.is(model(tinyModel({ ropeScale: 4 })).config.ropeScale, 4);
  const legacy = tinyModel({ edit: keys => keys.set('llama.rope.scale_linear', { type: 'f32', value: 2 }) });
  assert.is(model(legacy).config.ropeScale, 2);
  const none = tinyModel({
    ropeScale: 4,
    edit: keys => keys.set('llama.rope.scaling.type', { type: 'string', value: 'none' }),
  });
  assert.is(model(none).config.ropeScale, 1);
  const factors = model(tinyModel({ ropeFactors: [1, 1, 1, 1, 2, 2, 4, 8] })).tensors.get(
    'rope_freqs.weight',
  );
  assert.equal([factors?.rows, factors?.cols, factors?.dtype], [1, 8, 'f32']);
});

test('integers may be stored as u64 or i32, and old leftovers are ignored', () => {
  const bytes = tinyModel({
    edit: (keys, tensors) => {
      keys.set('llama.block_count', { type: 'u64', value: 2 });
      keys.set('llama.embedding_length', { type: 'i32', value: 64 });
      tensors.push({ name: 'blk.0.attn_rot_embd.weight', dims: [8], ggmlType: 0, data: new Uint8Array(32) });
    },
  });
  const { config, tensors } = model(bytes);
  assert.equal([config.nLayers, config.dim], [2, 64]);
  assert.not(tensors.has('blk.0.attn_rot_embd.weight'));
});

sharedTest(test, 'stories260K in every float format', () => {
  for (const file of ['stories260K', 'quant/stories260K.F16', 'quant/stories260K.BF16']) {
    const { config, tensors, vocabulary } = model(readShared(`data/models/${file}.gguf`));
    assert.equal(config, {
      dim: 64,
      hiddenDim: 172,
      nLayers: 5,
      nHeads: 8,
      nKvHeads: 4,
      headDim: 8,
      vocabSize: 512,
      contextLength: 2048,
      normEps: Math.fround(1e-5),
      ropeTheta: 10000,
      ropeScale: 1,
    });
    assert.is(tensors.size, 48);
    assert.is(vocabulary?.pieces.length, 512);
  }
});

sharedTest(test, 'files of llama-quantize open', () => {
  for (const type of ['F32', 'F16', 'Q8_0', 'Q4_0', 'Q2_K', 'Q3_K_M', 'Q4_K_S', 'Q5_K_S', 'Q6_K']) {
    const { tensors } = model(readShared(`data/models/quant/synth256.${type}.gguf`));
    const named = type.replace(/_[SM]$/, '').toLowerCase();
    assert.is(tensors.get('blk.0.attn_q.weight')?.dtype, named);
  }
});

sharedTest(test, 'the quantisers of the tests give the bytes of llama-quantize', () => {
  const source = readShared('data/models/quant/synth256.F32.gguf');
  for (const type of ['F16', 'Q8_0', 'Q4_0']) {
    const target = readShared(`data/models/quant/synth256.${type}.gguf`);
    const stored = new Map(header(target).tensors.map(tensor => [tensor.name, tensor]));
    let compared = 0;
    for (const tensor of header(source).tensors) {
      const other = stored.get(tensor.name)!;
      if (other.typeName !== type) continue;
      const values = new Float32Array(source.slice(tensor.offset, tensor.offset + tensor.bytes).buffer);
      const expected = target.subarray(other.offset, other.offset + other.bytes);
      assert.is(Buffer.compare(quantize(type, values), expected), 0, `${type} ${tensor.name}`);
      compared += tensor.elements;
    }
    assert.is(compared, 851968);
  }
});

sharedTest(test, 'vocabulary files of llama.cpp parse fast; models of other families are refused', () => {
  const codes = {
    'llama-spm': 'no-weights',
    falcon: 'unsupported-architecture',
    mpt: 'unsupported-architecture',
    'gpt-2': 'unsupported-architecture',
  };
  for (const [name, code] of Object.entries(codes)) {
    const bytes = readShared(`data/tokenizers/ggml-vocab-${name}.gguf`);
    assert.throws(
      () => model(bytes),
      (e: unknown) => e instanceof FileError && e.code === code,
      name,
    );
  }
  const falcon = header(readShared('data/tokenizers/ggml-vocab-falcon.gguf'));
  assert.throws(
    () => vocabularyFromMetadata(falcon.metadata, 'falcon'),
    (e: unknown) => e instanceof FileError && e.code === 'unsupported-tokenizer',
  );
  const bytes = readShared('data/tokenizers/ggml-vocab-llama-spm.gguf');
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 5; i++) {
    const start = performance.now();
    header(bytes);
    best = Math.min(best, performance.now() - start);
  }
  console.log(`32,000 pieces parse in ${best.toFixed(1)} ms`);
  // 5 to 10 ms when nothing else runs
  assert.ok(best < 100, `${best} ms`);
});

test.run();
