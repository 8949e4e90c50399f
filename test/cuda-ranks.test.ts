// A model on several GPUs of one process: the addon as it is, behind it a driver of several devices and an NCCL without a GPU
// (gpu-plugin/mock).

import { readdirSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { buildMockLibrary, type MockOptions } from '../gpu-plugin/build.ts';
import { CudaError, type Device, openDevices } from '../gpu-plugin/index.ts';
import type { Backend } from '../host/backend.ts';
import { buildModel } from '../host/build-model.ts';
import { readModelFile } from '../host/checkpoint.ts';
import { Cuda } from '../host/cuda.ts';
import { Here } from '../host/here.ts';
import { open } from '../host/index.ts';
import { Llama, type LlamaLimits } from '../host/llama.ts';
import { FirstLlama, Gpus } from '../host/ranks/gpus.ts';
import { shareOf } from '../host/ranks/share.ts';
import { openSource } from '../host/sources.ts';
import { loadWeights } from '../host/weights.ts';
import { GOLDEN_IDS, sequence } from './support/golden.ts';
import { canBuildMock, cudaOnMock, freeBytes, mockOptions, withMock, withVariable } from './support/gpu.ts';
import { type Feed, llamaOf, runTogether } from './support/models.ts';
import { hashOf } from './support/numbers.ts';
import { type TinyModelOptions, tinyModel } from './support/tiny-model.ts';

const test = suite('several GPUs (mock)');

/** Devices that exchange numbers. @param without a function that NCCL lacks */
function connected(count: number, options: MockOptions = {}, without?: string): Promise<Device[]> {
  const mock = mockOptions(options);
  const nccl = buildMockLibrary('nccl', mock.library!, without);
  return withVariable('CRIA_NCCL', nccl, () => withMock('DEVICES', count, () => openDevices(count, mock)));
}

/** They as backends. */
async function gpus(count: number, options: MockOptions = {}): Promise<Cuda[]> {
  const devices = await connected(count, options);
  try {
    return devices.map(device => new Cuda(device));
  } catch (error) {
    for (const device of devices) device.close();
    throw error;
  }
}

/** A model whose rows several backends share, below the public interface. */
async function sharedLlama(
  backends: Backend[],
  model: Uint8Array,
  limits: Partial<LlamaLimits> = {},
): Promise<Llama> {
  const source = await openSource(model);
  const file = await readModelFile(source);
  const { contextLength } = file.config;
  const all: LlamaLimits = { contextLength, slots: 1, cache: 'f32', batch: 64, outputs: 64, ...limits };
  const ranks: ConstructorParameters<typeof Llama>[] = [];
  for (const [rank, backend] of backends.entries()) {
    const share = shareOf(file.config, rank, backends.length);
    ranks.push([backend, file.config, await loadWeights(backend, file, source, { share }), all, share]);
  }
  const [first, ...others] = ranks;
  return new FirstLlama(
    others.map(rank => new Llama(...rank)),
    ...first!,
  );
}

async function openTiny(place: Here | Gpus, options: TinyModelOptions = {}) {
  const source = await openSource(tinyModel(options));
  return buildModel(place, await readModelFile(source), source, undefined, 0, { threads: 0 });
}

/** What `run` throws. */
async function failureOf(run: () => unknown): Promise<Error & { code?: string }> {
  try {
    await run();
  } catch (error) {
    return error as Error;
  }
  throw new Error('it did not fail');
}

const FEEDS: Feed[][] = [
  [{ ids: GOLDEN_IDS.slice(0, 20), slot: 0, chunk: 20 }],
  [{ ids: GOLDEN_IDS.slice(0, 3), slot: 1, chunk: 1 }],
  [2, 9, 4].map((chunk, slot) => ({ ids: sequence(slot, 4 + 4 * slot), slot, chunk })),
];

/** Groups that are whole, that are split, and ranks without a head; rows that no number of ranks divides. */
const CASES: { options: TinyModelOptions; cache: LlamaLimits['cache']; ranks: number[] }[] = [
  { options: { dtype: 'F32' }, cache: 'f32', ranks: [2, 5] },
  { options: { dtype: 'Q8_0', nHeads: 2, nKvHeads: 1, hiddenDim: 96 }, cache: 'q8_0', ranks: [2, 3] },
  { options: { dtype: 'Q4_0', vocabSize: 301 }, cache: 'f16', ranks: [3] },
  { options: { dtype: 'BF16', nHeads: 2, nKvHeads: 2, tied: true }, cache: 'f32', ranks: [3] },
];

for (const { options, cache, ranks } of CASES) {
  test(`${JSON.stringify(options)}, ${cache} cache: the same bits on ${ranks} GPUs as on one`, async () => {
    const model = tinyModel(options);
    const all = async (llama: Llama) => {
      const hashes: string[] = [];
      for (const feeds of FEEDS) {
        const logits = await runTogether(llama, feeds);
        assert.ok(logits.every(row => row.every(Number.isFinite)));
        hashes.push(...logits.map(hashOf));
      }
      llama.dispose();
      return hashes;
    };
    const limits = { cache, slots: 3 };
    const expected = await all(await llamaOf(cudaOnMock(), model, limits));
    for (const count of ranks)
      assert.equal(await all(await sharedLlama(await gpus(count), model, limits)), expected, `${count} GPUs`);
  });
}

test('zeros keep their signs, and numbers that are none their bits', async () => {
  const bits = [0x8000_0000, 0x7fc0_1234, 0xff80_0000, 1];
  const backends = await gpus(2);
  const outs = backends.map((b, rank) => {
    const [out, part] = [b.allocF32(8), b.allocF32(4)];
    b.writeI32(part, rank === 0 ? bits : [5, 6, 7, 8]);
    b.gather(out, part, 2, 4, 2 * rank, 2);
    return out;
  });
  const read = await Promise.all(backends.map((b, rank) => b.readI32(outs[rank]!, 8)));
  const expected = Int32Array.of(...bits.slice(0, 2), 5, 6, ...bits.slice(2), 7, 8);
  for (const ints of read) assert.equal(ints, expected);
  for (const b of backends) b.dispose();
});

test('what ranks have recorded runs when it is replayed', async () => {
  const devices = await connected(2);
  const words = [
    [1, 2],
    [10, 20],
  ];
  const addresses = devices.map((device, rank) => {
    const address = device.allocate(8);
    device.write(address, new Uint8Array(Int32Array.from(words[rank]!).buffer));
    device.beginRecording();
    device.sum(address, 2);
    return { address, recording: device.endRecording() };
  });
  for (const times of [1, 2]) {
    const read = devices.map((device, rank) => {
      const { address, recording } = addresses[rank]!;
      device.replay(recording);
      return device.read(address, 8);
    });
    for (const bytes of await Promise.all(read))
      assert.equal(new Int32Array(bytes.buffer), Int32Array.of(11 * times, 22 * times));
  }
  for (const device of devices) device.close();
});

test('text, and a cache that is saved on two GPUs and goes on with one and with three', async () => {
  const ids: number[][] = [];
  let saved: Uint8Array | undefined;
  for (const count of [2, 1, 3]) {
    const model = await openTiny(count === 1 ? new Here(cudaOnMock()) : new Gpus(await gpus(count)));
    assert.is(model.info.backend, 'cuda');
    assert.ok(model.info.bytes.total > 0);
    if (saved) assert.is((await model.restoreCache(saved)).length, 6);
    const prompt = saved ? [1, 5, 9, ...ids[0]!] : [1, 5, 9];
    const [generation] = await model.generateBatch([prompt], { seed: 3, maxTokens: 4 });
    ids.push([...generation!.ids]);
    const cache = await model.saveCache();
    saved ??= cache;
    await model.close();
  }
  assert.equal(ids[1], ids[2]);
});

test('a prompt that is given up leaves a cache that can be saved', async () => {
  const llama = await sharedLlama(await gpus(2), tinyModel());
  llama.forward({ tokens: [1, 2, 3], slots: [0, 0, 0], positions: [0, 1, 2] });
  const { nKvHeads, headDim } = llama.config;
  const rows = await llama.readCache(0, 0, nKvHeads - 1, 0, 3);
  assert.is(rows.length, 3 * headDim * 4);
  assert.ok(new Float32Array(rows.slice().buffer).every(Number.isFinite));
  llama.dispose();
});

test('a rank that fails fails the call, on every rank and at once', async () => {
  const batch = { tokens: [1, 2], slots: [0, 0], positions: [0, 1] };
  const failures: Record<
    string,
    { run: (llama: Llama, backends: Cuda[]) => Promise<unknown>; message: RegExp }
  > = {
    'NCCL refuses': {
      run: (llama, [first]) =>
        withMock('NCCL_RANK', 1, () => {
          llama.forward(batch);
          return first!.readF32(llama.logits([1]), 1);
        }),
      message: /ncclAllReduce: unhandled system error/,
    },
    'the driver refuses': {
      run: (llama, [first, second]) => {
        const x = second!.allocF32(1);
        second!.writeF32(x, [1, 2]);
        llama.forward(batch);
        return first!.readF32(llama.logits([1]), 1);
      },
      message: /cuMemcpyHtoD: CUDA_ERROR_INVALID_VALUE/,
    },
    'a kernel fails': {
      run: (llama, [first, second]) => {
        llama.forward(batch);
        second!.add(second!.allocF32(1), 8, 8, 1);
        return first!.readF32(llama.logits([1]), 1);
      },
      message: /cuStreamSynchronize: CUDA_ERROR_LAUNCH_FAILED/,
    },
  };
  for (const [name, { run, message }] of Object.entries(failures)) {
    const before = freeBytes();
    const backends = await gpus(2);
    const llama = await sharedLlama(backends, tinyModel());
    const from = performance.now();
    for (const error of [
      await failureOf(() => run(llama, backends)),
      await failureOf(() => backends[1]!.readI32(llama.weights.outputNorm.buf, 1)),
    ]) {
      assert.is(error.code, 'gpu-failed', name);
      assert.match(error.message, message, name);
    }
    assert.ok(performance.now() - from < 10_000, name);
    llama.dispose();
    assert.is(freeBytes(), before, name);
  }
});

test('a rank that nobody calls is missed', async () => {
  const [first, second] = (await gpus(2)) as [Cuda, Cuda];
  const [out, part] = [first.allocF32(4), first.allocF32(2)];
  first.writeF32(part, [1, 2]);
  first.gather(out, part, 1, 4, 0, 2);
  const error = await withMock('NCCL_SECONDS', 1, () => failureOf(() => first.readF32(out, 4)));
  assert.match(error.message, /rank 0 of 2 waits for the others/);
  first.dispose();
  second.dispose();
});

test('opens and closes, also in the middle of a call, leave nothing', async () => {
  const before = freeBytes();
  const threads = () => readdirSync('/proc/self/task').length;
  const first = threads();
  for (let i = 0; i < 10; i++) {
    const llama = await sharedLlama(await gpus(3), tinyModel());
    llama.forward({ tokens: [1], slots: [0], positions: [0] });
    const logits = llama.backend.readF32(llama.logits([0]), 1).then(
      () => 'read',
      (error: { code: string }) => error.code,
    );
    if (i % 2 === 0) assert.is(await logits, 'read');
    llama.dispose();
    assert.ok(['read', 'closed'].includes(await logits));
  }
  assert.is(freeBytes(), before);
  assert.ok(threads() <= first + 4, `${threads()} threads, ${first} before`); // those of the engine's pool stay
});

test('each allocation that fails on any GPU is told, and nothing stays', async () => {
  const before = freeBytes();
  let allowed = 0;
  for (; ; allowed++) {
    const opened = await withMock('REFUSE', allowed, async () => {
      let backends: Cuda[] = [];
      try {
        backends = await gpus(2);
      } catch (error) {
        return error as Error;
      }
      return openTiny(new Gpus(backends)).catch((error: Error) => error);
    });
    if (!(opened instanceof Error)) {
      await opened.close();
      break;
    }
    assert.is((opened as { code?: string }).code, 'out-of-memory', opened.message);
  }
  assert.ok(allowed >= 4, `${allowed} allocations`);
  assert.is(freeBytes(), before);
});

test('what is missing is told: what was tried, needed and found, and what to do', async () => {
  const before = freeBytes();
  const expect = async (code: string, message: RegExp, use: () => Promise<unknown>) => {
    const error = await failureOf(use);
    assert.instance(error, CudaError);
    assert.is(error.code, code);
    assert.match(error.message, message);
  };
  const two = () => withMock('DEVICES', 2, () => openDevices(2, mockOptions()));
  await expect('no-nccl', /NCCL: expected NCCL 2, .* got none: cannot open .* CRIA_NCCL/, two);
  await expect('no-nccl', /got .*lib\/libnccl\.so\.2: cannot open/, () =>
    withVariable('CRIA_NCCL', '/', two),
  );
  await expect('no-nccl', /libnccl\.so without ncclAllReduce/, () => connected(2, {}, 'ncclAllReduce'));
  await expect('failed', /ncclCommInitAll: unhandled system error/, () =>
    withMock('NCCL_INIT', 2, () => connected(2)),
  );
  await expect('no-device', /1 devices, asked for number 1/, () => openDevices(2, mockOptions()));
  assert.is(freeBytes(), before);
  for (const backend of ['wasm', 'auto', 'reference'] as const) {
    const error = await failureOf(() => open(tinyModel(), { backend, gpus: 2 }));
    assert.is(error.code, 'option-range');
    assert.match(error.message, /open: gpus: expected backend: 'cuda', got/);
  }
  assert.is((await failureOf(() => open(tinyModel(), { backend: 'cuda', gpus: 0 }))).code, 'option-range');
});

const BUGS: Record<string, NonNullable<MockOptions['plant']>> = {
  'the part of a rank beyond its columns': {
    file: 'gather.cu',
    replace: 'j >= 0 && j < count',
    by: 'j < count',
  },
  'no zeros where other ranks have numbers': {
    file: 'gather.cu',
    replace: 'if (i < width) ',
    by: 'if (j >= 0 && j < count) ',
  },
  'an end of a row that is left out': { file: 'gather.cu', replace: 'i < width', by: 'i < width - 1' },
  'a row of a table that another rank holds': {
    file: 'embedding.cu',
    replace: 'row >= 0 && row < rows',
    by: 'row < rows',
  },
  'a row behind the end of a part of a table': {
    file: 'embedding.cu',
    replace: 'row >= 0 && row < rows',
    by: 'row >= 0 && row < 2 * rows',
  },
};

for (const [name, plant] of Object.entries(BUGS)) {
  test(`planted: ${name}`, async () => {
    const run = async (llama: Llama) => {
      const [logits] = await runTogether(llama, [{ ids: GOLDEN_IDS.slice(0, 10), slot: 0, chunk: 10 }]);
      return hashOf(logits!);
    };
    const expected = await run(await llamaOf(cudaOnMock(), tinyModel()));
    const llama = await sharedLlama(await gpus(2, { plant }), tinyModel());
    try {
      assert.is.not(await run(llama), expected, 'nobody saw it');
    } catch (error) {
      assert.is((error as { code?: string }).code, 'gpu-failed');
    } finally {
      llama.dispose();
    }
  });
}

if (canBuildMock('several GPUs')) test.run();
