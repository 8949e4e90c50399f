// Models over HTTP from servers that misbehave.

import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CriaError, type ErrorCode, open } from '../host/index.ts';
import { type HttpOptions, http } from '../host/sources/index.ts';
import { type BadServer, badServer, type Faults } from './support/bad-server.ts';
import { hashOf } from './support/numbers.ts';
import { tinyModel, uniform } from './support/tiny-model.ts';

const MODEL = tinyModel();
const IDS = [1, 300, 260, 5];
const CONTENT = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 2654435761) >>> 24);
const QUICK: HttpOptions = { retryDelay: 1 };

async function withServer<T>(
  content: Uint8Array,
  faults: Faults,
  use: (server: BadServer) => Promise<T>,
): Promise<T> {
  const server = await badServer(content, faults);
  try {
    return await use(server);
  } finally {
    await server.close();
  }
}

async function codeOf(work: () => Promise<unknown>): Promise<ErrorCode | undefined> {
  return (await errorOf(work)).code;
}

async function errorOf(work: () => Promise<unknown>): Promise<CriaError> {
  const error = await work().then(
    () => undefined,
    error => error,
  );
  assert.ok(error instanceof CriaError, String(error));
  return error;
}

async function logitsHash(source: Parameters<typeof open>[0], threads: number): Promise<string> {
  const model = await open(source, { threads });
  try {
    return hashOf(await model.logits(IDS));
  } finally {
    await model.close();
  }
}

/** Cuts connections after a random number of bytes. */
function cutting(seed: number, most: number): () => number {
  const random = uniform(seed);
  return () => 1 + Math.floor(most * Math.abs(random()));
}

const TOLERATED: [name: string, faults: Faults][] = [
  ['nothing is wrong', {}],
  ['the connection is cut at random places', { cutAfter: cutting(1, MODEL.length) }],
  ['Range is ignored', { ignoresRange: true }],
  ['no Content-Length', { ignoresRange: true, length: null }],
  ['no Content-Length of a range', { length: null }],
  ['Content-Range cannot be seen', { contentRange: null }],
  ['the size is not in Content-Range', { contentRange: `bytes 0-${MODEL.length - 1}/*` }],
  ['the whole file is compressed on its way', { ignoresRange: true, gzip: true }],
  ['few bytes at a time', { most: 50_000 }],
];
for (const [name, faults] of TOLERATED) {
  test(`a model opens although ${name}`, async () => {
    const expected = await logitsHash(MODEL, 0);
    for (const threads of [0, 2]) {
      await withServer(MODEL, faults, async ({ url }) => {
        assert.is(await logitsHash(await http(url, QUICK), threads), expected, `${threads} threads`);
      });
    }
  });
}

test('a model is read through one request where nothing breaks, also by several threads', async () => {
  const large = tinyModel({ dim: 256, hiddenDim: 1024, nLayers: 4 });
  assert.ok(large.length > 10 * 2 ** 20);
  for (const threads of [0, 1, 3]) {
    await withServer(large, {}, async ({ url, requests }) => {
      assert.is(await logitsHash(url, threads), await logitsHash(large, 0));
      assert.equal(requests, ['bytes=0-']);
    });
  }
});

test('any reads give the bytes of the file, whatever breaks', async () => {
  const read = fc.tuple(fc.nat(CONTENT.length), fc.nat(20_000));
  const faults = fc.record({
    ignoresRange: fc.boolean(),
    cut: fc.option(fc.integer({ min: 1000, max: 150_000 })),
    seed: fc.nat(1000),
    window: fc.constantFrom(0, 1000, 30_000, 2 ** 23),
    etag: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(faults, fc.array(read, { minLength: 1, maxLength: 12 }), async (how, reads) => {
      // a file that always begins anew is cut so late that the end can be reached
      const most = how.cut !== null && how.ignoresRange ? 2 * CONTENT.length : how.cut;
      const given: Faults = {
        ignoresRange: how.ignoresRange,
        ...(most !== null && { cutAfter: cutting(how.seed, most) }),
        ...(how.etag && { etag: () => '"1"' }),
      };
      await withServer(CONTENT, given, async ({ url }) => {
        const source = await http(url, { retryDelay: 0, retries: 30, window: how.window });
        assert.is(source.size, CONTENT.length);
        await Promise.all(
          reads.map(async ([offset, length]) => {
            const view = new Uint8Array(Math.min(length, CONTENT.length - offset));
            await source.readInto(view, offset);
            assert.equal(view, CONTENT.subarray(offset, offset + view.length));
          }),
        );
        await source.close();
      });
    }),
    { numRuns: 60, seed: 7 },
  );
});

/** Reads all of it in pieces. */
async function readOver(url: string, options: HttpOptions = QUICK): Promise<void> {
  const source = await http(url, options);
  const view = new Uint8Array(1000);
  for (let at = 0; at + view.length <= source.size; at += view.length) await source.readInto(view, at);
}

const REFUSED: [name: string, code: ErrorCode, faults: Faults, said: RegExp][] = [
  ['a file that is not there', 'file-not-found', { status: () => 404 }, /status 404.*address/],
  ['one that has gone', 'file-not-found', { status: () => 410 }, /taken away/],
  ['no login', 'access-denied', { status: () => 401 }, /status 401.*headers/],
  ['no permission', 'access-denied', { status: () => 403 }, /status 403/],
  ['too many requests', 'file-unreadable', { status: () => 429 }, /wait/],
  ['an overloaded server', 'network-failed', { status: () => 503 }, /status 503, 5 times/],
  ['redirects in a circle', 'network-failed', { redirect: true }, /redirects without end/],
  ['another range than was asked for', 'bad-range', { contentRange: 'bytes 7-9/100000' }, /bytes 7-9/],
  ['a compressed range', 'bad-range', { gzip: true }, /bytes in gzip/],
  [
    'fewer bytes than Content-Length says',
    'network-failed',
    { length: 200_000, ignoresRange: true },
    /5 times/,
  ],
  ['the same of a server with ranges', 'file-changed', { length: 200_000, contentRange: null }, /got 100000/],
  ['no byte at all', 'network-failed', { cutAfter: () => 0 }, /5 times/],
];
for (const [name, code, faults, said] of REFUSED) {
  test(`refused: ${name}`, async () => {
    await withServer(CONTENT, faults, async ({ url, requests }) => {
      const error = await errorOf(() => readOver(url));
      assert.is(error.code, code, error.message);
      assert.match(error.message, said);
      // a refusal is not asked again
      if (faults.status && faults.status()! < 500) assert.is(requests.length, 1);
    });
  });
}

test('a server that is overloaded for a while is asked again', async () => {
  let answers = 0;
  await withServer(CONTENT, { status: () => (answers++ % 3 < 2 ? 503 : undefined) }, ({ url }) =>
    readOver(url),
  );
});

test('nobody there', async () => {
  const server = await badServer(CONTENT);
  await server.close();
  const error = await errorOf(() => http(server.url, { retries: 1, retryDelay: 1 }));
  assert.is(error.code, 'network-failed');
  assert.match(error.message, /ECONNREFUSED.*2 times/);
});

test('a file that changes meanwhile', async () => {
  const halves = { cutAfter: () => 60_000 };
  let version = 0;
  await withServer(CONTENT, { ...halves, etag: () => `"${version++}"` }, async ({ url }) => {
    const error = await errorOf(() => readOver(url));
    assert.is(error.code, 'file-changed');
    assert.match(error.message, /version "0".*version "1"/);
  });
  let asked = 0;
  const content = () => (asked++ === 0 ? CONTENT : CONTENT.subarray(0, 80_000));
  await withServer(CONTENT, { ...halves, content }, async ({ url }) => {
    assert.is(await codeOf(() => readOver(url)), 'file-changed', 'told by its size');
  });
  asked = 0;
  const shorter = () => (asked++ === 0 ? CONTENT : CONTENT.subarray(0, 10));
  await withServer(CONTENT, { ...halves, content: shorter }, async ({ url }) => {
    assert.is(await codeOf(() => readOver(url)), 'file-changed', 'no longer that long');
  });
  await withServer(CONTENT, { ...halves, etag: () => (version++ % 2 ? '"same"' : 'W/"same"') }, ({ url }) =>
    readOver(url),
  );
});

test('Range ignored and no room to hold the file: reads must ascend', async () => {
  const large = new Uint8Array(400_000);
  await withServer(large, { ignoresRange: true }, async ({ url, requests }) => {
    const options = { ...QUICK, window: 1000, bufferLimit: 50_000 };
    const source = await http(url, options);
    const view = new Uint8Array(10);
    for (const at of [0, 500, 399_000]) await source.readInto(view, at);
    assert.is(requests.length, 1);
    const error = await errorOf(() => source.readInto(view, 0));
    assert.is(error.code, 'needs-random-access');
    assert.match(error.message, /Range/);
    const held = await http(url, { ...options, bufferLimit: large.length });
    for (const at of [399_000, 0, 50_000, 0, 399_990]) await held.readInto(view, at);
    assert.is(requests.length, 3, 'asked for once more and held');
  });
  await withServer(CONTENT, { ignoresRange: true, length: null }, async ({ url }) => {
    assert.is(await codeOf(() => http(url, { bufferLimit: 99_999 })), 'unknown-size');
  });
});

test('an abort is heard while bytes trickle, between attempts and before an answer', async () => {
  const reason = new Error('enough');
  const soon = () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 30);
    return controller.signal;
  };
  const rejects = async (work: Promise<unknown>) =>
    assert.is(
      await work.then(
        () => 'no error',
        error => error,
      ),
      reason,
    );
  await withServer(CONTENT, { trickle: 20 }, async ({ url, open }) => {
    const source = await http(url);
    await rejects(source.readInto(new Uint8Array(CONTENT.length), 0, soon()));
    await new Promise(resolve => setTimeout(resolve, 100));
    assert.is(open(), 0, 'the connection is closed');
    const view = new Uint8Array(2000);
    await source.readInto(view, 50_000);
    assert.equal(view, CONTENT.subarray(50_000, 52_000), 'and reading can go on');
    await source.close();
  });
  await withServer(MODEL, { trickle: 20 }, async ({ url }) => {
    for (const threads of [0, 1]) await rejects(open(url, { threads, signal: soon() }));
  });
  await withServer(CONTENT, { status: () => 500 }, ({ url }) =>
    rejects(http(url, { signal: soon(), retryDelay: 10_000 })),
  );
});

test('an empty file is empty', async () => {
  for (const faults of [{}, { ignoresRange: true }]) {
    await withServer(new Uint8Array(0), faults, async ({ url }) => {
      assert.is(await codeOf(() => open(url)), 'file-empty');
    });
  }
});

test('headers are sent, and another fetch can be used', async () => {
  const seen: RequestInit[] = [];
  const source = await http('https://assets.example/model.gguf', {
    headers: { authorization: 'Bearer x' },
    fetch: async (_url, init) => {
      seen.push(init);
      return new Response(CONTENT.slice());
    },
    bufferLimit: CONTENT.length,
  });
  assert.is(source.size, CONTENT.length);
  assert.equal(seen[0]!.headers, { authorization: 'Bearer x', range: 'bytes=0-' });
});

test.run();
