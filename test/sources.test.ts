// Sources of one's own and those of cria/sources that are not HTTP.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type ByteSource, CriaError, estimate, FileError, type ModelSource, open } from '../host/index.ts';
import { type BucketLike, type CacheLike, cached, r2, response, stream } from '../host/sources/index.ts';
import { hashOf } from './support/numbers.ts';
import { tinyModel } from './support/tiny-model.ts';

const MODEL = tinyModel({ dim: 128, hiddenDim: 512, nLayers: 4 }) as Uint8Array<ArrayBuffer>;
const IDS = [1, 300, 260, 5];

async function logitsHash(source: ModelSource, threads = 0): Promise<string> {
  const model = await open(source, { threads });
  try {
    return hashOf(await model.logits(IDS));
  } finally {
    await model.close();
  }
}

const EXPECTED = await logitsHash(MODEL);

async function errorOf(work: () => Promise<unknown>): Promise<CriaError> {
  const error = await work().then(
    () => undefined,
    error => error,
  );
  assert.ok(error instanceof CriaError, String(error));
  return error;
}

/** A stream of `bytes` in pieces; of the kind that takes a buffer, or not. */
function streamOf(
  bytes: Uint8Array<ArrayBuffer>,
  { byob = false, fails = false } = {},
): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    ...(byob && { type: 'bytes' as const }),
    pull(controller: ReadableStreamDefaultController<Uint8Array> | ReadableByteStreamController) {
      if (at < bytes.length) {
        // a copy: a byte stream takes the buffer away
        controller.enqueue(bytes.slice(at, (at += 3333)));
        return;
      }
      if (fails) return controller.error(new Error('the pipe broke'));
      controller.close();
      if ('byobRequest' in controller) controller.byobRequest?.respond(0);
    },
  } as unknown as UnderlyingDefaultSource<Uint8Array>);
}

test('a source of one’s own: called for each piece, closed at the end', async () => {
  for (const threads of [0, 1, 2]) {
    let [reads, closed] = [0, 0];
    const source: ByteSource = {
      size: MODEL.length,
      async readInto(view, offset) {
        reads++;
        view.set(MODEL.subarray(offset, offset + view.length));
      },
      close: () => void closed++,
    };
    assert.is(await logitsHash(source, threads), EXPECTED);
    assert.ok(reads > 20);
    assert.is(closed, 1);
  }
});

test('what it throws is the cause of a typed error; what is ours passes', async () => {
  const cause = new Error('the tape is torn');
  const failing = (error: unknown): ByteSource => ({
    size: MODEL.length,
    name: 'tape 7',
    readInto: () => Promise.reject(error),
  });
  const error = await errorOf(() => open(failing(cause)));
  assert.is(error.code, 'file-unreadable');
  assert.is(error.cause, cause);
  assert.match(error.message, /^tape 7: byte 0: .*the tape is torn/);
  const own = new FileError('wrong-hash', { where: 'a', expected: 'b', got: 'c', hint: 'd' });
  assert.is(await errorOf(() => open(failing(own))), own);
  for (const size of [-1, 0.5, Number.NaN, 2 ** 60, '7', undefined]) {
    const source = { ...failing(cause), size } as ByteSource;
    assert.is((await errorOf(() => open(source))).code, 'option-type', String(size));
  }
});

test('an ordered source is read in its order by any number of threads', async () => {
  for (const threads of [0, 1, 2, 3]) {
    let [furthest, running] = [0, 0];
    const back: number[] = [];
    const source: ByteSource = {
      size: MODEL.length,
      ordered: true,
      async readInto(view, offset) {
        assert.is(++running, 1, 'one at a time');
        back.push(furthest - offset);
        furthest = Math.max(furthest, offset + view.length);
        await new Promise(resolve => setImmediate(resolve));
        view.set(MODEL.subarray(offset, offset + view.length));
        running--;
      },
    };
    assert.is(await logitsHash(source, threads), EXPECTED);
    // after the header: several threads may want the same rows
    assert.ok(Math.max(...back.slice(1)) <= 2 ** 20, `${threads} threads: ${Math.max(...back)} bytes back`);
  }
});

test('a stream opens the same model, whatever its kind', async () => {
  for (const byob of [false, true]) {
    for (const size of [undefined, MODEL.length]) {
      for (const threads of [0, 2]) {
        const source = await stream(streamOf(MODEL, { byob }), size === undefined ? {} : { size });
        assert.is(await logitsHash(source, threads), EXPECTED);
      }
    }
  }
});

test('a stream is read once, in order, to its end', async () => {
  const window = 1000;
  const size = MODEL.length;
  const view = new Uint8Array(10);
  const once = await stream(streamOf(MODEL), { size, window });
  await once.readInto(view, size - 10);
  assert.equal(view, MODEL.subarray(-10));
  assert.is((await errorOf(() => once.readInto(view, 0))).code, 'needs-random-access');
  const left = await stream(streamOf(MODEL), { size });
  await left.readInto(view, 0);
  await left.close();
  assert.match((await errorOf(() => left.readInto(view, 5000))).message, /read once/);
  const short = await stream(streamOf(MODEL), { size: size + 5 });
  const error = await errorOf(() => short.readInto(view, size - 5));
  assert.is(error.code, 'network-failed');
  assert.match(error.message, new RegExp(`an end after ${size} of ${size + 5} bytes`));
  const broken = await stream(streamOf(MODEL, { fails: true }), { size: size + 5 });
  assert.match((await errorOf(() => broken.readInto(view, size - 5))).message, /the pipe broke/);
  assert.is((await errorOf(() => stream(streamOf(MODEL), { bufferLimit: 1000 }))).code, 'unknown-size');
  assert.is((await errorOf(() => stream(streamOf(MODEL, { fails: true })))).code, 'network-failed');
});

test('a response is looked at before it is read', async () => {
  const length = { 'content-length': String(MODEL.length) };
  assert.is(await logitsHash(await response(new Response(MODEL, { headers: length }))), EXPECTED);
  assert.is(await logitsHash(await response(new Response(MODEL))), EXPECTED);
  for (const [status, code] of [
    [404, 'file-not-found'],
    [403, 'access-denied'],
    [500, 'network-failed'],
    [418, 'file-unreadable'],
  ] as const) {
    assert.is((await errorOf(() => response(new Response('no', { status })))).code, code);
  }
});

/** A bucket whose connections break after some bytes. */
function bucketOf(content: () => Uint8Array<ArrayBuffer> | undefined, most = Number.POSITIVE_INFINITY) {
  const offsets: number[] = [];
  const bucket: BucketLike = {
    async get(_key, { range = { offset: 0 } } = {}) {
      const bytes = content();
      offsets.push(range.offset);
      if (!bytes) return null;
      const rest = bytes.slice(range.offset, range.offset + most);
      const fails = range.offset + most < bytes.length;
      return { size: bytes.length, etag: `v${bytes[4000]}`, body: streamOf(rest, { byob: true, fails }) };
    },
  };
  return { bucket, offsets };
}

test('R2: one request, or as many as connections break', async () => {
  const whole = bucketOf(() => MODEL);
  assert.is(await logitsHash(await r2(whole.bucket, 'key')), EXPECTED);
  assert.equal(whole.offsets, [0]);
  const breaking = bucketOf(() => MODEL, 500_000);
  assert.is(await logitsHash(await r2(breaking.bucket, 'key')), EXPECTED);
  assert.equal(breaking.offsets.slice(0, 3), [0, 500_000, 1_000_000]);
  assert.is((await errorOf(() => r2(bucketOf(() => undefined).bucket, 'key'))).code, 'file-not-found');
  let asked = 0;
  const other = MODEL.map(byte => byte ^ 1);
  const changing = bucketOf(() => (asked++ === 0 ? MODEL : other), 500_000);
  const source = await r2(changing.bucket, 'key');
  assert.is((await errorOf(() => open(source))).code, 'file-changed');
});

function cacheOf(honoursRange: boolean): CacheLike & { kept: Map<string, Blob> } {
  const kept = new Map<string, Blob>();
  return {
    kept,
    async match(request) {
      const blob = kept.get(typeof request === 'string' ? request : request.url);
      if (!blob) return undefined;
      const headers = { 'content-length': String(blob.size) };
      const range = typeof request === 'string' ? null : request.headers.get('range');
      const from = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? Number.NaN);
      if (!honoursRange || Number.isNaN(from)) return new Response(blob, { headers });
      const part = blob.slice(from);
      return new Response(part, {
        status: 206,
        headers: {
          'content-length': String(part.size),
          'content-range': `bytes ${from}-${blob.size - 1}/${blob.size}`,
        },
      });
    },
    async put(url, response) {
      kept.set(url, await response.blob());
    },
  };
}

test('a cache is filled once and read from then on', async () => {
  for (const honoursRange of [true, false]) {
    const cache = cacheOf(honoursRange);
    let downloads = 0;
    const fetch = async () => {
      downloads++;
      return new Response(MODEL, { headers: { 'content-length': String(MODEL.length) } });
    };
    const told: { loaded: number; total: number | undefined }[] = [];
    const url = 'https://example.org/model.gguf';
    for (let i = 0; i < 2; i++) {
      const source = await cached(url, { cache, fetch, onProgress: at => told.push(at) });
      assert.is(await logitsHash(source, i), EXPECTED);
    }
    assert.is(downloads, 1);
    assert.equal(told.at(-1), { loaded: MODEL.length, total: MODEL.length });
  }
});

test('what cannot be downloaded or kept is not in the cache', async () => {
  const url = 'https://example.org/model.gguf';
  const cache = cacheOf(true);
  const fetchOf = (response: () => Response) => ({ cache, fetch: async () => response() });
  const cases: [code: string, response: () => Response][] = [
    ['file-not-found', () => new Response('no', { status: 404 })],
    ['network-failed', () => new Response('no', { status: 502 })],
    ['network-failed', () => new Response(streamOf(MODEL, { fails: true }))],
  ];
  for (const [code, answer] of cases) {
    assert.is((await errorOf(() => cached(url, fetchOf(answer)))).code, code);
    assert.is(cache.kept.size, 0);
  }
  const full: CacheLike = {
    match: async () => undefined,
    put: async () => {
      throw new DOMException('no room', 'QuotaExceededError');
    },
  };
  const error = await errorOf(() => cached(url, { ...fetchOf(() => new Response(MODEL)), cache: full }));
  assert.is(error.code, 'file-unwritable');
});

test('a source can be estimated and then opened', async () => {
  const { bucket } = bucketOf(() => MODEL);
  const source = await r2(bucket, 'key');
  assert.ok((await estimate(source)).fits);
  assert.is(await logitsHash(source), EXPECTED);
});

test.run();
