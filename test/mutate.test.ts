/**
 * Any bytes give an error with a code, or a model whose every tensor lies inside the file: tried with mutants of
 * well-formed files. CRIA_MUTANTS sets how many (default 100,000); the generator is seeded, so a failure can be repeated.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CriaError } from '../host/errors.ts';
import { type GgufHeader, parseGguf } from '../host/gguf.ts';
import { modelFromGguf } from '../host/llama-file.ts';
import { parseLlama2c } from '../host/llama2c.ts';
import type { MetadataValue, ModelFile } from '../host/model-file.ts';
import { SMALL, seeds, wholeNumbers } from './support/mutant-seeds.ts';
import { type Mutant, Mutator } from './support/mutate.ts';
import { tinyModel } from './support/tiny-model.ts';

const COUNT = Number(process.env['CRIA_MUTANTS'] ?? 100_000);
// --- The oracle. It knows the format from its description and shares nothing with the reader.

const BLOCKS: Record<number, [values: number, bytes: number]> = {
  0: [1, 4],
  1: [1, 2],
  2: [32, 18],
  3: [32, 20],
  6: [32, 22],
  7: [32, 24],
  8: [32, 34],
  9: [32, 36],
  10: [256, 84],
  11: [256, 110],
  12: [256, 144],
  13: [256, 176],
  14: [256, 210],
  15: [256, 292],
  16: [256, 66],
  17: [256, 74],
  18: [256, 98],
  19: [256, 50],
  20: [32, 18],
  21: [256, 110],
  22: [256, 82],
  23: [256, 136],
  24: [1, 1],
  25: [1, 2],
  26: [1, 4],
  27: [1, 8],
  28: [1, 8],
  29: [256, 56],
  30: [1, 2],
  34: [256, 54],
  35: [256, 66],
  39: [32, 17],
  40: [64, 36],
  41: [128, 18],
};
const BITS: Record<string, number> = {
  ...{ f32: 32, f16: 16, bf16: 16, q8_0: 8.5, q4_0: 4.5, q4_1: 5, q5_0: 5.5, q5_1: 6 },
  ...{ q2_k: 2.625, q3_k: 3.4375, q4_k: 4.5, q5_k: 5.5, q6_k: 6.5625, iq4_nl: 4.5, iq4_xs: 4.25 },
};

type Range = [name: string, from: number, to: number];

function checkRanges(ranges: Range[], fileSize: number): void {
  for (const [name, from, to] of ranges) {
    if (
      !(Number.isSafeInteger(from) && Number.isSafeInteger(to) && from > 0 && from < to && to <= fileSize)
    ) {
      throw new Error(`oracle: ${name} at ${from}–${to} in a file of ${fileSize}`);
    }
  }
  const inOrder = [...ranges].sort((a, b) => a[1] - b[1]);
  let before: Range = ['the header', 0, 1];
  for (const range of inOrder) {
    if (range[1] < before[2]) throw new Error(`oracle: ${range[0]} overlaps ${before[0]}`);
    before = range;
  }
}

/** Items and characters in a value, which the file must have paid for with at least a byte each. */
function weight(value: MetadataValue): number {
  if (typeof value === 'string') return value.length;
  if (typeof value !== 'object') return 1;
  if (ArrayBuffer.isView(value)) return value.byteLength;
  return (value as MetadataValue[]).reduce((sum: number, item) => sum + weight(item) + 1, 0);
}

function checkHeader(header: GgufHeader, fileSize: number): void {
  for (const { name, ggmlType, dims, bytes } of header.tensors) {
    const [values, blockBytes] = BLOCKS[ggmlType]!;
    const product = dims.reduce((product, dim) => product * BigInt(dim), 1n);
    if (product * BigInt(blockBytes) !== BigInt(bytes) * BigInt(values) || dims[0]! % values !== 0) {
      throw new Error(`oracle: ${name} of ${dims} takes ${bytes} bytes`);
    }
    if (dims.length < 1 || dims.length > 4) throw new Error(`oracle: ${dims.length} dimensions`);
  }
  checkRanges(
    header.tensors.map(t => [t.name, t.offset, t.offset + t.bytes]),
    fileSize,
  );
  let total = 0;
  for (const [key, value] of header.metadata) total += key.length + weight(value);
  if (total > fileSize) throw new Error(`oracle: ${total} bytes of metadata from ${fileSize} bytes`);
}

function checkModel({ config, tensors, vocabulary }: ModelFile, fileSize: number): void {
  const ranges: Range[] = [];
  for (const { name, dtype, rows, cols, offset, bytes, int8 } of tensors.values()) {
    ranges.push([name, offset, offset + bytes]);
    if (int8 !== undefined) {
      ranges.push([
        `${name} scales`,
        int8.scalesOffset,
        int8.scalesOffset + ((rows * cols) / int8.group) * 4,
      ]);
    }
    const expected = int8 === undefined ? (rows * cols * BITS[dtype]!) / 8 : rows * cols;
    if (bytes !== expected)
      throw new Error(`oracle: ${name} of ${rows} × ${cols} ${dtype} in ${bytes} bytes`);
  }
  checkRanges(ranges, fileSize);
  const { dim, hiddenDim, nLayers, nHeads, nKvHeads, headDim, vocabSize } = config;
  const size = (name: string): string => `${tensors.get(name)?.rows} × ${tensors.get(name)?.cols}`;
  const last = `blk.${nLayers - 1}`;
  const consistent =
    nLayers > 0 &&
    headDim % 2 === 0 &&
    headDim * nHeads === dim &&
    nHeads % nKvHeads === 0 &&
    size('token_embd.weight') === `${vocabSize} × ${dim}` &&
    size(`${last}.attn_k.weight`) === `${nKvHeads * headDim} × ${dim}` &&
    size(`${last}.ffn_down.weight`) === `${dim} × ${hiddenDim}` &&
    size('output_norm.weight') === `1 × ${dim}` &&
    (vocabulary === undefined || vocabulary.pieces.length === vocabSize) &&
    config.normEps > 0 &&
    Number.isFinite(config.ropeTheta / config.ropeScale);
  if (!consistent) throw new Error(`oracle: an inconsistent model ${JSON.stringify(config)}`);
}

// --- The runs.

interface Tally {
  accepted: number;
  headers: number;
  codes: Map<string, number>;
  slowest: number;
}

/** Runs `open`; only errors with a code are an answer. */
function judge(tally: Tally, open: () => void): void {
  const start = performance.now();
  try {
    open();
    tally.accepted++;
  } catch (error) {
    if (!(error instanceof CriaError)) throw error;
    tally.codes.set(error.code, (tally.codes.get(error.code) ?? 0) + 1);
  }
  tally.slowest = Math.max(tally.slowest, performance.now() - start);
}

function report(
  what: string,
  count: number,
  { accepted, headers, codes, slowest }: Tally,
  seconds: number,
): void {
  const refused = [...codes].sort((a, b) => b[1] - a[1]).map(([code, n]) => `${code} ${n}`);
  const rate = Math.round(count / seconds);
  console.log(`${count} mutants of ${what}, ${rate}/s, slowest ${slowest.toFixed(1)} ms`);
  console.log(`  accepted ${accepted} (sound containers ${headers}); refused: ${refused.join(', ')}`);
}

/** As a reader would: more bytes where more are asked for, here zeros. */
function openGguf({ header, fileSize }: Mutant, tally: Tally): void {
  let bytes = header;
  for (;;) {
    const result = parseGguf(bytes, fileSize, 'mutant');
    if (typeof result !== 'number') {
      checkHeader(result, fileSize);
      tally.headers++;
      checkModel(modelFromGguf(result, fileSize, 'mutant'), fileSize);
      return;
    }
    if (!(result > bytes.length && result <= fileSize)) throw new Error(`oracle: ${result} bytes asked for`);
    const longer = new Uint8Array(Math.min(fileSize, Math.max(result, 2 * bytes.length)));
    longer.set(bytes);
    bytes = longer;
  }
}

test(`${COUNT} mutants of GGUF files`, () => {
  const below = wholeNumbers(20231);
  const mutator = new Mutator(seeds(), below);
  const tally: Tally = { accepted: 0, headers: 0, codes: new Map(), slowest: 0 };
  const start = performance.now();
  for (let i = 0; i < COUNT; i++) {
    const mutant = mutator.next();
    // Some arrive in small pieces.
    if (i % 16 === 0) mutant.header = mutant.header.subarray(0, below(mutant.header.length + 1));
    judge(tally, () => openGguf(mutant, tally));
  }
  report('GGUF files', COUNT, tally, (performance.now() - start) / 1000);
  assert.ok(tally.slowest < 1000, `${tally.slowest} ms for one file`);
  // Otherwise the oracle has not been asked.
  assert.ok(tally.accepted > COUNT / 100 && tally.headers > COUNT / 20);
  assert.ok(COUNT < 10_000 || tally.codes.size >= 20, `${tally.codes.size} codes`);
});

const I32 = [
  -(2 ** 31),
  -64,
  -1,
  0,
  1,
  2,
  3,
  4,
  7,
  8,
  16,
  32,
  64,
  172,
  512,
  4096,
  65536,
  2 ** 20,
  2 ** 24,
  2 ** 31 - 1,
];

/** What the file of a header must measure, counted without the reader's help. */
function llama2cSize(version: number, c: number[], tied: boolean, group: number): number {
  const [dim = 0, hidden = 0, layers = 0, heads = 0, kvHeads = 0, vocab = 0, context = 0] = c.map(Math.abs);
  const kv = (dim / heads) * kvHeads;
  const matrices = layers * (2 * dim * dim + 2 * dim * kv + 3 * dim * hidden) + vocab * dim * (tied ? 1 : 2);
  const norms = 2 * layers * dim + dim;
  if (version === 2) return 256 + 4 * norms + matrices + (4 * matrices) / group;
  return version === 1 ? 256 + 4 * (norms + matrices) : 28 + 4 * (norms + matrices + (context * dim) / heads);
}

test('mutants of llama2.c headers', () => {
  const count = Math.ceil(COUNT / 4);
  const below = wholeNumbers(20232);
  const tally: Tally = { accepted: 0, headers: 0, codes: new Map(), slowest: 0 };
  const start = performance.now();
  for (let i = 0; i < count; i++) {
    const version = below(3);
    const config = [64, 172, 5, 8, 4, 512, 512];
    for (let n = below(3); n > 0; n--) config[below(7)] = I32[below(I32.length)]!;
    const flag = below(8) === 0 ? below(256) : below(2);
    const group = below(4) === 0 ? I32[below(I32.length)]! : [4, 8, 32, 64][below(4)]!;
    const header = new Uint8Array(256);
    const view = new DataView(header.buffer);
    for (const [j, value] of config.entries()) view.setInt32((version > 0 ? 8 : 0) + 4 * j, value, true);
    if (version > 0) {
      view.setUint32(0, 0x616b3432, true);
      view.setInt32(4, below(16) === 0 ? below(8) : version, true);
      view.setUint8(36, flag);
      if (version === 2) view.setInt32(37, group, true);
    }
    const tied = version === 0 ? config[5]! > 0 : flag === 1;
    const fitting = llama2cSize(version, config, tied, group);
    const fileSize = below(4) > 0 && fitting > 0 && Number.isSafeInteger(fitting) ? fitting : below(2 ** 21);
    judge(tally, () => checkModel(parseLlama2c(header.subarray(0, fileSize), fileSize, 'mutant'), fileSize));
  }
  tally.headers = tally.accepted;
  report('llama2.c headers', count, tally, (performance.now() - start) / 1000);
  assert.ok(tally.slowest < 1000);
  assert.ok(tally.accepted > count / 20);
});

test('the oracle itself refuses what it must', () => {
  assert.throws(
    () =>
      checkRanges(
        [
          ['a', 10, 20],
          ['b', 19, 30],
        ],
        100,
      ),
    /overlaps/,
  );
  assert.throws(() => checkRanges([['a', 90, 101]], 100), /in a file of 100/);
  assert.throws(() => checkRanges([['a', 2 ** 53, 2 ** 53 + 2]], 2 ** 54), /in a file of/);
  const bytes = tinyModel(SMALL);
  const header = parseGguf(bytes, bytes.length, 'tiny') as GgufHeader;
  checkHeader(header, bytes.length);
  const [first, ...rest] = header.tensors;
  const longer = { ...header, tensors: [{ ...first!, bytes: first!.bytes + 4 }, ...rest] };
  assert.throws(() => checkHeader(longer, bytes.length), /takes/);
  const model = modelFromGguf(header, bytes.length, 'tiny');
  checkModel(model, bytes.length);
  assert.throws(
    () => checkModel({ ...model, config: { ...model.config, nKvHeads: 2 } }, bytes.length),
    /inconsistent/,
  );
});

test.run();
