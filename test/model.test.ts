// Whole models without any file from outside: the same bits however a sequence is cut up and whatever stands beside
// it, and the reference's logits within the error of f32.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Backend } from '../host/backend.ts';
import { readModelFile } from '../host/checkpoint.ts';
import { quantize } from '../host/index.ts';
import { Reference } from '../host/reference.ts';
import { openSource } from '../host/sources.ts';
import { BACKENDS } from './support/backends.ts';
import { FLIPS, GOLDEN, GOLDEN_IDS, sequence } from './support/golden.ts';
import { type Feed, llamaOf, runTogether, tinyLlama } from './support/models.ts';
import { hashOf, nmse } from './support/numbers.ts';
import { tinyModel } from './support/tiny-model.ts';

function modelSuite(name: string, make: () => Promise<Backend>): void {
  const test = suite(`models on ${name}`);
  const ids = GOLDEN_IDS;

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
