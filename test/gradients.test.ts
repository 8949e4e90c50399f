// Every gradient of the reference against finite differences in f64: of each op, and of a whole model.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Buf } from '../host/backend.ts';
import { TrainLlama } from '../host/train/llama.ts';
import { TrainReference } from '../host/train/reference.ts';
import { uniform } from './support/tiny-model.ts';
import { randomMicroBatch, SMALL_CONFIG, writeRandomWeights } from './support/train-models.ts';
import { SMALL, type TrainCase } from './support/train-ops.ts';

/** Largest difference, as a fraction of the array's largest gradient. */
const WITHIN = 1e-6;
/** The step of the differences: its square is the error of the formula, its inverse enlarges that of the function. */
const H = 1e-4;

/** The reference, which reads without rounding. */
class Exact extends TrainReference {
  override async readF32(buf: Buf, count: number): Promise<Float32Array> {
    return this.values(buf).slice(0, count) as unknown as Float32Array;
  }
}

/** (f(x + h) − f(x − h)) / 2h by number i, with the error of h² taken out (Richardson). */
async function slope(values: Float64Array, i: number, f: () => number | Promise<number>): Promise<number> {
  const x = values[i]!;
  const difference = async (h: number) => {
    values[i] = x + h;
    const above = await f();
    values[i] = x - h;
    const below = await f();
    values[i] = x;
    return (above - below) / (2 * h);
  };
  return (4 * (await difference(H)) - (await difference(2 * H))) / 3;
}

/** The largest difference of two arrays as a fraction of the largest number, or of 1 where that is smaller. */
function worst(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  const size = Math.max(1, ...Array.from(expected, Math.abs));
  return Math.max(0, ...Array.from(expected, (value, i) => Math.abs(actual[i]! - value))) / size;
}

async function check(kase: TrainCase): Promise<void> {
  const backend = new TrainReference();
  const random = uniform(11);
  const fresh = (count: number, scale: number): Buf => {
    const buf = backend.allocF32(count);
    backend.writeF32(
      buf,
      Float64Array.from({ length: count }, () => scale * random()),
    );
    return buf;
  };
  const of = new Map<string, Buf>();
  for (const [name, { count, scale }] of Object.entries(kase.inputs)) of.set(name, fresh(count, scale));
  const dOut = fresh(kase.outputs, 1);
  const forward = () => kase.run(backend, name => of.get(name)!);
  const loss = () => {
    const out = backend.values(forward().out);
    return backend.values(dOut).reduce((sum, d, i) => sum + d * out[i]!, 0);
  };
  const d = new Map<string, Buf>();
  const before = new Map<string, Float64Array>();
  for (const [name, { count }] of Object.entries(kase.inputs)) {
    const buf = fresh(count, 1);
    d.set(name, buf);
    before.set(name, backend.values(buf).slice());
  }
  forward().backward(dOut, name => d.get(name)!);
  for (const [name, { count }] of Object.entries(kase.inputs)) {
    const held = before.get(name)!;
    const actual = backend.values(d.get(name)!).map((g, i) => g - (kase.inPlace ? 0 : held[i]!));
    const x = backend.values(of.get(name)!);
    const expected: number[] = [];
    for (let i = 0; i < count; i++) expected.push(await slope(x, i, loss));
    const error = worst(actual, expected);
    assert.ok(error < WITHIN, `${kase.op} ${kase.shape}, d ${name}: ${error}`);
  }
}

for (const op of new Set(SMALL.map(({ op }) => op))) {
  test(`finite differences: ${op}`, async () => {
    for (const kase of SMALL.filter(c => c.op === op)) await check(kase);
  });
}

for (const tied of [false, true]) {
  test(`finite differences: three layers with grouped queries, ${tied ? 'tied' : 'untied'}`, async () => {
    const backend = new Exact();
    const model = new TrainLlama(backend, SMALL_CONFIG, { B: 2, T: 5, tied, mostLogits: 60 });
    writeRandomWeights(model, 3);
    const batch = randomMicroBatch(model, 5);
    await model.backward(batch);
    const gradient = backend.values(model.gradient).slice();
    const weights = backend.values(model.weights);
    const loss = async () => {
      const losses = await model.losses(batch);
      return losses.reduce((sum, value, i) => sum + batch.coef[i]! * value, 0);
    };
    const random = uniform(9);
    for (const { name, first, rows, cols } of model.parameters.list) {
      const largest = gradient
        .subarray(first, first + rows * cols)
        .reduce((most, g) => Math.max(most, Math.abs(g)), 0);
      assert.ok(largest > 1e-4, `${name} has a gradient`);
      for (let draw = 0; draw < 6; draw++) {
        const i = first + Math.floor((random() + 1) * 0.5 * rows * cols);
        const expected = await slope(weights, i, loss);
        const error = Math.abs(gradient[i]! - expected) / largest;
        assert.ok(error < WITHIN, `${name}[${i - first}]: ${gradient[i]} instead of ${expected}`);
      }
    }
  });
}

test.run();
