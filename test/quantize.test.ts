// Whole files in other types: which tensor gets which, what is copied, what is refused.

import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CriaError, type ErrorCode } from '../host/errors.ts';
import { GGML_TYPES, ggmlTypeNamed } from '../host/ggml-types.ts';
import { type GgufHeader, parseGguf } from '../host/gguf.ts';
import { type GgufTensorData, writeGguf } from '../host/gguf-write.ts';
import {
  inspect,
  QUANTIZE_TYPES,
  type QuantizeOptions,
  type QuantizeReport,
  quantize,
} from '../host/index.ts';
import { decode, type StoredType } from '../host/quantize/decode.ts';
import { type QuantizeType, targetOf } from '../host/quantize/recipe.ts';
import { RECORDED } from './support/llama-quantize.ts';
import { nmse } from './support/numbers.ts';
import { quantize as stored } from './support/quantize.ts';
import { sharedFile, sharedTest } from './support/shared.ts';
import { type TinyModelOptions, tinyModel } from './support/tiny-model.ts';

async function quantized(
  source: Uint8Array,
  options: QuantizeOptions,
): Promise<{ bytes: Uint8Array; report: QuantizeReport; pieces: number[] }> {
  const pieces: Uint8Array[] = [];
  const report = await quantize(source, { write: async piece => void pieces.push(piece) }, options);
  return { bytes: new Uint8Array(Buffer.concat(pieces)), report, pieces: pieces.map(piece => piece.length) };
}

function headerOf(file: Uint8Array): GgufHeader {
  const header = parseGguf(file, file.length, 'written.gguf');
  if (typeof header === 'number') throw new Error('a whole file is enough');
  return header;
}

function valuesOf(file: Uint8Array): Map<string, [type: string, values: Float32Array]> {
  return new Map(
    headerOf(file).tensors.map(({ name, typeName, offset, bytes }) => [
      name,
      [typeName, decode(typeName as StoredType, file.slice(offset, offset + bytes))],
    ]),
  );
}

async function refused(code: ErrorCode, source: Uint8Array, options: object, said?: RegExp): Promise<void> {
  try {
    await quantized(source, options as QuantizeOptions);
  } catch (error) {
    assert.instance(error, CriaError);
    assert.is((error as CriaError).code, code, String(error));
    if (said) assert.match((error as CriaError).message, said);
    return;
  }
  assert.unreachable(`expected ${code}`);
}

/** Layers' types as `RECORDED` writes them. */
function abbreviated(types: readonly string[]): string {
  const runs: [type: string, count: number][] = [];
  for (const type of types) {
    const last = runs.at(-1);
    if (last?.[0] === type) last[1]++;
    else runs.push([type, 1]);
  }
  return runs.map(([type, count]) => (count > 1 ? `${type}*${count}` : type)).join(',');
}

test("every tensor gets llama-quantize's type", () => {
  let compared = 0;
  for (const { shape, family, dim, hiddenDim, types } of RECORDED) {
    for (const [fileType, recorded] of Object.entries(types) as [QuantizeType, string][]) {
      for (const group of recorded.split(' ')) {
        const [parts, expected] = group.split('=') as [string, string];
        for (const part of parts.split('+')) {
          const layered = part !== 'output' && part !== 'token_embd';
          const dims = [part === 'ffn_down' ? hiddenDim : dim, 64];
          const chosen = Array.from(
            { length: layered ? family.nLayers : 1 },
            (_, i) =>
              targetOf(fileType, `${layered ? `blk.${i}.` : ''}${part}.weight`, dims, family, false)!.type,
          );
          assert.is(abbreviated(chosen), expected, `${shape}, ${fileType}: ${part}`);
          compared++;
        }
      }
    }
  }
  assert.is(compared, 470);
});

const LLAMA = { nLayers: 4, gqa: 1, tied: false };
test('vectors and norms stay, and a pure file has one type', () => {
  for (const fileType of QUANTIZE_TYPES) {
    const target = (name: string, dims: number[]) => targetOf(fileType, name, dims, LLAMA, true)?.type;
    assert.is(target('blk.0.attn_norm.weight', [256]), undefined);
    assert.is(target('blk.0.attn_q_norm.weight', [256, 2]), undefined);
    assert.is(target('rope_freqs.weight', [32]), undefined);
    assert.is(target('blk.0.attn_q.bias', [256]), undefined);
    const pure = fileType.replace(/_[SML]$/, '') as StoredType;
    for (const name of [
      'output.weight',
      'token_embd.weight',
      'blk.0.attn_v.weight',
      'blk.0.ffn_down.weight',
    ]) {
      assert.is(
        target(name, [256, 8]),
        pure === ('IQ4_X' as string) ? 'IQ4_XS' : pure,
        `${fileType}: ${name}`,
      );
    }
  }
});

const WIDE: TinyModelOptions = { dim: 256, hiddenDim: 256, nLayers: 1, nHeads: 4, nKvHeads: 2 };
/** Mean square errors that matrices of uniform weights may have, relative to the weights; the file's type decides. */
const LIMITS: Record<string, number> = { 2: 0.07, 3: 0.02, 4: 0.006, 5: 0.0016, 6: 0.0005, 8: 0.00003 };

test('a file of every type can be read again and holds the same model', async () => {
  const source = tinyModel(WIDE);
  const before = headerOf(source);
  const original = valuesOf(source);
  for (const type of QUANTIZE_TYPES) {
    const { bytes, report } = await quantized(source, { type });
    const after = headerOf(bytes);
    const metadata = new Map(after.metadata);
    assert.is(metadata.get('general.quantization_version'), 2);
    assert.type(metadata.get('general.file_type'), 'number');
    metadata.delete('general.quantization_version');
    metadata.delete('general.file_type');
    assert.equal(metadata, before.metadata, type);
    for (const [key, valueType] of before.valueTypes) assert.is(after.valueTypes.get(key), valueType, key);

    const limit = LIMITS[/\d+/.exec(type.replace(/^(B?F)\d+$/, '8'))![0]]!;
    const values = valuesOf(bytes);
    assert.equal([...values.keys()].sort(), [...original.keys()].sort());
    for (const [name, [to, y]] of values) {
      const [, x] = original.get(name)!;
      const error = nmse(y, x);
      if (name.includes('norm')) assert.equal([to, error], ['F32', 0], name);
      else assert.ok(error < limit, `${name} in ${type}: ${error}`);
    }
    assert.equal(
      report.tensors.map(({ name, dims, to, bytes }) => [name, dims, to, bytes]),
      after.tensors.map(({ name, dims, typeName, bytes }) => [name, dims, typeName, bytes]),
    );
    assert.equal(report.bytes, { from: source.length, to: bytes.length });
    assert.ok(report.tensors.every(({ insteadOf }) => insteadOf === undefined));
  }
});

test('a quantised file may be quantised again, and stays as it is in its own type', async () => {
  const source = tinyModel(WIDE);
  const q8 = await quantized(source, { type: 'Q8_0' });
  assert.equal((await quantized(q8.bytes, { type: 'Q8_0' })).bytes, q8.bytes);
  const f32 = await quantized(q8.bytes, { type: 'F32' });
  assert.equal((await quantized(f32.bytes, { type: 'Q8_0' })).bytes, q8.bytes);
  const q4 = await quantized(q8.bytes, { type: 'Q4_K_M' });
  for (const { name, from, to } of q4.report.tensors) {
    assert.is(from, name.includes('norm') ? 'F32' : 'Q8_0');
    if (!name.includes('norm')) assert.is.not(to, 'Q8_0');
  }
});

test('rows that a type cannot hold get another, which is named', async () => {
  const { report } = await quantized(tinyModel({ dim: 32, hiddenDim: 256 }), { type: 'Q4_K_S' });
  const of = (name: string) => report.tensors.find(tensor => tensor.name === name)!;
  assert.equal([of('blk.0.attn_q.weight').to, of('blk.0.attn_q.weight').insteadOf], ['Q5_0', 'Q4_K']);
  assert.equal([of('blk.0.ffn_down.weight').to, of('blk.0.ffn_down.weight').insteadOf], ['Q4_K', undefined]);
  const narrow = await quantized(tinyModel({ dim: 16, hiddenDim: 32 }), { type: 'Q8_0' });
  const q = narrow.report.tensors.find(tensor => tensor.name === 'blk.0.attn_q.weight')!;
  assert.equal([q.to, q.insteadOf], ['F16', 'Q8_0']);
});

test('odd alignments, large pieces and foreign vectors are kept', async () => {
  const rows = 3000;
  const values = Float32Array.from({ length: 256 * rows }, (_, i) =>
    Math.fround(((i * 7919) % 1009) / 1009 - 0.5),
  );
  const source = writeGguf(
    [['general.architecture', { type: 'string', value: 'llama' }]],
    [
      { name: 'b.weight', dims: [256, rows], ggmlType: ggmlTypeNamed('F32').id, data: stored('F32', values) },
      {
        name: 'a',
        dims: [3],
        ggmlType: ggmlTypeNamed('I32').id,
        data: Uint8Array.from({ length: 12 }, (_, i) => i),
      },
    ],
    64,
  );
  const seen: number[] = [];
  const { bytes, pieces } = await quantized(source, {
    type: 'Q4_K_S',
    onProgress: ({ done, total }) => seen.push(done / total),
  });
  const { alignment, tensors } = headerOf(bytes);
  assert.is(alignment, 64);
  const [a, b] = tensors;
  assert.equal([a!.name, a!.typeName, b!.name, b!.typeName], ['a', 'I32', 'b.weight', 'Q4_K']);
  assert.equal(
    bytes.slice(a!.offset, a!.offset + 12),
    Uint8Array.from({ length: 12 }, (_, i) => i),
  );
  // in pieces, but the same bytes as at once
  assert.equal(bytes.slice(b!.offset, b!.offset + b!.bytes), stored('Q4_K', values));
  assert.ok(Math.max(...pieces) < 200_000, `${Math.max(...pieces)}`);
  assert.ok(seen.length > 3 && seen.at(-1) === 1 && seen.every((at, i) => i === 0 || at > seen[i - 1]!));
});

test('what cannot be done is refused', async () => {
  const source = tinyModel();
  const withWeight = (name: string, change: (tensor: GgufTensorData) => void) =>
    tinyModel({ edit: (_, tensors) => change(tensors.find(tensor => tensor.name === name)!) });
  const withValue = (value: number) =>
    withWeight('blk.1.ffn_up.weight', tensor => {
      new DataView((tensor.data as Uint8Array).buffer).setFloat32(400, value, true);
    });
  await refused('option-range', source, { type: 'Q4_K' }, /Q4_K_M/);
  await refused('option-type', source, {});
  await refused('option-type', source, { type: 'Q8_0', pure: 'yes' });
  await refused('option-unknown', source, { type: 'Q8_0', purely: true });
  await refused('bad-magic', new TextEncoder().encode('no model'.repeat(50)), { type: 'Q8_0' });
  await refused('non-finite-weights', withValue(Number.NaN), { type: 'Q8_0' }, /blk\.1\.ffn_up\.weight/);
  await refused('non-finite-weights', withValue(Number.NEGATIVE_INFINITY), { type: 'BF16' });
  await refused('unsupported-dtype', withValue(70000), { type: 'F16' }, /70000.*BF16/);
  await quantized(withValue(70000), { type: 'BF16' });
  const foreign = withWeight('blk.0.attn_q.weight', tensor => {
    const type = [...GGML_TYPES.values()].find(({ name }) => name === 'I8')!;
    Object.assign(tensor, { ggmlType: type.id, data: new Uint8Array(64 * 64) });
  });
  await refused('unsupported-dtype', foreign, { type: 'Q8_0' }, /blk\.0\.attn_q\.weight.*I8/);
});

test('an abort and a sink that fails end the work', async () => {
  const source = tinyModel(WIDE);
  const controller = new AbortController();
  const reason = new Error('enough');
  let writes = 0;
  const aborting = quantize(
    source,
    { write: async () => void (++writes === 5 && controller.abort(reason)) },
    { type: 'Q8_0', signal: controller.signal },
  );
  assert.is(await aborting.catch(error => error), reason);
  assert.is(writes, 5);
  const full = new Error('no space');
  const failing = quantize(source, { write: () => Promise.reject(full) }, { type: 'Q8_0' });
  assert.is(await failing.catch(error => error), full);
});

sharedTest(test, 'files without searched types are those of llama-quantize, byte for byte', async () => {
  const read = (path: string) => new Uint8Array(readFileSync(sharedFile(`data/models/${path}.gguf`)));
  const same = async (from: string, to: string, options: QuantizeOptions) =>
    assert.is(Buffer.compare((await quantized(read(from), options)).bytes, read(to)), 0, to);
  for (const type of ['F16', 'Q8_0', 'Q4_0'] as const) {
    await same('quant/synth256.F32', `quant/synth256.${type}`, { type, pure: true });
  }
  for (const type of ['F16', 'BF16'] as const)
    await same('stories260K', `quant/stories260K.${type}`, { type });
});

sharedTest(
  test,
  'files with searched types differ from those of llama-quantize in tensors alone',
  async () => {
    const source = new Uint8Array(readFileSync(sharedFile('data/models/quant/synth256.F32.gguf')));
    for (const type of ['Q2_K', 'Q3_K_M', 'Q4_K_S', 'Q5_K_S', 'Q6_K'] as const) {
      const theirs = new Uint8Array(readFileSync(sharedFile(`data/models/quant/synth256.${type}.gguf`)));
      const { bytes } = await quantized(source, { type, pure: true });
      const { dataOffset } = headerOf(theirs);
      assert.is(bytes.length, theirs.length);
      assert.is(Buffer.compare(bytes.subarray(0, dataOffset), theirs.subarray(0, dataOffset)), 0, type);
      assert.equal(
        (await inspect(bytes)).tensors.map(({ dtype }) => dtype),
        (await inspect(theirs)).tensors.map(({ dtype }) => dtype),
      );
    }
  },
);

test.run();
