// Every stored type, against ggml: its dequantised values bit for bit, its bytes where the codes follow from the values
// alone, its errors where they are searched for.

import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ggmlTypeNamed } from '../host/ggml-types.ts';
import { type GgufTensor, parseGguf } from '../host/gguf.ts';
import { decode, STORED_TYPES, type StoredType } from '../host/quantize/decode.ts';
import { encode } from '../host/quantize/encode.ts';
import { sharedFile, sharedTest } from './support/shared.ts';

/** xorshift32 (Marsaglia 2003). */
function xorshift(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>>= 0);
  };
}

/** FNV-1a, 32 bits. */
function hash(bytes: Uint8Array): number {
  return bytes.reduce((h, byte) => Math.imul(h ^ byte, 0x01000193) >>> 0, 0x811c9dc5);
}

const bytesOf = (values: Float32Array): Uint8Array => new Uint8Array(values.buffer);

/** Sums of four uniform numbers, near normal with variance 1/3; the second 256 are zeros. */
function weights(): Float32Array {
  const random = xorshift(2463534242);
  return Float32Array.from({ length: 4096 }, (_, i) => {
    let sum = -2;
    for (let k = 0; k < 4; k++) sum += (random() >>> 8) / 2 ** 24;
    return i >= 256 && i < 512 ? 0 : sum;
  });
}

/**
 * Recorded from ggml (libggml-base of node-llama-cpp 3.22.1, scalar C): the hash of what `dequantize_row_*` makes of
 * random blocks, of what `ggml_quantize_chunk` makes of `weights()`, and the Euclidean norm of the latter's error.
 */
const GGML: Record<
  Exclude<StoredType, 'F32'>,
  [halves: number[], decoded: number, encoded: number, error: number]
> = {
  F16: [[0], 0x5e01a10e, 0x55d8a224, 0.00745899],
  BF16: [[0], 0xbecb99b8, 0xd3692942, 0.0602753],
  Q8_0: [[0], 0x7b80a1dd, 0x1763b241, 0.18309],
  Q4_0: [[0], 0x7382fca9, 0xeadd3bd1, 2.89404],
  Q4_1: [[0, 2], 0x88f72452, 0x9d8bbf19, 2.6771],
  Q5_0: [[0], 0x71920b1b, 0x93f86a74, 1.45181],
  Q5_1: [[0, 2], 0x30c63cff, 0x4275bed5, 1.27282],
  Q2_K: [[80, 82], 0xccf1fffb, 0x0d098cc7, 10.17],
  Q3_K: [[108], 0xf43504c3, 0x56084f46, 5.23122],
  Q4_K: [[0, 2], 0x6a0802aa, 0x70c1fd49, 2.44703],
  Q5_K: [[0, 2], 0x3a039fcc, 0x890d38a1, 1.21661],
  Q6_K: [[208], 0xc8caa8d2, 0x5d79415b, 0.604005],
  IQ4_NL: [[0], 0x4df9aa0c, 0x1b844d0a, 2.61736],
  IQ4_XS: [[0], 0x3040357b, 0xc11ffea9, 2.6362],
};
const SEARCHED: readonly StoredType[] = ['Q2_K', 'Q3_K', 'Q4_K', 'Q5_K', 'Q6_K', 'IQ4_NL', 'IQ4_XS'];
const recorded = Object.entries(GGML) as [StoredType, (typeof GGML)['F16']][];

function errorOf(x: Float32Array, y: Float32Array): number {
  return Math.sqrt(x.reduce((sum, value, i) => sum + (value - y[i]!) ** 2, 0));
}

test('random blocks are decoded to the bits that ggml gives', () => {
  assert.is(recorded.length, STORED_TYPES.length - 1);
  for (const [type, [halves, decoded]] of recorded) {
    const { values, bytes } = ggmlTypeNamed(type);
    const random = xorshift(88172645);
    const blocks = values === 1 ? 256 : 16;
    const stored = Uint8Array.from({ length: blocks * bytes }, () => random() >>> 24);
    // halves below 2, so that none is infinite
    for (let i = 0; i < blocks; i++) for (const at of halves) stored[i * bytes + at + 1]! &= 0xbf;
    assert.is(hash(bytesOf(decode(type, stored))), decoded, type);
  }
});

test('F32 is decoded and encoded as it is', () => {
  const x = Float32Array.of(0, -0, 1e-45, -3.4e38, 1.1);
  assert.equal(encode('F32', x), bytesOf(x));
  assert.equal(bytesOf(decode('F32', bytesOf(x))), bytesOf(x));
});

test('simple types are encoded to the bytes that ggml writes', () => {
  const x = weights();
  for (const [type, [, , encoded, error]] of recorded) {
    if (SEARCHED.includes(type)) continue;
    const stored = encode(type, x);
    assert.is(hash(stored), encoded, type);
    assert.ok(Math.abs(errorOf(x, decode(type, stored)) / error - 1) < 1e-5, type);
  }
});

test('searched types lose no more than ggml does', () => {
  const x = weights();
  for (const [type, [, , , error]] of recorded) {
    if (!SEARCHED.includes(type)) continue;
    const ratio = errorOf(x, decode(type, encode(type, x))) / error;
    assert.ok(ratio <= 1, `${type}: ${ratio} times the error`);
    // far better would mean that the recorded figure is not what it says
    assert.ok(ratio > 0.8, `${type}: ${ratio} times the error`);
  }
});

test('more bits lose less, and uneven levels less than even ones', () => {
  const x = weights();
  const error = Object.fromEntries(
    STORED_TYPES.map(type => [type, errorOf(x, decode(type, encode(type, x)))]),
  );
  const orders = [
    ['Q2_K', 'Q3_K', 'Q4_K', 'Q5_K', 'Q6_K', 'Q8_0', 'BF16', 'F16', 'F32'],
    ['Q4_0', 'Q4_1', 'Q5_0', 'Q5_1', 'Q8_0'],
    ['Q4_0', 'IQ4_XS'],
    ['Q4_0', 'IQ4_NL'],
  ];
  for (const order of orders) {
    for (let i = 1; i < order.length; i++) {
      assert.ok(error[order[i]!]! < error[order[i - 1]!]!, `${order[i]} after ${order[i - 1]}`);
    }
  }
});

test('codes between the smallest and largest value are at most half a step away', () => {
  const random = xorshift(7);
  const last: [StoredType, number][] = [
    ['Q4_1', 15],
    ['Q5_1', 31],
  ];
  for (const [type, steps] of last) {
    for (let trial = 0; trial < 200; trial++) {
      const [offset, spread] = [random() / 2 ** 31 - 1, 2 ** -(random() % 12)];
      const x = Float32Array.from({ length: 32 }, () => offset + (spread * random()) / 2 ** 32);
      const step = (Math.max(...x) - Math.min(...x)) / steps;
      // the step and the smallest value are stored as halves, of 11 bits
      const bound = step / 2 + (steps * step + Math.abs(offset) + spread) * 2 ** -11;
      const y = decode(type, encode(type, x));
      assert.ok(
        x.every((value, i) => Math.abs(y[i]! - value) <= bound),
        type,
      );
    }
  }
});

const AWKWARD: Record<string, (i: number) => number> = {
  zeros: () => 0,
  'negative zeros': () => -0,
  'one value': () => 0.37,
  'one negative value': () => -0.37,
  'a spike': i => (i === 77 ? 5 : 0),
  'a spike in noise': i => (i === 200 ? -50 : Math.fround((((i * 37) % 11) - 5) / 100)),
  'positive values': i => 1 + ((i * 29) % 31) / 31,
  'negative values': i => -1 - ((i * 29) % 31) / 31,
  'too small for a half': i => (i - 128) * 1e-9,
  subnormal: i => (i - 128) * 2 ** -149,
  'almost too large for a half': i => (i % 2 ? 65000 : -65000),
  'from tiny to large': i => (i % 2 ? 1 : -1) * 2 ** ((i % 40) - 30),
};
test('awkward values stay finite and are never worse than zeros', () => {
  for (const [name, value] of Object.entries(AWKWARD)) {
    const x = Float32Array.from({ length: 256 }, (_, i) => value(i));
    const norm = errorOf(x, new Float32Array(256));
    for (const type of STORED_TYPES) {
      const y = decode(type, encode(type, x));
      assert.ok(y.every(Number.isFinite), `${name} as ${type}`);
      // Q4_1 and Q5_1 may store a smallest value that a half rounds away from zero: below 2^-25 of error each
      const slack = type.endsWith('_1') ? 16 * 2 ** -25 : 0;
      assert.ok(
        errorOf(x, y) <= norm * (1 + 1e-6) + slack,
        `${name} as ${type}: ${errorOf(x, y)} of ${norm}`,
      );
      if (norm === 0)
        assert.ok(
          y.every(zero => zero === 0),
          `${name} as ${type}`,
        );
    }
  }
});

test('values that a type holds exactly come back', () => {
  const random = xorshift(99);
  for (const [type, [halves]] of recorded) {
    if (!['F16', 'BF16', 'Q8_0', 'Q4_0', 'Q5_0'].includes(type)) continue;
    const { values, bytes } = ggmlTypeNamed(type);
    const stored = Uint8Array.from({ length: (256 / values) * bytes }, () => random() >>> 24);
    for (let at = 0; at < stored.length; at += bytes) {
      for (const half of halves) stored[at + half + 1]! &= 0xbf;
      // what makes the scale: −127 for Q8_0, −8 and −16 where nibble and fifth bit are 0
      if (type === 'Q8_0') stored[at + 2] = 0x81;
      if (type === 'Q4_0') stored[at + 2]! &= 0xf0;
      if (type === 'Q5_0') {
        stored[at + 2]! &= 0xfe;
        stored[at + 6]! &= 0xf0;
      }
      if (type === 'Q8_0') for (let i = 2; i < 34; i++) if (stored[at + i] === 0x80) stored[at + i] = 0;
    }
    const x = decode(type, stored);
    assert.is(errorOf(decode(type, encode(type, x)), x), 0, type);
  }
});

function tensorsOf(path: string): Map<string, [GgufTensor, Uint8Array]> {
  const file = new Uint8Array(readFileSync(sharedFile(path)));
  const header = parseGguf(file, file.length, path);
  if (typeof header === 'number') throw new Error('a whole file is enough');
  return new Map(
    header.tensors.map(tensor => [
      tensor.name,
      [tensor, file.slice(tensor.offset, tensor.offset + tensor.bytes)],
    ]),
  );
}

const QUANTISED = ['F16', 'Q8_0', 'Q4_0', 'Q2_K', 'Q3_K_M', 'Q4_K_S', 'Q5_K_S', 'Q6_K'];
for (const mix of QUANTISED) {
  sharedTest(test, `synth256.${mix}: rows that llama.cpp dequantised`, () => {
    const [tensor, stored] = tensorsOf(`data/models/quant/synth256.${mix}.gguf`).get(
      'blk.0.ffn_down.weight',
    )!;
    const rows = readFileSync(sharedFile(`data/fixtures/llama.cpp/synth256.${mix}.ffn_down.rows16.f32`));
    const ours = bytesOf(decode(tensor.typeName as StoredType, stored)).subarray(0, rows.length);
    assert.is(Buffer.compare(ours, rows), 0);
  });
}

sharedTest(test, 'the tensors of synth256 lose no more than in the files that llama-quantize wrote', () => {
  const original = tensorsOf('data/models/quant/synth256.F32.gguf');
  const matrices = [...original].filter(([, [tensor]]) => tensor.dims.length === 2);
  const table = [
    ["error / llama-quantize's", ...matrices.map(([name]) => name.replace(/^blk.0.|.weight$/g, ''))],
  ];
  for (const mix of QUANTISED) {
    const theirs = tensorsOf(`data/models/quant/synth256.${mix}.gguf`);
    const row = [mix];
    for (const [name, [, stored]] of matrices) {
      const x = decode('F32', stored);
      const [tensor, bytes] = theirs.get(name)!;
      const type = tensor.typeName as StoredType;
      const ours = encode(type, x);
      const ratio = errorOf(x, decode(type, ours)) / errorOf(x, decode(type, bytes));
      const same = Buffer.compare(ours, bytes) === 0;
      row.push(same ? 'same bytes' : ratio.toFixed(4));
      assert.ok(SEARCHED.includes(type) ? ratio <= 1 : same, `${name} as ${type}: ${ratio}`);
    }
    table.push(row);
  }
  console.log('figures: errors beside those of llama-quantize');
  console.log(table.map(row => row.map((cell, i) => cell.padEnd(i ? 12 : 25)).join('')).join('\n'));
});

test.run();
