// The loop of training: ten fixed losses, the same bits for any number of ranks and for a run that was stopped, what ends
// a run, checkpoints as bytes.

import { createHash } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Random } from '../host/random.ts';
import { decodeCheckpoint, encodeCheckpoint } from '../host/train/checkpoint-file.ts';
import { latestCheckpoint, saveCheckpoint } from '../host/train/checkpoints.ts';
import type { TrainOptions } from '../host/train/config.ts';
import { createTrainer } from '../host/train/index.ts';
import { initialWeights } from '../host/train/initial.ts';
import { normal } from '../host/train/normal.ts';
import { Parameters } from '../host/train/parameters.ts';
import { memoryRun } from '../host/train/run-store.ts';
import { cosineOfHalfTurns, rateAt } from '../host/train/schedule.ts';
import { Diverged, type Trainer } from '../host/train/trainer.ts';
import { hashOf } from './support/numbers.ts';
import { TINY_LOSSES, TINY_RUN, TINY_VOCABULARY, TINY_WEIGHTS, tinyData } from './support/train-loop.ts';

const start = (options: Partial<TrainOptions> = {}, ranks = 1) => {
  const run = { ...TINY_RUN, ...options };
  return createTrainer(run, tinyData(run), { vocabSize: TINY_VOCABULARY, ranks });
};

async function advance(trainer: Trainer, steps: number): Promise<number[]> {
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) losses.push((await trainer.advance()).loss);
  return losses;
}

/** Of all that a run is. */
async function hashOfState(trainer: Trainer): Promise<string> {
  const { step, weights, m, v, recent } = await trainer.state();
  return createHash('sha256')
    .update([step, hashOf(weights), hashOf(m), hashOf(v), ...recent].join())
    .digest('hex');
}

test('ten fixed losses and the bits of the weights', async () => {
  const trainer = await start();
  const losses = await advance(trainer, 10);
  assert.equal(losses, TINY_LOSSES);
  assert.is(hashOf((await trainer.state()).weights), TINY_WEIGHTS);
  await trainer.close();
});

test('a backend that is none, and a GPU where there can be none, are refused', async () => {
  const run = (create: typeof createTrainer, backend: 'cuda') =>
    create(TINY_RUN, tinyData(TINY_RUN), { vocabSize: TINY_VOCABULARY, backend }).catch(error => error);
  assert.is((await run(createTrainer, 'gpu' as never)).code, 'option-range');
  for (const precision of ['bf16', 'f16'] as never[]) {
    const options = { vocabSize: TINY_VOCABULARY, precision };
    const error = await createTrainer(TINY_RUN, tinyData(TINY_RUN), options).catch(error => error);
    assert.is(error.code, 'option-range');
    assert.match(error.message, /precision: expected 'f32', or 'bf16' with backend 'cuda'/);
  }
  const { createTrainer: inPages } = await import('../host/entries/train.ts');
  assert.is((await run(inPages, 'cuda')).code, 'gpu-unavailable');
});

test('the rule is learned', async () => {
  const trainer = await start({ steps: 150 });
  const before = await trainer.validate();
  await advance(trainer, 150);
  const after = await trainer.validate();
  assert.ok(before > 3 && after < 1, `${before} to ${after}`);
  await trainer.close();
});

test('1, 2, 3 and 8 ranks give the same bits', async () => {
  const hashes: string[] = [];
  for (const ranks of [1, 2, 3, 8]) {
    const trainer = await start({}, ranks);
    const losses = await advance(trainer, 4);
    hashes.push([await hashOfState(trainer), ...losses, await trainer.validate()].join());
    await trainer.close();
  }
  assert.is(new Set(hashes).size, 1, hashes.join('\n'));
});

test('stopped and resumed at any step is never stopped', async () => {
  const whole = await start();
  for (let step = 1; step < 10; step++) {
    await advance(whole, 1);
    const config = whole.config;
    const bytes = await encodeCheckpoint({ config, llama: whole.llama, run: '', state: await whole.state() });
    const resumed = await start({}, step === 4 ? 2 : 1);
    // ranks that have other weights already
    await resumed.validate();
    resumed.restore((await decodeCheckpoint(bytes, 'checkpoint')).state);
    await advance(resumed, 10 - step);
    const expected = await start();
    await advance(expected, 10);
    assert.is(await hashOfState(resumed), await hashOfState(expected), `at ${step}`);
    await Promise.all([resumed.close(), expected.close()]);
  }
  await whole.close();
});

test('a micro-batch of 2 sequences is not two of 1, and the seed counts', async () => {
  const losses = async (options: Partial<TrainOptions>) => {
    const trainer = await start(options);
    const first = await advance(trainer, 3);
    await trainer.close();
    return first.join();
  };
  const usual = await losses({});
  assert.is.not(await losses({ seed: 8 }), usual);
  assert.is(await losses({ recompute: true }), usual);
});

test('what is no number ends the run and changes nothing', async () => {
  const trainer = await start();
  await advance(trainer, 2);
  const state = await trainer.state();
  trainer.restore({ ...state, weights: state.weights.map((x, i) => (i === 5 ? Number.NaN : x)) });
  const before = await hashOfState(trainer);
  const error = await trainer.advance().then(
    () => assert.unreachable(),
    error => error,
  );
  assert.instance(error, Diverged);
  assert.is(error.code, 'diverged');
  assert.is(error.report.step, 3);
  assert.is(error.losses.length, 5);
  assert.is(await hashOfState(trainer), before);
  await trainer.close();
});

test('a spike ends the run, with the weights before it', async () => {
  const trainer = await start({ steps: 100, spike: 1.5 });
  await advance(trainer, 30);
  const state = await trainer.state();
  trainer.restore({ ...state, weights: state.weights.map(x => 30 * x) });
  const before = await hashOfState(trainer);
  try {
    await trainer.advance();
    assert.unreachable();
  } catch (error) {
    assert.instance(error, Diverged);
    assert.match((error as Error).message, /at most 1\.5/);
  }
  assert.is(await hashOfState(trainer), before);
  await trainer.close();
});

test('the schedule: warm-up, half a cosine, a tenth of the peak', () => {
  const schedule = { learningRate: 3e-4, warmup: 100, finalRate: 0.1, steps: 1000 };
  assert.is(rateAt(schedule, 1), 3e-4 / 100);
  assert.is(rateAt(schedule, 100), 3e-4);
  assert.is(rateAt(schedule, 1000), 3e-4 * 0.1);
  for (let step = 101; step < 1000; step += 7) {
    const exact = 3e-5 + (3e-4 - 3e-5) * 0.5 * (1 + Math.cos((Math.PI * (step - 100)) / 900));
    assert.ok(Math.abs(rateAt(schedule, step) - exact) < 1e-14 * exact, String(step));
  }
  for (let i = 0; i <= 1000; i++) {
    assert.ok(Math.abs(cosineOfHalfTurns(i / 1000) - Math.cos((Math.PI * i) / 1000)) < 1e-15, String(i));
  }
});

test('normal numbers: moments and the shares of a normal distribution', () => {
  const random = Random.seeded(3);
  const values = Array.from({ length: 200_000 }, () => normal(random));
  const mean = (of: (x: number) => number) => values.reduce((sum, x) => sum + of(x), 0) / values.length;
  assert.ok(Math.abs(mean(x => x)) < 0.01);
  assert.ok(Math.abs(mean(x => x * x) - 1) < 0.01);
  assert.ok(Math.abs(mean(x => x ** 4) - 3) < 0.08);
  for (const [bound, share] of [
    [1, 0.682689],
    [2, 0.9545],
    [3, 0.9973],
  ] as const) {
    assert.ok(Math.abs(mean(x => (Math.abs(x) < bound ? 1 : 0)) - share) < 0.003, `within ${bound}`);
  }
});

test('the first weights: norms 1, matrices 0.02, residual ones smaller', () => {
  const parameters = new Parameters(
    {
      dim: 64,
      hiddenDim: 128,
      nLayers: 8,
      nHeads: 4,
      nKvHeads: 4,
      headDim: 16,
      vocabSize: 100,
      contextLength: 8,
      normEps: 1e-5,
      ropeTheta: 1e4,
      ropeScale: 1,
    },
    false,
  );
  const values = initialWeights(parameters, 8, 1);
  for (const { name, norm, first, rows, cols } of parameters.list) {
    const own = values.subarray(first, first + rows * cols);
    const deviation = Math.sqrt(own.reduce((sum, x) => sum + x * x, 0) / own.length);
    const expected = norm ? 1 : /attn_output|ffn_down/.test(name) ? 0.02 / 4 : 0.02;
    assert.ok(Math.abs(deviation / expected - 1) < 0.05, `${name}: ${deviation}`);
  }
});

test('torn checkpoints are recognised, and the one before is used', async () => {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  const store = memoryRun(files);
  assert.is(await latestCheckpoint(store), undefined);
  const trainer = await start();
  for (let step = 1; step <= 5; step++) {
    await advance(trainer, 1);
    const { config, llama } = trainer;
    await saveCheckpoint(store, { config, llama, run: 'x', state: await trainer.state() }, 3);
  }
  assert.equal(
    [...files.keys()].sort(),
    [3, 4, 5].map(step => `step-0000000${step}.ckpt`),
  );
  const last = files.get('step-00000005.ckpt')!;
  const damages: [string, Uint8Array<ArrayBuffer>][] = [
    ['empty', new Uint8Array()],
    ['half', last.slice(0, last.length >> 1)],
    ['one byte short', last.slice(0, -1)],
    ['one byte more', Uint8Array.of(...last, 0)],
    ...[0, 9, 13, 40, 5000, last.length - 1].map((at): [string, Uint8Array<ArrayBuffer>] => [
      `byte ${at}`,
      last.map((byte, i) => (i === at ? byte ^ 16 : byte)),
    ]),
  ];
  for (const [what, damaged] of damages) {
    files.set('step-00000005.ckpt', damaged);
    const found = await latestCheckpoint(store).catch(error => {
      assert.is(what, 'byte 9', `${error}`);
      assert.is(error.code, 'bad-version');
      return undefined;
    });
    if (found) {
      assert.is(found.name, 'step-00000004.ckpt', what);
      assert.is(found.torn[0]?.error.code, 'bad-checkpoint');
    }
  }
  await trainer.close();
});

test.run();
