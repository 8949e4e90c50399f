// Models in the layouts of Hugging Face and of Meta: the same bits as the same model in GGUF; what is damaged, foreign or
// malicious is refused, and no pickle is ever executed.

import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PickledTensor, unpickle } from '../host/foreign/pickle.ts';
import { readPth } from '../host/foreign/pth.ts';
import { readSafetensors as readOurs } from '../host/foreign/safetensors.ts';
import { CriaError, estimate, inspect, type ModelSource, open } from '../host/index.ts';
import { bytesSource } from '../host/sources/bytes.ts';
import { rejects } from './support/errors.ts';
import {
  code,
  hfConfig,
  hfTensors,
  metaShards,
  type Plain,
  pickled,
  pickleOf,
  plain,
  pth,
  safetensors,
  zip,
} from './support/foreign.ts';
import { hashOf } from './support/numbers.ts';
import { readSafetensors } from './support/safetensors.ts';
import { sharedFile, sharedTest } from './support/shared.ts';
import { tinyModel } from './support/tiny-model.ts';

const root = mkdtempSync(join(tmpdir(), 'cria-foreign-'));
process.on('exit', () => rmSync(root, { recursive: true, force: true }));
let folders = 0;

const GGUF = tinyModel({ nLayers: 2, nHeads: 4, nKvHeads: 2, vocabSize: 320, seed: 3 });
const PLAIN: Plain = await plain(GGUF);
const IDS = [1, 300, 260, 5, 17, 2, 299];

function folderOf(files: Record<string, Uint8Array | string | object>): string {
  const folder = join(root, String(folders++));
  mkdirSync(folder);
  for (const [name, content] of Object.entries(files)) {
    const isRaw = typeof content === 'string' || content instanceof Uint8Array;
    writeFileSync(join(folder, name), isRaw ? content : JSON.stringify(content));
  }
  return folder;
}

async function logits(source: ModelSource, threads = 0): Promise<string> {
  const model = await open(source, { threads });
  try {
    return hashOf(await model.logits(IDS));
  } finally {
    await model.close();
  }
}

const CONFIG = hfConfig(PLAIN.config);
const PARAMS = {
  dim: PLAIN.config.dim,
  n_layers: PLAIN.config.nLayers,
  n_heads: PLAIN.config.nHeads,
  n_kv_heads: PLAIN.config.nKvHeads,
  norm_eps: PLAIN.config.normEps,
  vocab_size: -1,
};
const EXPECTED = await logits(GGUF);

test('safetensors: by any of its files, on any number of threads, the bits of the GGUF file', async () => {
  const folder = folderOf({
    'config.json': CONFIG,
    'model.safetensors': safetensors(hfTensors(PLAIN), 'F32'),
  });
  const paths = [folder, join(folder, 'config.json'), join(folder, 'model.safetensors')];
  for (const path of [...paths, pathToFileURL(join(folder, 'config.json'))])
    assert.is(await logits(path), EXPECTED, String(path));
  for (const threads of [1, 2, 3]) assert.is(await logits(folder, threads), EXPECTED, `${threads} threads`);
  const report = await inspect(folder);
  assert.is(report.format, 'safetensors');
  assert.is(report.tensors.length, PLAIN.tensors.size);
  assert.ok((await estimate(folder)).total > 0);
});

test('safetensors in several files, beside an index', async () => {
  const tensors = [...hfTensors(PLAIN)];
  // every third tensor is in another file
  const shards = [0, 1, 2].map(shard => new Map(tensors.filter((_, i) => i % 3 === shard)));
  const name = (i: number) => `model-0000${i + 1}-of-00003.safetensors`;
  const map = Object.fromEntries(shards.flatMap((shard, i) => [...shard.keys()].map(key => [key, name(i)])));
  const files = Object.fromEntries(shards.map((shard, i) => [name(i), safetensors(shard, 'F32')]));
  const index = { metadata: {}, weight_map: map };
  const folder = folderOf({ 'config.json': CONFIG, 'model.safetensors.index.json': index, ...files });
  assert.is(await logits(folder), EXPECTED);
  assert.is(await logits(join(folder, 'model.safetensors.index.json')), EXPECTED);
  const outside = { weight_map: { ...map, 'model.norm.weight': '../secret.safetensors' } };
  const bad = folderOf({ 'config.json': CONFIG, 'model.safetensors.index.json': outside, ...files });
  await rejects(() => open(bad), 'bad-json');
});

test('half floats: matrices stay as they are, norms become f32', async () => {
  for (const type of ['F16', 'BF16'] as const) {
    const file = safetensors(hfTensors(PLAIN), type);
    const folder = folderOf({ 'config.json': CONFIG, 'model.safetensors': file });
    const dtype = type.toLowerCase();
    const model = await open(folder, { threads: 0 });
    const { info } = model;
    assert.equal(Object.keys(info.dtypes).sort(), [dtype, 'f32'].sort());
    const ours = await model.logits(IDS);
    await model.close();
    // the norms of the tiny model are not half floats: the same values once more, rounded, in F32
    const rounded = await plainFrom(file);
    const folder32 = folderOf({ 'config.json': CONFIG, 'model.safetensors': safetensors(rounded, 'F32') });
    const reference = await open(folder32, { backend: 'reference' });
    const expected = await reference.logits(IDS);
    await reference.close();
    const worst = Math.max(...ours.map((value, i) => Math.abs(value - expected[i]!)));
    assert.ok(worst < 1e-4, `${type}: ${worst}`);
  }
});

/** The values of a file of half floats as f32, read by the reader of the tests. */
async function plainFrom(file: Uint8Array): Promise<ReturnType<typeof hfTensors>> {
  const arrays = await readOurs(bytesSource(file, 'half'));
  const tensors = hfTensors(PLAIN);
  const view = new DataView(file.buffer);
  for (const [name, { offset, dtype }] of arrays) {
    const { rows, cols } = tensors.get(name)!;
    const values = Float32Array.from({ length: rows * cols }, (_, i) => {
      const bits = view.getUint16(offset + 2 * i, true);
      if (dtype === 'BF16') return new Float32Array(Uint32Array.of(bits << 16).buffer)[0]!;
      const exponent = (bits >> 10) & 31;
      const sign = bits & 0x8000 ? -1 : 1;
      if (exponent === 0) return (sign * (bits & 1023)) / 2 ** 24;
      return sign * (1 + (bits & 1023) / 1024) * 2 ** (exponent - 15);
    });
    tensors.set(name, { rows, cols, values });
  }
  return tensors;
}

test('Meta: one consolidated file, or as many as its layers were cut for', async () => {
  for (const shards of [1, 2, 4]) {
    const files = metaShards(PLAIN, shards).map((part, i) => [`consolidated.0${i}.pth`, pth(part, 'F32')]);
    const folder = folderOf({ 'params.json': PARAMS, ...Object.fromEntries(files) });
    for (const path of [folder, join(folder, 'params.json'), join(folder, 'consolidated.00.pth')])
      assert.is(await logits(path), EXPECTED, `${shards}: ${path}`);
    assert.is(await logits(folder, 2), EXPECTED, `${shards} on two threads`);
    const { config } = (await inspect(folder)).runnable as { config: Plain['config'] };
    assert.is(config.hiddenDim, PLAIN.config.hiddenDim);
    assert.is(config.vocabSize, PLAIN.config.vocabSize);
  }
});

test('over HTTP, the files beside are asked for by their addresses', async () => {
  const folder = folderOf({
    'config.json': CONFIG,
    'model.safetensors': safetensors(hfTensors(PLAIN), 'F32'),
  });
  const asked: string[] = [];
  const server = createServer(({ url }, response) => {
    asked.push(url!);
    try {
      const bytes = readFileSync(join(folder, url!.slice(1)));
      response.setHeader('content-length', bytes.length).end(bytes);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = server.address() as AddressInfo;
    assert.is(await logits(`http://127.0.0.1:${port}/config.json`), EXPECTED);
    assert.ok(asked.includes('/model.safetensors'), asked.join());
    assert.ok(asked.includes('/tokenizer.model'), asked.join());
  } finally {
    server.close();
  }
});

test('a pickle that names anything but tensors is refused, and nothing of it runs', async () => {
  const tensors = metaShards(PLAIN, 1)[0]!;
  const harmless = pickleOf(tensors, 'F32');
  const call = (module: string, name: string, ...args: number[][]) =>
    pickled(code.reduce(code.global(module, name), code.tuple(...args)));
  const evil: Record<string, Uint8Array> = {
    'os.system': call('os', 'system', code.text(`touch ${join(root, 'pwned')}`)),
    'builtins.eval': call('builtins', 'eval', code.text('1')),
    getattr: call('builtins', 'getattr', code.global('torch', 'FloatStorage'), code.text('__init__')),
    'torch.load': call('torch', 'load', code.text('x')),
    'a storage called': call('torch', 'FloatStorage', code.int(9)),
    'STACK_GLOBAL os.system': pickled([...code.text('os'), ...code.text('system'), 0x93]),
    'a protocol-0 instance': pickled([0x28, ...new TextEncoder().encode('ios\nsystem\n')]),
    'an extension': pickled([0x82, 1]),
    'a class by OBJ': pickled([0x28, ...code.global('collections', 'OrderedDict'), 0x6f]),
  };
  for (const [what, pickle] of Object.entries(evil)) {
    await rejects(() => unpickle(pickle, what), 'refused-pickle');
    const folder = folderOf({
      'params.json': PARAMS,
      'consolidated.00.pth': zip(new Map([['a/data.pkl', pickle]])),
    });
    await rejects(() => open(folder), 'refused-pickle');
  }
  assert.ok(unpickle(harmless, 'harmless') instanceof Map);
  assert.throws(() => readFileSync(join(root, 'pwned')), /ENOENT/);
});

test('views of a storage: offsets are followed, strides that skip are refused', async () => {
  const storage = (key: string, length: number) => [
    ...code.tuple(
      code.text('storage'),
      code.global('torch', 'FloatStorage'),
      code.text(key),
      code.text('cpu'),
      code.int(length),
    ),
    0x51,
  ];
  const tensor = (offset: number, shape: number[], strides: number[]) =>
    code.reduce(
      code.global('torch._utils', '_rebuild_tensor_v2'),
      code.tuple(
        storage('0', 8),
        code.int(offset),
        code.tuple(...shape.map(code.int)),
        code.tuple(...strides.map(code.int)),
        [0x89],
        code.reduce(code.global('collections', 'OrderedDict'), [0x29]),
      ),
    );
  const file = (value: number[]) =>
    zip(
      new Map([
        ['a/data.pkl', pickled([0x7d, ...code.text('t'), ...value, 0x73])],
        ['a/data/0', new Uint8Array(Float32Array.from({ length: 8 }, (_, i) => i).buffer)],
      ]),
    );
  const read = (value: number[]) => readPth(bytesSource(file(value), 'views'));
  const { source, offset, shape } = (await read(tensor(2, [2, 3], [3, 1]))).get('t')!;
  const bytes = new Uint8Array(24);
  await source.readInto(bytes, offset);
  assert.equal([...new Float32Array(bytes.buffer)], [2, 3, 4, 5, 6, 7]);
  assert.equal(shape, [2, 3]);
  await rejects(() => read(tensor(0, [3, 2], [1, 3])), 'bad-pickle');
  await rejects(() => read(tensor(3, [2, 3], [3, 1])), 'bad-pickle');
  assert.ok(unpickle(pickled(tensor(0, [], [])), 'scalar') instanceof PickledTensor);
});

test('what does not belong together is told', async () => {
  const tensors = hfTensors(PLAIN);
  const files = { 'config.json': CONFIG, 'model.safetensors': safetensors(tensors, 'F32') };
  const fails = (changed: Record<string, object | Uint8Array>, expected: Parameters<typeof rejects>[1]) =>
    rejects(() => open(folderOf({ ...files, ...changed })), expected);
  const without = new Map(tensors);
  without.delete('model.layers.1.mlp.up_proj.weight');
  const more = new Map([
    ...tensors,
    ['model.layers.0.self_attn.q_proj.bias', tensors.get('model.norm.weight')!],
  ]);
  await fails({ 'model.safetensors': safetensors(without, 'F32') }, 'missing-tensor');
  await fails({ 'model.safetensors': safetensors(more, 'F32') }, 'unexpected-tensor');
  await fails({ 'config.json': { ...CONFIG, hidden_size: undefined } }, 'missing-key');
  await fails({ 'config.json': { ...CONFIG, intermediate_size: 8 } }, 'wrong-shape');
  await fails({ 'config.json': { ...CONFIG, model_type: 'mistral' } }, 'unsupported-architecture');
  await fails({ 'config.json': { ...CONFIG, attention_bias: true } }, 'unsupported-architecture');
  await fails({ 'config.json': { ...CONFIG, num_attention_heads: 3 } }, 'bad-hyperparameter');
  const llama3 = { rope_type: 'llama3', factor: 8 };
  await fails({ 'config.json': { ...CONFIG, rope_scaling: llama3 } }, 'unsupported-rope-scaling');
  const wide = safetensors(tensors, 'F32', header =>
    header.replaceAll('"F32"', '"I32"').replace('"I32"', '"F32"'),
  );
  await fails({ 'model.safetensors': wide }, 'unsupported-dtype');
  await rejects(() => open(files['model.safetensors']), 'file-not-found');
  await fails({ 'config.json': new TextEncoder().encode('{') }, 'bad-json');
  await fails({ 'config.json': {} }, 'bad-magic');
  await rejects(() => open(folderOf({ 'config.json': CONFIG })), 'file-not-found');
  const { message } = await rejects(() => open(folderOf({})), 'file-unreadable');
  assert.match(message, 'a folder without config.json or params.json');
});

test('headers that lie about their tensors', async () => {
  const file = (edit: (header: string) => string) => safetensors(hfTensors(PLAIN), 'F32', edit);
  const read = (bytes: Uint8Array) => readOurs(bytesSource(bytes, 'lies'));
  const whole = file(header => header);
  assert.is((await read(whole)).size, PLAIN.tensors.size);
  for (const [what, edit] of Object.entries<(header: string) => string>({
    'an overlap': header => header.replace(/\[(\d+),(\d+)\]}/, '[0,0]}'),
    'a shape of another size': header => header.replace(/"shape":\[\d+/, '"shape":[7'),
    'a dtype that does not exist': header => header.replace('"F32"', '"F31"'),
    'a negative offset': header => header.replace(/\[0,/, '[-4,'),
    'no JSON': header => header.slice(0, -1),
  })) {
    const error = await rejects(() => read(file(edit)), 'bad-safetensors');
    assert.match(error.message, 'lies', what);
  }
  await rejects(() => read(whole.subarray(0, whole.length - 1)), 'file-truncated');
  await rejects(() => read(Uint8Array.from([...whole, 0])), 'bad-safetensors');
});

test('damaged bytes anywhere: a typed error or a model, never anything else', async () => {
  const files = {
    safetensors: safetensors(hfTensors(PLAIN), 'F32'),
    pth: pth(metaShards(PLAIN, 1)[0]!, 'F32'),
  };
  const pickle = pickleOf(metaShards(PLAIN, 1)[0]!, 'F32');
  const tried = async (run: () => unknown) => {
    try {
      await run();
    } catch (error) {
      if (!(error instanceof CriaError)) throw error;
    }
  };
  const mutation = fc.record({
    at: fc.nat(),
    byte: fc.nat(255),
    cut: fc.option(fc.nat(), { freq: 4 }),
  });
  await fc.assert(
    fc.asyncProperty(mutation, async ({ at, byte, cut }) => {
      const changed = (bytes: Uint8Array, within: number, from = 0): Uint8Array => {
        const copy = bytes.slice(0, cut === null ? undefined : cut % bytes.length);
        if (copy.length > 0) copy[Math.min(copy.length - 1, from + (at % within))] = byte;
        return copy;
      };
      const { safetensors: st, pth: zipped } = files;
      await tried(() => readOurs(bytesSource(changed(st, 4000), 'st')));
      await tried(() => readPth(bytesSource(changed(zipped, 6000), 'pth')));
      await tried(() => readPth(bytesSource(changed(zipped, 2500, zipped.length - 2500), 'pth')));
      await tried(() => unpickle(changed(pickle, pickle.length), 'pickle'));
    }),
    { numRuns: 1500, seed: 7 },
  );
});

sharedTest(test, 'stories260K in Hugging Face layout has the bits of its GGUF file', async () => {
  const gguf = await open(sharedFile('data/models/stories260K.gguf'), { threads: 0 });
  const hf = await open(sharedFile('data/models/hf/stories260K'), { threads: 0 });
  assert.is(hashOf(await hf.logits(IDS)), hashOf(await gguf.logits(IDS)));
  await gguf.close();
  await hf.close();
});

sharedTest(test, 'checkpoints of torch: every tensor is its safetensors twin', async () => {
  for (const [file, twin] of [
    ['demo_rand_params.pth', 'demo_rand_params.safetensors'],
    ['tiny_fair_checkpoint.pt', 'tiny_fair_checkpoint.safetensors'],
  ]) {
    const bytes = readFileSync(sharedFile(`data/models/pth/${file}`));
    const arrays = await readPth(bytesSource(bytes, file!));
    const expected = readSafetensors(sharedFile(`data/models/pth/${twin}`));
    for (const [name, values] of expected) {
      const { source, offset, shape, dtype } = arrays.get(name)!;
      assert.is(dtype, 'F32');
      const found = new Uint8Array(values.byteLength);
      await source.readInto(found, offset);
      assert.is(
        shape.reduce((product, dim) => product * dim, 1),
        values.length,
      );
      assert.ok(Buffer.from(found).equals(Buffer.from(values.buffer)), `${file}: ${name}`);
    }
  }
});

sharedTest(test, "a model of Meta's layout that torch saved opens", async () => {
  const folder = folderOf({});
  copyFileSync(sharedFile('data/models/pth/demo_rand_params.pth'), join(folder, 'consolidated.00.pth'));
  copyFileSync(sharedFile('data/models/pth/demo_config.json'), join(folder, 'params.json'));
  const ours = await open(folder, { threads: 0 });
  const reference = await open(folder, { backend: 'reference' });
  const [a, b] = [await ours.logits([1, 2, 3]), await reference.logits([1, 2, 3])];
  const worst = Math.max(...a.map((value, i) => Math.abs(value - b[i]!)));
  assert.ok(worst < 1e-4, String(worst));
  await ours.close();
  await reference.close();
});

test.run();
