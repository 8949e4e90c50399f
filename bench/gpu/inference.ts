// What a user of `open` gets of a GPU: decoding alone and in batches, a long prompt, and as many sequences as fit.

import { open } from 'cria';
import type { ByteSource } from '../../host/source.ts';
import { parseName } from '../make-model.ts';
import { median } from '../median.ts';
import { BOS, bytesPerToken, cacheBytes, EOS, makePrompt, promptMacs } from '../synthetic.ts';
import { modelSource } from './model-source.ts';
import { type Ceilings, type Session, tflopsOf } from './session.ts';

type Model = Awaited<ReturnType<typeof open>>;

const DECODED = 64;
const CHECKED = 16;
const PROMPT = 2048;
/** Tokens before those that are decoded in batches. */
const BEFORE = 512;
/** Of a request, in and out, where as many as fit run together. */
const REQUEST = { in: 128, out: 128 };
const MOST_SEQUENCES = 1024;
/** Weights and caches may take so much of what is free; activations and the driver's own the rest. */
const SHARE = 0.85;
const greedy = { temperature: 0, logitBias: { [BOS]: -100, [EOS]: -100 } };

interface Timed {
  index: number;
  ms: number;
}

/** Tokens a second between the first token of the sequence that began last and the last of the one that ended first. */
export function rateTogether(tokens: readonly Timed[]): number {
  const [first, last] = [new Map<number, number>(), new Map<number, number>()];
  for (const { index, ms } of tokens) {
    if (!first.has(index)) first.set(index, ms);
    last.set(index, ms);
  }
  const start = Math.max(...first.values());
  const end = Math.min(...last.values());
  return (1000 * tokens.filter(({ ms }) => ms > start && ms <= end).length) / (end - start);
}

async function generate(model: Model, prompts: number[][], maxTokens: number, samples = 1): Promise<Timed[]> {
  const tokens: Timed[] = [];
  const onToken = (_: unknown, index: number) => void tokens.push({ index, ms: performance.now() });
  await model.generateBatch(prompts, { ...greedy, maxTokens, samples, onToken });
  return tokens;
}

/** The median of `reps` after one that does not count; of fewer when the time is up. */
async function measured(
  session: Session,
  reps: number,
  measure: (rep: number) => Promise<number>,
): Promise<number> {
  let rates = [await measure(0)];
  for (let rep = 1; rep <= reps && session.left > 0; rep++) {
    const rate = await measure(rep);
    rates = rep === 1 ? [rate] : [...rates, rate];
  }
  return median(rates);
}

/** Tokens a second of `batch` sequences together, each behind the same `before` tokens; the bandwidth that this takes. */
export async function decode(
  session: Session,
  model: Model,
  { batch, before, reps }: { batch: number; before: number; reps: number },
): Promise<number> {
  return measured(session, reps, async rep => {
    const prompt = makePrompt(before, `decode ${batch} ${rep}`).ids;
    return rateTogether(await generate(model, [prompt], DECODED + 2, batch));
  });
}

/** Tokens a second of a prompt of `length`, to the first token that follows. */
export async function prompt(session: Session, model: Model, length: number, reps: number): Promise<number> {
  return measured(session, reps, async rep => {
    const { ids } = makePrompt(length, `prompt ${rep}`);
    const started = performance.now();
    const [token] = await generate(model, [ids], 1);
    return (1000 * length) / (token!.ms - started);
  });
}

/** How many of the tokens that one thread of the WASM backend draws the GPU draws too, up to the first that differs. */
export async function agreement(source: ByteSource, model: Model): Promise<number> {
  const { ids } = makePrompt(CHECKED, 'check');
  const drawn = async (from: Model) =>
    (await from.generateBatch([ids], { ...greedy, maxTokens: CHECKED }))[0]!.ids;
  const cpu = await open(source, { backend: 'wasm', kvCache: 'f16', contextLength: 2 * CHECKED, threads: 1 });
  const expected = await drawn(cpu);
  await cpu.close();
  const got = await drawn(model);
  const differs = expected.findIndex((id, i) => got[i] !== id);
  return differs < 0 ? CHECKED : differs;
}

/** Everything of one model. @param free bytes of the GPU before @param backend 'cuda', or another to try it */
export async function inference(
  session: Session,
  name: string,
  { reps, batches, free }: { reps: number; batches: readonly number[]; free: number },
  ceilings: Ceilings,
  backend: 'cuda' | 'wasm' = 'cuda',
): Promise<void> {
  const { shape, type } = parseName(name);
  const source = modelSource(name);
  const most = shape.contextLength ?? PROMPT;
  const weights = bytesPerToken(shape, type);
  let model: Model | undefined;
  const reopen = async (sequences: number, contextLength: number) => {
    await model?.close();
    model = await open(source, { backend, kvCache: 'f16', sequences, contextLength });
    return model;
  };
  const measure = (what: string, work: () => Promise<object>, line: object = {}) =>
    session.measure({ bench: 'inference', model: name, what, ...line }, work);

  await measure('load', async () => {
    const started = performance.now();
    await reopen(1, most);
    const loadMs = performance.now() - started;
    return { loadMs, GBs: source.size / 1e6 / loadMs };
  });
  if (!model) return;
  if (!shape.alike) {
    await measure('agreement', async () => ({ tokens: await agreement(source, model!), of: CHECKED }));
  }
  await measure('prompt', async () => {
    const length = Math.min(PROMPT, most - 1);
    const rate = await prompt(session, model!, length, reps);
    const attention = shape.nLayers * 2 * shape.dim * ((length + 1) / 2);
    const tflops = (2 * (promptMacs(shape, length) / length + attention) * rate) / 1e12;
    return { length, tokensPerSecond: rate, ...tflopsOf(tflops, ceilings) };
  });
  for (const batch of batches) {
    const before = batch === 1 ? 16 : BEFORE;
    await measure(
      'decode',
      async () => {
        await reopen(batch, before + DECODED + 2);
        const rate = await decode(session, model!, { batch, before, reps });
        const bytes = weights + batch * cacheBytes(shape, before + DECODED / 2, 2);
        return { tokensPerSecond: rate, share: ((rate / batch) * bytes) / 1e9 / ceilings.bandwidth };
      },
      { batch, before },
    );
  }
  await measure('throughput', async () => {
    const length = REQUEST.in + REQUEST.out;
    const sequences = Math.min(
      MOST_SEQUENCES,
      Math.floor((SHARE * free - source.size) / cacheBytes(shape, length, 2)),
    );
    await reopen(sequences, length);
    return { sequences, ...(await throughput(session, model!, sequences)) };
  });
  await model.close();
}

/** Two rounds of requests, each with a prompt of its own, or what is done of them when the time is up. */
async function throughput(session: Session, model: Model, sequences: number): Promise<object> {
  const prompts = Array.from({ length: 2 * sequences }, (_, i) => makePrompt(REQUEST.in, `request ${i}`).ids);
  const signal = AbortSignal.timeout(Math.ceil(1000 * session.left));
  let tokens = 0;
  const started = performance.now();
  let complete = true;
  try {
    await model.generateBatch(prompts, {
      ...greedy,
      maxTokens: REQUEST.out,
      signal,
      onToken: () => tokens++,
    });
  } catch (error) {
    if (!signal.aborted) throw error;
    complete = false;
  }
  const seconds = (performance.now() - started) / 1000;
  return { ...REQUEST, tokens, complete, tokensPerSecond: tokens / seconds };
}
