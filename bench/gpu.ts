// npm run bench:gpu: the CUDA plugin on the GPU at hand, each model held to the WASM backend's tokens before it is timed.
// Prints JSON: the device, its copy bandwidth, and per model tokens a second.

import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { open } from 'cria';
import { type Device, openDevice } from '../gpu-plugin/index.ts';
import { makeModel, parseName } from './make-model.ts';
import { median } from './median.ts';
import { projectFolder } from './paths.ts';
import { BOS, bytesPerToken, CONTEXT, EOS, makePrompt } from './synthetic.ts';

const { values: options } = parseArgs({
  options: {
    models: { type: 'string', default: '110M-Q8_0,110M-F16,1.1B-F16,1.1B-Q8_0,1.1B-Q4_0,1.1B-Q4_K' },
    reps: { type: 'string', default: '5' },
  },
});
const DECODE = 64;
const CHECKED = 16;
const SEQUENCES = 8;
const GIB = 2 ** 30;
const greedy = { temperature: 0, logitBias: { [BOS]: -100, [EOS]: -100 } };

/** GB/s read and written together, copying a GiB on the device. */
async function copyBandwidth(device: Device): Promise<number> {
  const [from, to] = [device.allocate(GIB), device.allocate(GIB)];
  const copies = 20;
  device.copy(to, from, GIB);
  await device.read(to, 4);
  const start = performance.now();
  for (let i = 0; i < copies; i++) device.copy(to, from, GIB);
  await device.read(to, 4);
  const seconds = (performance.now() - start) / 1000;
  device.close();
  return (2 * copies * GIB) / seconds / 1e9;
}

type Opened = Awaited<ReturnType<typeof open>>;

async function ids(
  model: Opened,
  prompt: number[],
  maxTokens: number,
): Promise<{ ids: number[]; ms: number[] }> {
  const out: number[] = [];
  const ms: number[] = [];
  const start = performance.now();
  for await (const { id } of model.tokens(prompt, { ...greedy, maxTokens })) {
    out.push(id);
    ms.push(performance.now() - start);
  }
  return { ids: out, ms };
}

async function measured(reps: number, measure: (rep: number) => Promise<number>): Promise<number> {
  await measure(-1);
  const rates: number[] = [];
  for (let rep = 0; rep < reps; rep++) rates.push(await measure(rep));
  return median(rates);
}

async function bench(name: string, reps: number, bandwidth: number): Promise<object> {
  const path = makeModel(name);
  const check = makePrompt(CHECKED, 'check').ids;
  const cpu = await open(path, { backend: 'wasm', contextLength: CONTEXT, threads: 1 });
  const expected = (await ids(cpu, check, CHECKED)).ids;
  await cpu.close();
  const started = performance.now();
  const model = await open(path, { backend: 'cuda', contextLength: CONTEXT, sequences: SEQUENCES });
  const loadMs = performance.now() - started;
  const got = (await ids(model, check, CHECKED)).ids;
  const agree = expected.findIndex((id, i) => got[i] !== id);
  const decode = await measured(reps, async rep => {
    const { ms } = await ids(model, makePrompt(16, `decode ${rep}`).ids, DECODE + 1);
    return (1000 * DECODE) / (ms.at(-1)! - ms[0]!);
  });
  const prompt = await measured(reps, async rep => {
    const { ms } = await ids(model, makePrompt(512, `prompt ${rep}`).ids, 1);
    return 512_000 / ms[0]!;
  });
  const batch = await measured(reps, async rep => {
    const prompts = Array.from({ length: SEQUENCES }, (_, i) => makePrompt(16, `batch ${rep} ${i}`).ids);
    const times: number[] = [];
    const onToken = () => void times.push(performance.now());
    await model.generateBatch(prompts, { ...greedy, maxTokens: DECODE + 1, onToken });
    return (1000 * SEQUENCES * DECODE) / (times.at(-1)! - times.at(-SEQUENCES * DECODE - 1)!);
  });
  await model.close();
  const { shape, type } = parseName(name);
  const share = (decode * bytesPerToken(shape, type)) / 1e9 / bandwidth;
  return {
    model: name,
    agree: agree < 0 ? CHECKED : agree,
    of: CHECKED,
    loadMs,
    decode,
    share,
    prompt512: prompt,
    batch8: batch,
  };
}

const reps = Number(options.reps);
const { device, info } = openDevice({ folder: join(projectFolder(), 'gpu-plugin', 'dist') });
const bandwidth = await copyBandwidth(device);
console.log(JSON.stringify({ device: info, copyGBs: bandwidth }));
for (const model of options.models.split(',')) {
  try {
    console.log(JSON.stringify(await bench(model, reps, bandwidth)));
  } catch (error) {
    console.log(JSON.stringify({ model, failed: (error as Error).message }));
  }
}
