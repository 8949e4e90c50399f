// npm run bench:gpu -- [options]: the CUDA plugin on the GPU at hand, and PyTorch beside it. A line of JSON for each figure as soon as
// it is had, the device and its copy bandwidth first.

import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Device, openDevice } from '../../gpu-plugin/index.ts';
import { parseName } from '../make-model.ts';
import { projectFolder } from '../paths.ts';
import { inference } from './inference.ts';
import { kernels } from './kernels.ts';
import { byPyTorch } from './peer.ts';
import { type Ceilings, peakOf, Session } from './session.ts';
import { training, trainOptions } from './training.ts';

const PARTS = ['pytorch', 'kernels', 'inference', 'training'];
const HELP = `npm run bench:gpu -- [options]
  --only A,B       of ${PARTS.join(', ')} (default all)
  --minutes N      nothing begins later (default 10)
  --reps N         figures of inference are medians of so many (default 3)
  --models A,B     SHAPE-TYPE (default 1.1B-F16,7B-F16,7B-Q8_0,7B-Q4_0)
  --batches A,B    sequences that decode together (default 1,8,64)
  --training A,B   shapes or their first layers (default 1.1B,7B/4)
  --length N       tokens of a sequence in training (default 2048)
  --sequences N    of a step (default 1)
  --recompute      compute activations again in backward
  --precision P    f32 or bf16, of training (default bf16)
  --eager          PyTorch as it is, not compiled`;

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: PARTS.join() },
    minutes: { type: 'string', default: '10' },
    reps: { type: 'string', default: '3' },
    models: { type: 'string', default: '1.1B-F16,7B-F16,7B-Q8_0,7B-Q4_0' },
    batches: { type: 'string', default: '1,8,64' },
    training: { type: 'string', default: '1.1B,7B/4' },
    length: { type: 'string', default: '2048' },
    sequences: { type: 'string', default: '1' },
    recompute: { type: 'boolean', default: false },
    precision: { type: 'string', default: 'bf16' },
    eager: { type: 'boolean', default: false },
    help: { type: 'boolean' },
  },
});
const GIB = 2 ** 30;

/** GB/s read and written together, copying a GiB on the device. */
async function copyBandwidth(device: Device): Promise<number> {
  const [from, to] = [device.allocate(GIB), device.allocate(GIB)];
  const copies = 20;
  device.copy(to, from, GIB);
  await device.read(to, 4);
  const start = performance.now();
  for (let i = 0; i < copies; i++) device.copy(to, from, GIB);
  await device.read(to, 4);
  return (2 * copies * GIB) / ((performance.now() - start) / 1000) / 1e9;
}

const integer = (text: string): number => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new RangeError(`${text}: expected a whole number above 0\n${HELP}`);
  return value;
};

async function main(): Promise<void> {
  const parts = values.only.split(',');
  const minutes = Number(values.minutes);
  const { precision } = values;
  if (!(minutes > 0) || parts.some(part => !PARTS.includes(part))) throw new RangeError(HELP);
  if (precision !== 'f32' && precision !== 'bf16') throw new RangeError(HELP);
  const models = values.models.split(',');
  for (const model of models) parseName(model);
  const rest = { recompute: values.recompute, precision } as const;
  const jobs = values.training
    .split(',')
    .map(shape => ({ shape, T: integer(values.length), sequences: integer(values.sequences), ...rest }));
  for (const job of jobs) trainOptions(job);
  const [reps, batches] = [integer(values.reps), values.batches.split(',').map(integer)];

  const session = new Session(minutes);
  const open = () => openDevice({ folder: join(projectFolder(), 'gpu-plugin', 'dist') });
  const { device, info } = open();
  const [free] = device.memory();
  const ceilings: Ceilings = { bandwidth: await copyBandwidth(device), peak: peakOf(info.name) };
  device.close();
  session.print({
    bench: 'device',
    ...info,
    free,
    copyGBs: ceilings.bandwidth,
    dataSheetTflops: ceilings.peak,
  });
  const work: Record<string, () => Promise<void>> = {
    async pytorch() {
      const shapes = new Set(models.map(model => parseName(model).shape.name));
      const { training, length, sequences, recompute, eager } = values;
      const steps = ['--train-shapes', training, '--train-length', length, '--train-sequences', sequences];
      const switches = [...(recompute ? ['--recompute'] : []), ...(eager ? [] : ['--compile'])];
      ceilings.matmul = await byPyTorch(session, 1 / parts.length, [
        '--shapes',
        [...shapes].join(),
        ...steps,
        ...switches,
      ]);
    },
    kernels: () => kernels(session, () => open().device, ceilings),
    async inference() {
      for (const model of models) await inference(session, model, { reps, batches, free }, ceilings);
    },
    async training() {
      for (const job of jobs) await training(session, job, ceilings);
    },
  };
  for (const part of parts) await work[part]!();
}

if (values.help) console.log(HELP);
else await main();
