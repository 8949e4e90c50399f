// npm run bench:train: steps of training beside PyTorch's: the same model, batch and first weights, in turn, each in a fresh
// process; and what share of this machine's multiply-adds they reach.

import { execFileSync } from 'node:child_process';
import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { TrainData, TrainOptions } from 'cria/train';
import { median } from '../median.ts';
import { randomBits, seedOf } from '../random.ts';
import type { GemmRates } from './gemm.ts';
import {
  byCria,
  byPyTorch,
  flopsOfStep,
  type Job,
  makeJob,
  node24,
  pyTorchVersion,
  type Result,
} from './job.ts';

const HELP = `npm run bench:train -- [options]
  --shapes A,B  of 260K, 1.4M and 3M (default all)
  --reps N      processes for each figure, whose median is printed (default 5)
  --steps N     of a process, of which the last two thirds count (default 12)`;

const { values } = parseArgs({
  options: {
    shapes: { type: 'string', default: '260K,1.4M,3M' },
    reps: { type: 'string', default: '5' },
    steps: { type: 'string', default: '12' },
    help: { type: 'boolean', short: 'h' },
  },
});

/** Losses of the first step must be so close, as a share: sums in another order. */
const AGREE = 1e-4;

// a step is eight sequences of 256: PyTorch takes them at once, Cria four by four, which two ranks can share
const common = { contextLength: 256, sequences: 4, microBatches: 2, learningRate: 1e-4, warmup: 0 };
type Model = Pick<TrainOptions, 'dim' | 'hiddenDim' | 'nLayers' | 'nHeads' | 'nKvHeads'>;
const SHAPES: Record<string, { vocabSize: number; model: Model }> = {
  '260K': { vocabSize: 512, model: { dim: 64, hiddenDim: 172, nLayers: 5, nHeads: 8, nKvHeads: 4 } },
  '1.4M': { vocabSize: 2048, model: { dim: 128, hiddenDim: 352, nLayers: 6, nHeads: 4, nKvHeads: 2 } },
  '3M': { vocabSize: 2048, model: { dim: 192, hiddenDim: 512, nLayers: 7, nHeads: 6, nKvHeads: 3 } },
};

/** Rows of ids drawn at random: a step takes as long whatever it reads. */
function randomData(vocabSize: number): TrainData {
  const { sequences, contextLength: T } = common;
  return {
    validationBatches: 0,
    validationAt: () => Promise.reject(new Error('there is nothing to validate on')),
    async batchAt(step, m) {
      const bits = randomBits(seedOf(`${step} ${m}`));
      const tokens = Int32Array.from({ length: sequences * T }, () => (bits() >>> 0) % vocabSize);
      // the target at the end of a row is what begins the next
      return {
        tokens,
        targets: Int32Array.from(tokens, (_, i) => tokens[(i + 1) % tokens.length]!),
        rows: sequences,
      };
    },
  };
}

/** Milliseconds of a step. */
const pace = ({ steps }: Result): number =>
  median(steps.slice(Math.floor(steps.length / 3)).map(({ ms }) => ms));

async function main(): Promise<void> {
  if (values.help) {
    console.log(HELP);
    return;
  }
  const [reps, steps] = [Number(values.reps), Number(values.steps)];
  const names = values.shapes.split(',');
  if (!(reps > 0 && steps > 1 && names.every(name => name in SHAPES))) throw new RangeError(HELP);
  const version = execFileSync(node24(), ['--version'], { encoding: 'utf8' }).trim();
  console.log(
    `${cpus()[0]?.model}, ${cpus().length} cores, load ${loadavg()[0]?.toFixed(2)}; Node ${version}; ${pyTorchVersion()}`,
  );
  console.log(
    '| model | threads | Cria, ms a step | PyTorch, ms a step | speed, Cria : PyTorch | Cria, GFLOP/s | PyTorch, GFLOP/s |',
  );
  console.log('| --- | --- | --- | --- | --- | --- | --- |');
  const inside: string[] = [];
  for (const name of names) {
    const { vocabSize, model } = SHAPES[name]!;
    const { folder, job } = await makeJob(
      name,
      { ...model, ...common, steps },
      vocabSize,
      randomData(vocabSize),
    );
    for (const threads of [1, 2]) {
      const cria: number[] = [];
      const pytorch: number[] = [];
      // in turn, so that a slow moment of the machine hits both
      for (let rep = 0; rep < reps; rep++) {
        const own = await byCria(folder, threads);
        const theirs = await byPyTorch(folder, threads);
        const [a, b] = [own.steps[0]!.loss, theirs.steps[0]!.loss];
        if (!(Math.abs(a - b) < AGREE * b)) throw new Error(`first losses differ: ${a} and ${b}`);
        cria.push(pace(own));
        pytorch.push(pace(theirs));
      }
      const flops = flopsOfStep(job);
      const [a, b] = [median(cria), median(pytorch)];
      const cells = [
        name,
        threads,
        a.toFixed(0),
        b.toFixed(0),
        `${(b / a).toFixed(2)} ×`,
        rate(flops, a),
        rate(flops, b),
      ];
      console.log(`| ${cells.join(' | ')} |`);
      if (threads === 1) inside.push(insideGemm(name, job, flops / a / 1e6));
    }
  }
  console.log(`\n${inside.join('\n')}`);
}

const rate = (flops: number, ms: number): string => (flops / ms / 1e6).toFixed(1);

function insideGemm(name: string, { shape }: Job, whole: number): string {
  const task = JSON.stringify({ shape, tokens: common.sequences * common.contextLength });
  const script = fileURLToPath(new URL('gemm.js', import.meta.url));
  const { peak, gemm } = JSON.parse(
    execFileSync(node24(), [script, task], { encoding: 'utf8' }),
  ) as GemmRates;
  const share = (value: number) => `${value.toFixed(1)} GFLOP/s, ${((100 * value) / peak).toFixed(0)} %`;
  return `${name}, one thread: inside gemm ${share(gemm)} of ${peak.toFixed(1)}; a whole step ${share(whole)}`;
}

await main();
