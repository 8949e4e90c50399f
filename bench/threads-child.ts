// What threads.ts starts: MODEL SCENARIO. Prints tokens a second.

import { open } from 'cria';
import { BOS, CONTEXT, EOS, makePrompt } from './synthetic.ts';

export interface Scenario {
  /** A continuation, eight of them together, or a prompt of 512. */
  kind: 'decode' | 'batch' | 'prompt';
  threads: number | 'auto';
  /** The calling thread computes something else all the while. */
  busy?: boolean;
  /** Only this build of the kernels. */
  build?: 'simd' | 'relaxed';
}

const DECODE = 64;
const SEQUENCES = 8;

const [path, text] = process.argv.slice(2) as [string, string];
const { kind, threads, busy = false, build } = JSON.parse(text) as Scenario;
if (build === 'simd') WebAssembly.validate = () => false; // relaxed SIMD is found out by validating a probe
const sequences = kind === 'batch' ? SEQUENCES : 1;
const model = await open(path, { contextLength: CONTEXT, threads, sequences });
const options = { temperature: 0, logitBias: { [BOS]: -100, [EOS]: -100 } };

/** Other work of the caller: a few milliseconds at a time, with the event loop turning between. */
let working = busy;
function work(): void {
  const end = performance.now() + 5;
  while (performance.now() < end);
  if (working) setImmediate(work);
}
if (busy) work();

async function decode(seed: string): Promise<number> {
  const { ids } = makePrompt(16, seed);
  let first = 0;
  let count = 0;
  for await (const _ of model.tokens(ids, { ...options, maxTokens: DECODE + 1 })) {
    if (count++ === 0) first = performance.now();
  }
  return (1000 * DECODE) / (performance.now() - first);
}

async function batch(seed: string): Promise<number> {
  const prompts = Array.from({ length: SEQUENCES }, (_, i) => makePrompt(16, `${seed} ${i}`).ids);
  const times: number[] = [];
  const onToken = () => void times.push(performance.now());
  await model.generateBatch(prompts, { ...options, maxTokens: DECODE + 1, onToken });
  // from the moment at which all have their first token
  const [from, to] = [times.at(-SEQUENCES * DECODE - 1)!, times.at(-1)!];
  return (1000 * SEQUENCES * DECODE) / (to - from);
}

async function prompt(seed: string): Promise<number> {
  const { ids } = makePrompt(512, seed);
  const from = performance.now();
  for await (const _ of model.tokens(ids, { ...options, maxTokens: 1 }));
  return (1000 * ids.length) / (performance.now() - from);
}

const measure = { decode, batch, prompt }[kind];
await measure('warm');
console.log(await measure('timed'));
working = false;
await model.close();
