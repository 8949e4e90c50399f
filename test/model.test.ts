// Whole models without any file from outside: the same bits however a sequence is cut up and whatever stands beside
// it, and the reference's logits within the error of f32.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Backend } from '../host/backend.ts';
import { readModelFile } from '../host/checkpoint.ts';
import type { CacheDType } from '../host/dtype.ts';
import { quantize } from '../host/quantize/index.ts';
import { Reference } from '../host/reference.ts';
import { openSource } from '../host/sources.ts';
import { BACKENDS } from './support/backends.ts';
import { type Feed, llamaOf, runTogether, tinyLlama } from './support/models.ts';
import { hashOf, nmse } from './support/numbers.ts';
import { type TinyModelOptions, tinyModel, uniform } from './support/tiny-model.ts';

/**
 * Bound for a model in which some activation, key or value lies so near the middle of two roundings that f32 and f64 round it to
 * different sides: from there on the two compute with different numbers. The wider a model the likelier.
 */
const FLIPS = 1e-5;

/**
 * sha256 of the logits of 60 ids on a tiny model, by options: the promise that every runtime and CPU gives the same
 * bits, written down. A kernel that changes them needs a reason, and says so in the changelog.
 */
const GOLDEN: { options: TinyModelOptions; cache?: CacheDType; hash: string; bound?: number }[] = [
  { options: { dtype: 'F32' }, hash: 'ccc5b1c437043573687469459ba08be27bd92f8f0a31fe305c43391c305b347b' },
  {
    options: { dtype: 'F16', tied: true },
    hash: '22594bd8bd2433455e094f100c1b557571e93c700d7c5644e1ee5d8fd950a301',
  },
  {
    options: { dtype: 'BF16', ropeTheta: 1e6 },
    hash: '53738e1495058d35fd6456397b4748a0e06552efc622734e212dc77466b075df',
  },
  {
    options: { dtype: 'Q8_0', ropeScale: 2 },
    hash: '9cc39267013acb92eb1baed70d15a7edbcd2c6c8c948cf1f8b6da6bca28f6541',
  },
  {
    options: { dtype: 'Q4_0', ropeFactors: [1, 2, 3, 4, 5, 6, 7, 8] },
    hash: 'f37c7f062c7d8b194eb20d6bf52daa7340c7d596e84fb035603d8fad8f0b295b',
  },
  { options: { dtype: 'Q4_1' }, hash: '02462f859f245ea3447d1dc32a631fe2ef0bab449fe4b9484006264599d52415' },
  { options: { dtype: 'Q5_0' }, hash: '524aea902bd3eab7bbdb56609aaea48a1bce41c5e27accbccc26174cca860187' },
  { options: { dtype: 'Q5_1' }, hash: '89f738fe13b0c81ff65abb1a58401f8ceb150ebdb007c2d66d014bf47bb6a930' },
  {
    options: { dtype: 'Q2_K' },
    hash: '383d7a1fcff3274888c6ef4eba1782b0b37cccb4e543e2ba5c8d6f9dbcfbd876',
    bound: FLIPS,
  },
  { options: { dtype: 'Q3_K' }, hash: '1e96a30094f754bbd5922da6c165de203ce49bcbbb25edcd7b58131ec38e1304' },
  {
    options: { dtype: 'Q4_K' },
    hash: '6eb416c5acb895cc5190225bb50b9f2b928e87df521c911ae14335d7e53e07a7',
    bound: FLIPS,
  },
  { options: { dtype: 'Q5_K' }, hash: '2073014a8e608af89d5307a8feb3ce3596d43c32ab85d723a4d5a0c4d9cb7892' },
  {
    options: { dtype: 'Q6_K' },
    hash: '2c60001af578e63602c909de81dcbb7d1053bd034eb9d70ce288cf957134ae63',
    bound: FLIPS,
  },
  {
    options: { dtype: 'IQ4_NL' },
    hash: 'a36ddc3d5df6733fcb3dbceed9f52fb02c440b9e35de3042f40d40d857ba7baf',
    bound: FLIPS,
  },
  { options: { dtype: 'IQ4_XS' }, hash: 'a2e270ade80752c21eac66abefa9359e4e069c1dfb9036b1f6c2d4fd17968846' },
  {
    options: { dtype: 'F32' },
    cache: 'f16',
    hash: '39d16abd56d082e3b5a576fa2b871875b16f1e98570e14b3bca706bc3cc927b8',
    bound: FLIPS,
  },
  {
    options: { dtype: 'F32', dim: 128, nHeads: 4, nKvHeads: 2 },
    cache: 'q8_0',
    hash: 'a10e10f4867541d7172282829c807e6ea06ae7d0c7a7f9a50d7c111465f45f01',
    bound: FLIPS,
  },
];

function sequence(seed: number, length: number): number[] {
  const random = uniform(seed);
  return [1, ...Array.from({ length: length - 1 }, () => 3 + Math.floor((random() + 1) * 140))];
}

function modelSuite(name: string, make: () => Promise<Backend>): void {
  const test = suite(`models on ${name}`);
  const ids = sequence(5, 60);

  for (const { options, cache = 'f32', hash, bound = 1e-10 } of GOLDEN) {
    const label = `${options.dtype}${options.tied ? ' tied' : ''}${cache === 'f32' ? '' : `, ${cache} cache`}`;
    const whole = async (backend: Backend) => {
      const [logits] = await runTogether(await tinyLlama(backend, options, { cache }), [
        { ids, slot: 0, chunk: 60 },
      ]);
      return logits!;
    };

    test(`${label}: within f32 error of the reference`, async () => {
      const expected = await whole(new Reference({ roundActivations: true }));
      const error = nmse(await whole(await make()), expected);
      assert.ok(error < bound, `NMSE ${error}`);
    });

    test(`${label}: golden bits`, async () => {
      assert.is(hashOf(await whole(await make())), hash);
    });

    test(`${label}: the same bits in any chunks`, async () => {
      const expected = await whole(await make());
      for (const chunk of [1, 2, 7, 31, 32, 33]) {
        const [actual] = await runTogether(await tinyLlama(await make(), options, { cache }), [
          { ids, slot: 0, chunk },
        ]);
        assert.is(hashOf(actual!), hashOf(expected), `chunks of ${chunk}`);
      }
    });

    test(`${label}: the same bits alone and in a batch`, async () => {
      const feeds: Feed[] = [1, 3, 5, 2, 9].map((chunk, i) => ({
        ids: sequence(i, 20 + 9 * i),
        slot: 4 - i,
        chunk,
      }));
      const together = await runTogether(await tinyLlama(await make(), options, { cache, slots: 5 }), feeds);
      for (const [i, feed] of feeds.entries()) {
        const [alone] = await runTogether(await tinyLlama(await make(), options, { cache }), [
          { ...feed, slot: 0 },
        ]);
        assert.is(hashOf(together[i]!), hashOf(alone!), `sequence ${i}`);
      }
    });
  }

  test('Q4_K_M: its mixture of types, within f32 error of the reference', async () => {
    const pieces: Uint8Array[] = [];
    const sink = { write: async (piece: Uint8Array) => void pieces.push(piece) };
    await quantize(tinyModel({ dim: 256, hiddenDim: 512, nLayers: 2 }), sink, { type: 'Q4_K_M' });
    const mixed = Buffer.concat(pieces);
    const file = await readModelFile(await openSource(mixed));
    const dtypes = new Set([...file.tensors.values()].map(({ dtype }) => dtype));
    assert.equal([...dtypes].sort(), ['f32', 'q4_k', 'q6_k']);
    const logits = async (backend: Backend) => {
      const [first] = await runTogether(await llamaOf(backend, mixed), [
        { ids: ids.slice(0, 8), slot: 0, chunk: 8 },
      ]);
      return first!;
    };
    const error = nmse(await logits(await make()), await logits(new Reference({ roundActivations: true })));
    assert.ok(error < FLIPS, `NMSE ${error}`);
  });

  test('an earlier sequence in the slot leaves no trace', async () => {
    const llama = await tinyLlama(await make());
    await runTogether(llama, [{ ids: sequence(8, 64), slot: 0, chunk: 64 }]);
    const [again] = await runTogether(llama, [{ ids, slot: 0, chunk: 60 }]);
    const [fresh] = await runTogether(await tinyLlama(await make()), [{ ids, slot: 0, chunk: 60 }]);
    assert.is(hashOf(again!), hashOf(fresh!));
  });

  test('a batch that does not fit is refused before anything runs', async () => {
    const llama = await tinyLlama(await make());
    const bad = [
      { tokens: [], slots: [], positions: [] },
      { tokens: [1, 2], slots: [0], positions: [0, 1] },
      { tokens: [-1], slots: [0], positions: [0] },
      { tokens: [llama.config.vocabSize], slots: [0], positions: [0] },
      { tokens: [1.5], slots: [0], positions: [0] },
      { tokens: [1], slots: [1], positions: [0] },
      { tokens: [1], slots: [0], positions: [llama.limits.contextLength] },
    ];
    for (const batch of bad) {
      assert.throws(
        () => llama.forward(batch),
        (error: Error) => error.name === 'OptionError',
        JSON.stringify(batch),
      );
    }
  });

  test.run();
}

for (const [name, make] of Object.entries(BACKENDS)) modelSuite(name, make);
