// Sampling: the kernels against the reference, the reference against distributions known in closed form.

import { suite, test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Backend } from '../host/backend.ts';
import { Random } from '../host/random.ts';
import { Reference } from '../host/reference.ts';
import { Sampler, samplerBuffers } from '../host/sampler.ts';
import { BACKENDS } from './support/backends.ts';
import { gpuBackends } from './support/gpu.ts';
import { uniform } from './support/tiny-model.ts';

interface Cut {
  temperature: number;
  topK: number;
  topP: number;
  minP: number;
}

async function draw(backend: Backend, logits: number[], cut: Cut, u: number): Promise<number> {
  const buf = backend.allocF32(logits.length);
  backend.writeF32(buf, logits);
  const id = backend.allocI32(1);
  backend.sample(id, buf, logits.length, cut.temperature, cut.topK, cut.topP, cut.minP, u);
  return (await backend.readI32(id, 1))[0]!;
}

function samplingSuite(name: string, make: () => Promise<Backend>): void {
  const test = suite(`sampling on ${name}`);

  test('draws what the reference draws', async () => {
    const backend = await make();
    const reference = new Reference();
    const random = uniform(3);
    const pick = <T>(values: T[]): T => values[Math.floor((random() + 1) * 0.5 * values.length)]!;
    let differing = 0;
    for (let i = 0; i < 6000; i++) {
      const vocab = pick([1, 2, 3, 5, 16, 33, 200]);
      // whole numbers make many equal logits
      const coarse = i % 3 === 0;
      const logits = Array.from({ length: vocab }, () =>
        Math.fround(coarse ? Math.round(4 * random()) : 6 * random()),
      );
      const cut = {
        temperature: pick([0, 0.125, 0.75, 1, 2, 50]),
        topK: pick([0, 0, 1, 2, 40, vocab, vocab + 5]),
        topP: pick([0, 0.125, 0.5, 0.875, 1]),
        minP: pick([0, 0, 0.0625, 0.5, 1]),
      };
      const u = Math.floor((random() + 1) * 2 ** 23) / 2 ** 24;
      if ((await draw(backend, logits, cut, u)) !== (await draw(reference, logits, cut, u))) differing++;
    }
    // f32 weights may fall on the other side of a boundary that f64 ones touch
    assert.ok(differing <= 3, `${differing} of 6000 draws differ`);
  });

  test('the share of each token is its probability', async () => {
    const backend = await make();
    const p = [0.5, 0.25, 0.125, 0.0625, 0.0625];
    const logits = p.map(x => Math.log(x));
    const keptShares: [Cut, number[]][] = [
      [{ temperature: 1, topK: 0, topP: 1, minP: 0 }, p],
      [{ temperature: 0.5, topK: 0, topP: 1, minP: 0 }, p.map(x => x * x)],
      [{ temperature: 1, topK: 2, topP: 1, minP: 0 }, [0.5, 0.25, 0, 0, 0]],
      [{ temperature: 1, topK: 0, topP: 0.7, minP: 0 }, [0.5, 0.25, 0, 0, 0]],
      [{ temperature: 1, topK: 0, topP: 0.8, minP: 0 }, [0.5, 0.25, 0.125, 0, 0]],
      [{ temperature: 1, topK: 0, topP: 1, minP: 0.2 }, [0.5, 0.25, 0.125, 0, 0]],
      // topK leaves 2/3 and 1/3, of which topP 0.6 keeps the first
      [{ temperature: 1, topK: 2, topP: 0.6, minP: 0 }, [1, 0, 0, 0, 0]],
    ];
    for (const [cut, shares] of keptShares) {
      const draws = 4096;
      const counts = p.map(() => 0);
      for (let i = 0; i < draws; i++) counts[await draw(backend, logits, cut, (i + 0.5) / draws)]!++;
      const total = shares.reduce((a, b) => a + b);
      for (const [id, share] of shares.entries()) {
        const expected = (draws * share) / total;
        assert.ok(Math.abs(counts[id]! - expected) <= 2, `${JSON.stringify(cut)}: ${counts} for ${shares}`);
      }
    }
  });

  test('a seed gives the same tokens, another seed others', async () => {
    const text = async (seed: number) => {
      const backend = await make();
      const sampler = new Sampler(backend, samplerBuffers(backend, 50), 50, { seed, topK: 0, topP: 1 });
      const logits = backend.allocF32(50);
      const ids: number[] = [];
      for (let i = 0; i < 40; i++) {
        backend.writeF32(logits, new Float32Array(50));
        ids.push(await sampler.next(logits, ids));
      }
      return ids;
    };
    assert.equal(await text(7), await text(7));
    assert.not.equal(await text(7), await text(8));
    assert.not.equal(await text(7), await text(7 + 2 ** 32));
  });

  test('penalties look at the last tokens only, and biases apply', async () => {
    const next = async (options: object, history: number[]) => {
      const backend = await make();
      const logits = backend.allocF32(4);
      backend.writeF32(logits, [2, 1.9, 1.8, -1]);
      const sampler = new Sampler(backend, samplerBuffers(backend, 4), 4, { temperature: 0, ...options });
      return sampler.next(logits, history);
    };
    assert.is(await next({}, [0]), 0);
    assert.is(await next({ repeatPenalty: 1.2 }, [0]), 1);
    assert.is(await next({ repeatPenalty: 1.2 }, [0, 1]), 2);
    assert.is(await next({ repeatPenalty: 1.2, repeatLastN: 1 }, [0, 1]), 0);
    assert.is(await next({ repeatPenalty: 1.2, repeatLastN: 0 }, [0, 1]), 0);
    assert.is(await next({ repeatPenalty: 1.2, repeatLastN: -1 }, [0, ...Array(200).fill(3)]), 1);
    assert.is(await next({ frequencyPenalty: 0.06 }, [0]), 0);
    assert.is(await next({ frequencyPenalty: 0.06 }, [0, 0]), 1);
    assert.is(await next({ presencePenalty: 0.06 }, [0, 0]), 0);
    assert.is(await next({ presencePenalty: 0.15 }, [0]), 1);
    assert.is(await next({ logitBias: { 3: 4 } }, []), 3);
    assert.is(await next({ logitBias: { 0: -100, 1: -100 } }, []), 2);
  });

  test.run();
}

const ALL = { ...BACKENDS, reference: async () => new Reference(), ...gpuBackends(2 ** 24) };
for (const [name, make] of Object.entries(ALL)) samplingSuite(name, make);

test('the generator is xoshiro128**', () => {
  // the first outputs from the state 1 2 3 4, as the tests of Rust's rand_xoshiro give them
  const random = new Random([1, 2, 3, 4]);
  const expected = [
    11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804,
  ];
  assert.equal(
    expected.map(() => random.bits()),
    expected,
  );
});

test('its numbers fill [0, 1) evenly', () => {
  const bins = new Array(64).fill(0);
  const random = Random.seeded(0);
  for (let i = 0; i < 64000; i++) bins[Math.floor(random.next() * 64)]++;
  const chi2 = bins.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
  // 63 degrees of freedom: 1 in 10,000 generators would exceed 110
  assert.ok(chi2 < 110, `${chi2}`);
});

test.run();
