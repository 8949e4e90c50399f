import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CriaError } from '../host/errors.ts';
import { parseGguf } from '../host/gguf.ts';
import { modelFromGguf } from '../host/llama-file.ts';
import { parseLlama2c } from '../host/llama2c.ts';
import type { ModelFile, StoredTensor } from '../host/model-file.ts';
import { sharedFile, sharedTest } from './support/shared.ts';

/** dim, hidden, layers, heads, kv heads, vocabulary, context: 2 layers of GQA. */
const SMALL = [8, 12, 2, 4, 2, 10, 16];

/** A file of version 1 or 2: the header and zeros up to `size`. */
function versioned(version: number, size: number, { config = SMALL, tied = 1, group = 0 } = {}): Uint8Array {
  const file = new Uint8Array(Math.max(size, 256));
  const view = new DataView(file.buffer);
  view.setUint32(0, 0x616b3432, true);
  view.setInt32(4, version, true);
  for (const [i, value] of config.entries()) view.setInt32(8 + 4 * i, value, true);
  view.setUint8(36, tied);
  if (version === 2) view.setInt32(37, group, true);
  return file.subarray(0, size);
}

function legacy(size: number, config = SMALL): Uint8Array {
  const file = new Uint8Array(size);
  file.set(new Uint8Array(Int32Array.from(config).buffer));
  return file;
}

function parse(bytes: Uint8Array): ModelFile {
  return parseLlama2c(bytes.subarray(0, 256), bytes.length, 'test.bin');
}

function code(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof CriaError) return error.code;
    throw error;
  }
  return 'accepted';
}

// Counted by hand for SMALL: a layer has q 8·8, k 4·8, v 4·8, o 8·8, three of 12·8 and two norms of 8.
const MATRICES = 2 * (64 + 32 + 32 + 64 + 3 * 96);
const NORMS = 2 * 2 * 8 + 8;
const EMBEDDING = 80;
const V1_BYTES = 256 + 4 * (MATRICES + NORMS + EMBEDDING);
const LEGACY_BYTES = 28 + 4 * (MATRICES + NORMS + EMBEDDING + 16 * 2);

test('sizes follow from the header, to the byte', () => {
  assert.is(parse(versioned(1, V1_BYTES)).tensors.size, 20);
  assert.is(parse(versioned(1, V1_BYTES + 4 * EMBEDDING, { tied: 0 })).tensors.size, 21);
  assert.is(parse(legacy(LEGACY_BYTES)).version, 0);
  const untied = parse(legacy(LEGACY_BYTES + 4 * EMBEDDING, SMALL.with(5, -10)));
  assert.is(untied.tensors.size, 21);
  assert.is(untied.config.vocabSize, 10);
  assert.is(untied.tensors.get('output.weight')!.offset, LEGACY_BYTES);

  const values = MATRICES + EMBEDDING;
  const int8 = parse(versioned(2, 256 + 4 * NORMS + values + 4 * (values / 8), { group: 8 }));
  assert.equal(int8.tensors.get('token_embd.weight'), {
    name: 'token_embd.weight',
    dtype: 'f32',
    rows: 10,
    cols: 8,
    offset: 256 + 4 * NORMS,
    bytes: 80,
    int8: { group: 8, scalesOffset: 256 + 4 * NORMS + 80 },
  });
});

test('groups of 32 that divide the rows stay int8 in memory', () => {
  const config = [32, 48, 1, 2, 2, 4, 8];
  const values = 4 * 32 * 32 + 3 * 48 * 32 + 4 * 32;
  const { tensors } = parse(
    versioned(2, 256 + 4 * 3 * 32 + values + 4 * (values / 32), { config, group: 32 }),
  );
  assert.is(tensors.get('blk.0.attn_q.weight')!.dtype, 'q8_f32');
  assert.is(tensors.get('blk.0.ffn_up.weight')!.dtype, 'q8_f32');
  // rows of 48: a group straddles two of them
  assert.is(tensors.get('blk.0.ffn_down.weight')!.dtype, 'f32');
  assert.is(tensors.get('blk.0.ffn_norm.weight')!.int8, undefined);
});

test('malformed files', () => {
  const table: [string, Uint8Array, string][] = [
    ['empty', new Uint8Array(0), 'file-empty'],
    ['3 bytes', Uint8Array.of(1, 2, 3), 'bad-magic'],
    ['text', new TextEncoder().encode('<!DOCTYPE html><html>Not found</html>'), 'bad-magic'],
    ['legacy, a byte short', legacy(LEGACY_BYTES - 1), 'file-truncated'],
    ['legacy, a byte long', legacy(LEGACY_BYTES + 1), 'bad-magic'],
    ['legacy, no layers', legacy(LEGACY_BYTES, SMALL.with(2, 0)), 'bad-magic'],
    ['legacy, vocabulary of −2^31', legacy(LEGACY_BYTES, SMALL.with(5, -(2 ** 31))), 'bad-magic'],
    ['cut in the header', versioned(1, 255), 'file-truncated'],
    ['cut in the weights', versioned(1, V1_BYTES - 1), 'file-truncated'],
    ['bytes behind the weights', versioned(1, V1_BYTES + 1), 'bad-value'],
    ['version 0', versioned(0, V1_BYTES), 'bad-version'],
    ['version 3', versioned(3, V1_BYTES), 'bad-version'],
    ['dim 0', versioned(1, V1_BYTES, { config: SMALL.with(0, 0) }), 'bad-hyperparameter'],
    ['dim −8', versioned(1, V1_BYTES, { config: SMALL.with(0, -8) }), 'bad-hyperparameter'],
    ['2^31 − 1 layers', versioned(1, V1_BYTES, { config: SMALL.with(2, 2 ** 31 - 1) }), 'bad-hyperparameter'],
    ['no heads', versioned(1, V1_BYTES, { config: SMALL.with(3, 0) }), 'bad-hyperparameter'],
    [
      'heads that do not divide dim',
      versioned(1, V1_BYTES, { config: SMALL.with(3, 3) }),
      'bad-hyperparameter',
    ],
    ['odd head size', versioned(1, V1_BYTES, { config: SMALL.with(3, 8) }), 'bad-hyperparameter'],
    ['3 kv heads of 4', versioned(1, V1_BYTES, { config: SMALL.with(4, 3) }), 'bad-hyperparameter'],
    ['negative vocabulary', versioned(1, V1_BYTES, { config: SMALL.with(5, -10) }), 'bad-hyperparameter'],
    ['no context', versioned(1, V1_BYTES, { config: SMALL.with(6, 0) }), 'bad-hyperparameter'],
    [
      'largest everything',
      versioned(1, V1_BYTES, { config: [2 ** 20, 2 ** 22, 1024, 4096, 4096, 2 ** 24, 16] }),
      'file-truncated',
    ],
    ['classifier flag 2', versioned(1, V1_BYTES, { tied: 2 }), 'bad-value'],
    ['groups of 0', versioned(2, V1_BYTES, { group: 0 }), 'bad-hyperparameter'],
    ['groups of −8', versioned(2, V1_BYTES, { group: -8 }), 'bad-hyperparameter'],
    ['groups of 7', versioned(2, V1_BYTES, { group: 7 }), 'bad-hyperparameter'],
    ['groups of 2^31 − 1', versioned(2, V1_BYTES, { group: 2 ** 31 - 1 }), 'bad-hyperparameter'],
  ];
  for (const [name, bytes, expected] of table)
    assert.is(
      code(() => parse(bytes)),
      expected,
      name,
    );
  assert.throws(() => parse(new Uint8Array(100).fill(0xee)), /GGUF .* and the checkpoints of llama2.c/);
});

/** The tensor's values as the file has them. */
function valuesOf(file: Buffer, tensor: StoredTensor): { values: Float32Array; step: (i: number) => number } {
  const n = tensor.rows * tensor.cols;
  const { int8 } = tensor;
  if (int8 === undefined) {
    return {
      values: Float32Array.from({ length: n }, (_, i) => file.readFloatLE(tensor.offset + 4 * i)),
      step: () => 0,
    };
  }
  const step = (i: number): number => file.readFloatLE(int8.scalesOffset + 4 * Math.floor(i / int8.group));
  return {
    values: Float32Array.from({ length: n }, (_, i) => file.readInt8(tensor.offset + i) * step(i)),
    step,
  };
}

sharedTest(test, 'the three exports of stories260K hold the weights of its GGUF file', () => {
  const gguf = readFileSync(sharedFile('data/models/stories260K.gguf'));
  const header = parseGguf(gguf, gguf.length, 'stories260K.gguf');
  if (typeof header === 'number') throw new Error('a whole file is enough');
  const original = modelFromGguf(header, gguf.length, 'stories260K.gguf');
  for (const [name, version, group] of [
    ['stories260K.bin', 0, undefined],
    ['stories260K.v1.bin', 1, undefined],
    ['stories260K.q80-v2.bin', 2, 8],
  ] as const) {
    const file = readFileSync(sharedFile(`data/models/${name}`));
    const { tensors, config, ...rest } = parse(file);
    assert.is(rest.version, version);
    assert.equal({ ...config, contextLength: 2048 }, { ...original.config, normEps: 1e-5 });
    assert.is(config.contextLength, 512);
    assert.is(tensors.get('token_embd.weight')!.int8?.group, group);
    assert.is(tensors.size, original.tensors.size - 1, 'tied');
    for (const tensor of tensors.values()) {
      const { values, step } = valuesOf(file, tensor);
      const expected = valuesOf(gguf, original.tensors.get(tensor.name)!).values;
      const wrong = values.findIndex((v, i) => Math.abs(v - expected[i]!) > 0.500001 * step(i));
      assert.is(wrong, -1, `${name} ${tensor.name}`);
    }
  }
});

test.run();
