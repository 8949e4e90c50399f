// Models in parts: what `split` writes, `open` reads; what is damaged, missing, foreign or malicious is refused.

import { createHash } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  CriaError,
  type ErrorCode,
  inspect,
  type Manifest,
  type ModelSource,
  open,
  split,
} from '../host/index.ts';
import { names } from '../host/runtime/node.ts';
import { parts } from '../host/sources/index.ts';
import { openSource } from '../host/sources.ts';
import { cria, start } from './support/cli.ts';
import { hashOf } from './support/numbers.ts';
import { tinyModel } from './support/tiny-model.ts';

const MODEL = tinyModel() as Uint8Array<ArrayBuffer>;
const PART = 100_000;
const COUNT = Math.ceil(MODEL.length / PART);
const root = mkdtempSync(join(tmpdir(), 'cria-parts-'));
process.on('exit', () => rmSync(root, { recursive: true, force: true }));
const original = join(root, 'model.gguf');
writeFileSync(original, MODEL);
let folders = 0;

async function logitsHash(source: ModelSource, threads = 0): Promise<string> {
  const model = await open(source, { threads });
  try {
    return hashOf(await model.logits([1, 300, 260, 5]));
  } finally {
    await model.close();
  }
}

const EXPECTED = await logitsHash(MODEL);

const neverOpened = (name: string): never => {
  throw new Error(`${name} was opened`);
};

/** Splits in memory. */
async function splitOf(
  bytes: Uint8Array,
  part: number,
): Promise<{ manifest: Manifest; files: Map<string, Uint8Array> }> {
  const files = new Map<string, Uint8Array>();
  const sinkFor = (name: string) => ({
    write: async (piece: Uint8Array) => {
      const before = files.get(name) ?? new Uint8Array(0);
      const after = new Uint8Array(before.length + piece.length);
      after.set(before);
      after.set(piece, before.length);
      files.set(name, after);
    },
  });
  return { manifest: await split(bytes, sinkFor, { part, name: 'm' }), files };
}

/** A folder with the model in parts, made by the command; `path` is the manifest's. */
async function splitFolder(): Promise<{ folder: string; path: string; part: (i: number) => string }> {
  const folder = join(root, String(folders++));
  const { code, stderr } = await cria(['split', original, '--part', `${PART}B`, '--out', folder]);
  assert.equal([code, stderr], [0, '']);
  const part = (i: number) => join(folder, `model.gguf.part-${String(i).padStart(5, '0')}`);
  return { folder, path: join(folder, 'model.gguf.parts.json'), part };
}

async function errorOf(work: () => Promise<unknown>): Promise<CriaError> {
  const error = await work().then(
    () => undefined,
    error => error,
  );
  assert.ok(error instanceof CriaError, String(error));
  return error;
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

test('the command writes parts and a manifest that tells what they are', async () => {
  const { folder, path } = await splitFolder();
  assert.is(readdirSync(folder).length, COUNT + 1);
  const manifest: Manifest = JSON.parse(readFileSync(path, 'utf8'));
  assert.is(manifest.sha256, sha256(MODEL));
  assert.equal([manifest.name, manifest.size, manifest.parts.length], ['model.gguf', MODEL.length, COUNT]);
  const bytes = manifest.parts.map(({ name }) => readFileSync(join(folder, name)));
  assert.equal(Uint8Array.from(Buffer.concat(bytes)), MODEL);
  for (const [i, { size, sha256: hash }] of manifest.parts.entries()) {
    assert.equal([size, hash], [bytes[i]!.length, sha256(bytes[i]!)]);
  }
});

test('its path or URL opens the model, for every command too', async () => {
  const { path } = await splitFolder();
  for (const source of [path, pathToFileURL(path), pathToFileURL(path).href]) {
    for (const threads of [0, 2]) assert.is(await logitsHash(source, threads), EXPECTED);
  }
  assert.equal((await inspect(path)).size, MODEL.length);
  const { code, stdout } = await cria(['show', path]);
  assert.is(code, 0);
  assert.match(stdout, /gguf version 3/);
});

test('any parts make up the same bytes, whatever is read of them', async () => {
  const content = MODEL.subarray(0, 5000);
  const read = fc.tuple(fc.nat(5000), fc.nat(3000));
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 6000 }),
      fc.array(read, { maxLength: 8 }),
      async (part, reads) => {
        const { manifest, files } = await splitOf(content, part);
        assert.is(manifest.parts.length, Math.ceil(content.length / part));
        const source = parts(manifest, name => files.get(name)!);
        for (const [offset, length] of reads) {
          const view = new Uint8Array(Math.min(length, content.length - offset));
          await source.readInto(view, offset);
          assert.equal(view, content.subarray(offset, offset + view.length));
        }
      },
    ),
    { numRuns: 60, seed: 3 },
  );
});

test('each part is opened and checked once, by any number of threads', async () => {
  const { manifest, files } = await splitOf(MODEL, PART);
  for (const threads of [0, 1, 2, 3]) {
    const asked: string[] = [];
    const source = parts(manifest, async name => {
      asked.push(name);
      return new Blob([files.get(name) as Uint8Array<ArrayBuffer>]);
    });
    assert.is(await logitsHash(source, threads), EXPECTED);
    assert.equal(
      asked,
      manifest.parts.map(({ name }) => name),
    );
  }
});

test('one part is held, and the end of the one before', async () => {
  const { manifest, files } = await splitOf(new Uint8Array(2 ** 27), 2 ** 24);
  const source = parts(manifest, name => files.get(name)!);
  const gc = await collector();
  const view = new Uint8Array(2 ** 16);
  const before = process.memoryUsage().arrayBuffers;
  for (let at = 0; at < source.size; at += view.length) {
    await source.readInto(view, at);
    if (at % 2 ** 22 !== 0) continue;
    gc();
    const held = process.memoryUsage().arrayBuffers - before;
    assert.ok(held < 2 ** 24 + 2 ** 22, `${held} bytes at ${at}`);
  }
  assert.ok(source.held! < 2 * 2 ** 24 + 2 ** 22, 'with the copy that is hashed');
});

/** The engine's garbage collection. */
async function collector(): Promise<() => void> {
  const [{ setFlagsFromString }, { runInNewContext }] = await Promise.all([
    import('node:v8'),
    import('node:vm'),
  ]);
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}

test('over HTTP the parts lie beside the manifest', async () => {
  const { folder, path } = await splitFolder();
  const files = new Map(readdirSync(folder).map(name => [name, readFileSync(join(folder, name))]));
  const seen: string[] = [];
  const { createServer } = await import('node:http');
  const server = createServer((request, response) => {
    const name = request.url!.slice('/models/'.length);
    seen.push(name);
    const file = files.get(name);
    if (!file) return void response.writeHead(404).end();
    response.writeHead(200, { 'content-length': file.length }).end(file);
  }).listen(0, '127.0.0.1');
  await new Promise(resolve => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  try {
    const url = `http://127.0.0.1:${port}/models/model.gguf.parts.json`;
    assert.is(await logitsHash(url), EXPECTED);
    assert.is(seen.length, COUNT + 1);
    files.delete('model.gguf.part-00002');
    const error = await errorOf(() => open(url));
    assert.is(error.code, 'file-not-found');
    assert.match(error.message, 'part-00002');
  } finally {
    server.closeAllConnections();
    server.close();
  }
  assert.ok(path);
});

const DAMAGE: [name: string, code: ErrorCode, said: RegExp, damage: (part: (i: number) => string) => void][] =
  [
    [
      'a bit that is wrong',
      'wrong-hash',
      /part-00002": expected 100000 bytes with the SHA-256 [0-9a-f]{64}, got bytes with [0-9a-f]{64}/,
      part => {
        const bytes = readFileSync(part(2));
        bytes[77]! ^= 1;
        writeFileSync(part(2), bytes);
      },
    ],
    [
      'a part that is cut',
      'wrong-hash',
      /part-00001": .*got 99999 bytes/,
      part => writeFileSync(part(1), readFileSync(part(1)).subarray(1)),
    ],
    ['a part that is missing', 'file-not-found', /part-00003/, part => rmSync(part(3))],
    [
      'a part of another model',
      'wrong-hash',
      /part-00002/,
      part => writeFileSync(part(2), tinyModel({ seed: 9 }).subarray(PART, 2 * PART)),
    ],
    [
      'parts that are swapped',
      'wrong-hash',
      /part-00001/,
      part => {
        renameSync(part(1), `${part(1)}.x`);
        renameSync(part(2), part(1));
        renameSync(`${part(1)}.x`, part(2));
      },
    ],
    [
      'a manifest in the place of a part',
      'wrong-hash',
      /part-00001/,
      part => writeFileSync(part(1), '{"format":"cria-parts"}'),
    ],
  ];
for (const [name, code, said, damage] of DAMAGE) {
  test(`refused: ${name}`, async () => {
    const { path, part } = await splitFolder();
    damage(part);
    for (const threads of [0, 1]) {
      const error = await errorOf(() => open(path, { threads }));
      assert.is(error.code, code, error.message);
      assert.match(error.message, said);
    }
  });
}

test('no byte of a part is given out before its hash has been checked', async () => {
  const { manifest, files } = await splitOf(MODEL, PART);
  const damaged = files.get(manifest.parts[1]!.name)!.slice();
  damaged[PART - 1]! ^= 1; // the last byte
  files.set(manifest.parts[1]!.name, damaged);
  const source = parts(manifest, name => files.get(name)!);
  const view = new Uint8Array(10);
  await source.readInto(view, PART - 10);
  view.fill(0);
  assert.is((await errorOf(() => source.readInto(view, PART))).code, 'wrong-hash');
  assert.equal(view, new Uint8Array(10));
});

test('names that leave the folder, and sizes that cannot be, are refused before anything is opened', async () => {
  const { manifest } = await splitOf(MODEL.subarray(0, 1000), 600);
  const [first, second] = manifest.parts as [Manifest['parts'][0], Manifest['parts'][0]];
  const withName = (name: unknown) => ({ ...manifest, parts: [{ ...first, name }, second] });
  const withPart = (part: object) => ({ ...manifest, parts: [{ ...first, ...part }, second] });
  const bad: unknown[] = [
    ...[
      '../m.part-00001',
      '..',
      '.',
      '...',
      '',
      'a/b',
      '/etc/passwd',
      'a\\b',
      '..\\b',
      'C:x',
      'x:stream',
      'a\0b',
      'a\nb',
    ],
    ...[
      'http://127.0.0.1/x',
      'file:///etc/passwd',
      'data:,x',
      'x'.repeat(256),
      7,
      null,
      undefined,
      {},
      ['a'],
      second.name,
    ],
  ].map(withName);
  const sizes = [0, -1, 0.5, 2 ** 28 + 1, 2 ** 53, 1e300, '600', null, Number.NaN];
  bad.push(...sizes.map(size => withPart({ size })), ...sizes.map(size => ({ ...manifest, size })));
  bad.push(withPart({ size: 599 }), { ...manifest, size: 2 ** 43 + 1 });
  for (const sha256 of ['', 'x'.repeat(64), first.sha256.toUpperCase(), first.sha256.slice(1), 5]) {
    bad.push(withPart({ sha256 }), { ...manifest, sha256 });
  }
  bad.push({ ...manifest, version: 2 }, { ...manifest, version: '1' }, { ...manifest, name: 1 });
  for (const list of [[], {}, null, 'x', [null], [7]]) bad.push({ ...manifest, parts: list });
  const folder = join(root, String(folders++));
  mkdirSync(folder);
  const path = join(folder, 'bad.json');
  for (const value of bad) {
    const label = JSON.stringify(value);
    writeFileSync(path, label);
    const error = await errorOf(() => openSource(path, undefined, names));
    assert.is(error.code, 'bad-manifest', label);
    assert.throws(
      () => parts(value as Manifest, neverOpened),
      (error: unknown) => error instanceof CriaError && error.code === 'bad-manifest',
      label,
    );
  }
});

test('other JSON is no model, and a name may have what an address would read as its own', async () => {
  const path = join(root, 'other.json');
  for (const text of ['{', '{}', '{"format":"gguf"}', '{"format":null}']) {
    writeFileSync(path, text);
    assert.is((await errorOf(() => open(path))).code, 'bad-magic', text);
  }
  const name = 'a b%2F..#?é.gguf';
  const { manifest } = await splitOf(MODEL, 2 ** 28);
  const folder = join(root, String(folders++));
  mkdirSync(folder);
  writeFileSync(join(folder, name), MODEL);
  const renamed = { ...manifest, parts: [{ ...manifest.parts[0]!, name }] };
  writeFileSync(join(folder, 'm.json'), JSON.stringify(renamed));
  assert.is(await logitsHash(join(folder, 'm.json')), EXPECTED);
  assert.is(await logitsHash(pathToFileURL(join(folder, 'm.json'))), EXPECTED);
});

test('a part that claims more than its source has takes no memory', async () => {
  const { manifest, files } = await splitOf(MODEL.subarray(0, 1000), 600);
  const huge = {
    ...manifest,
    size: 400 + 2 ** 28,
    parts: [{ ...manifest.parts[0]!, size: 2 ** 28 }, manifest.parts[1]!],
  };
  const source = parts(huge, name => files.get(name)!);
  const before = process.memoryUsage().arrayBuffers;
  assert.is((await errorOf(() => source.readInto(new Uint8Array(1), 0))).code, 'wrong-hash');
  assert.ok(process.memoryUsage().arrayBuffers - before < 2 ** 24);
});

test('a large file is split and read in little memory', async () => {
  // it gives its own position, 8 bytes each, and need not exist
  const size = 2 ** 28 + 13;
  const source = {
    size,
    name: 'large.bin',
    async readInto(view: Uint8Array, offset: number) {
      assert.ok(view.length <= 2 ** 20);
      view.fill((offset / 2 ** 20) & 255);
    },
  };
  let written = 0;
  let most = 0;
  const before = process.memoryUsage().arrayBuffers;
  const write = async (bytes: Uint8Array) => {
    written += bytes.length;
    most = Math.max(most, process.memoryUsage().arrayBuffers - before);
  };
  const names: string[] = [];
  const sinkFor = (name: string) => {
    names.push(name);
    return { write };
  };
  const manifest = await split(source, sinkFor, { part: 2 ** 25 });
  assert.ok(written > size);
  assert.equal(names.slice(-2), ['large.bin.part-00009', 'large.bin.parts.json']);
  assert.is(manifest.parts.at(-1)!.size, 13);
  assert.ok(most < 2 ** 27, `${most} bytes`);
});

test('split: wrong usage, wrong options, nothing left behind', async () => {
  for (const [args, said] of [
    [['split'], /MODEL is missing/],
    [
      ['split', original, '--part', '25XB'],
      /--part: expected a size from 1 to 268435456 bytes, such as 25MB/,
    ],
    [['split', original, '--part', '0'], /--part/],
    [['split', original, '--part', '1GiB'], /--part/],
  ] as const) {
    const { code, stderr } = await cria([...args]);
    assert.is(code, 2);
    assert.match(stderr, said);
  }
  const folder = join(root, String(folders++));
  const failed = await cria(['split', original, '--part', '10', '--out', folder]);
  assert.is(failed.code, 1);
  assert.match(failed.stderr, /split: part: expected at least \d+/);
  assert.equal(readdirSync(folder), []);
  const blocked = await cria(['split', original, '--out', original]);
  assert.is(blocked.code, 1);
  assert.match(blocked.stderr, /EEXIST|ENOTDIR/);
  assert.is((await errorOf(() => split(new Uint8Array(0), neverOpened))).code, 'file-empty');
  for (const name of ['a/b', '..', 'x'.repeat(201)]) {
    assert.is((await errorOf(() => split(MODEL, neverOpened, { name }))).code, 'option-type');
  }
});

test('Ctrl-C leaves the parts of before', async () => {
  const { folder, path } = await splitFolder();
  const large = join(root, 'large.gguf');
  writeFileSync(large, new Uint8Array(2 ** 27));
  const before = readdirSync(folder);
  const { child, ended } = start(['split', large, '--part', '1MB', '--out', folder]);
  while (!readdirSync(folder).some(name => name.endsWith('.tmp'))) {
    assert.is(child.exitCode, null, 'it was done before it was interrupted');
    await new Promise(resolve => setTimeout(resolve, 5));
  }
  child.kill('SIGINT');
  assert.equal(await ended, { code: 130, stdout: '', stderr: '' });
  assert.equal(readdirSync(folder), before);
  assert.is(await logitsHash(path), EXPECTED);
});

test('sizes with units', async () => {
  const folder = join(root, String(folders++));
  const { stdout } = await cria(['split', original, '--part', '0.25 MiB', '--out', folder, '--json']);
  assert.is(JSON.parse(stdout).parts[0].size, 2 ** 18);
  assert.is(statSync(join(folder, 'model.gguf.part-00001')).size, 2 ** 18);
});

test.run();
