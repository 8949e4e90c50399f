// All of it on one host, as one object that can go through any pipe.

import type { Cria } from '../../host/exports.ts';
import { tinyModel } from '../support/tiny-model.ts';
import { type Bits, bitsOf } from './bits.ts';
import { casesOf, type Packaged } from './cases.ts';
import { codeOf, equal } from './check.ts';

export interface Result {
  bits: Bits;
  /** With two threads; undefined where none can share memory. */
  bitsOnTwo: Bits | undefined;
  /** Threads that the host took by itself. */
  threads: number;
  passed: string[];
  /** What went wrong, by case. */
  failed: Record<string, string>;
  tokensPerSecond: number;
}

/** About 6 million weights, so that a token is work. */
const SPEED = { dtype: 'Q8_0', dim: 256, hiddenDim: 768, nLayers: 6, nHeads: 8, nKvHeads: 8 } as const;
const SPEED_TOKENS = 100;

export async function conformance(cria: Packaged): Promise<Result> {
  const passed: string[] = [];
  const failed: Record<string, string> = {};
  for (const [name, run] of Object.entries(casesOf(cria))) {
    try {
      await run(cria);
      passed.push(name);
    } catch (error) {
      failed[name] = String((error as Error).stack ?? error);
    }
  }
  const two = await codeOf(async () => (await cria.open(tinyModel(), { threads: 2 })).close());
  if (two !== 'unsupported-runtime') equal(two, 'no error', 'two threads');
  return {
    bits: await bitsOf(cria, 'auto'),
    bitsOnTwo: two === 'no error' ? await bitsOf(cria, 2) : undefined,
    passed,
    failed,
    ...(await speed(cria)),
  };
}

async function speed(cria: Cria): Promise<{ threads: number; tokensPerSecond: number }> {
  const model = await cria.open(tinyModel({ ...SPEED, contextLength: 256 }));
  const options = { temperature: 0, maxTokens: SPEED_TOKENS, logitBias: { 1: -100, 2: -100 } };
  let best = 0;
  for (let i = 0; i < 5; i++) {
    const from = performance.now();
    for await (const _ of model.tokens('the', options));
    best = Math.max(best, (1000 * SPEED_TOKENS) / (performance.now() - from));
  }
  const { threads } = model.info;
  await model.close();
  return { threads, tokensPerSecond: Math.round(best) };
}

/** Opens a tiny model and generates a token: what a host does first. */
export async function firstToken(cria: Cria): Promise<string> {
  const model = await cria.open(tinyModel());
  const { value } = await model.tokens('the', { seed: 1, maxTokens: 1 }).next();
  await model.close();
  return JSON.stringify(value);
}
