// Steps of training on a GPU at the shapes of TinyLlama and Llama 2 7B, from random weights and random tokens.

import { createTrainer, flopsPerToken, type TrainData, type TrainOptions } from 'cria/train';
import { Parameters } from '../../host/train/parameters.ts';
import { median } from '../median.ts';
import { randomBits, seedOf } from '../random.ts';
import { SHAPES, VOCAB_SIZE } from '../synthetic.ts';
import { type Ceilings, type Session, tflopsOf } from './session.ts';

export interface TrainingJob {
  /** A shape of synthetic.ts, or its first layers: `7B/4` has four of 7B's. */
  shape: string;
  /** Tokens of a sequence, sequences of a step. */
  T: number;
  sequences: number;
  /** Compute activations again instead of keeping them. */
  recompute: boolean;
  /** Of the operands of products. */
  precision: 'f32' | 'bf16';
}

/** Steps that count, at most, after one that does not. */
const STEPS = 5;

/** @throws RangeError for a shape that is none */
export function trainOptions({ shape, T, sequences, recompute }: TrainingJob): TrainOptions {
  const [name = '', layers] = shape.split('/');
  const found = SHAPES[name];
  if (!found)
    throw new RangeError(
      `${shape}: expected one of ${Object.keys(SHAPES).join(', ')}, or its first layers: 7B/4`,
    );
  const { dim, hiddenDim, nHeads, nKvHeads, tied } = found;
  return {
    ...{ dim, hiddenDim, nHeads, nKvHeads, tied, sequences, recompute },
    nLayers: layers === undefined ? found.nLayers : Number(layers),
    contextLength: T,
    steps: STEPS + 1,
    warmup: 0,
    learningRate: 1e-5,
    spike: 0,
    mostLogits: 2 ** 26,
  };
}

/** N(0, 0.02²) by the same million numbers again and again; norms 1. */
function randomWeights(parameters: Parameters): Float32Array {
  const next = randomBits(seedOf('training'));
  const weights = new Float32Array(parameters.size);
  const drawn = Math.min(weights.length, 2 ** 20);
  for (let i = 0; i < drawn; i++) {
    let sum = 0;
    for (let k = 0; k < 12; k++) sum += (next() >>> 16) / 65536;
    weights[i] = 0.02 * (sum - 6);
  }
  for (let done = drawn; done < weights.length; done *= 2) weights.copyWithin(done, 0, done);
  for (const { norm, first, cols } of parameters.list) if (norm) weights.fill(1, first, first + cols);
  return weights;
}

/** Random tokens, no batch twice. */
function randomData(n: number, rows: number): TrainData {
  const batchAt = async (step: number) => {
    const next = randomBits(seedOf(`step ${step}`));
    const draw = () => Int32Array.from({ length: n }, () => (next() >>> 0) % VOCAB_SIZE);
    return { tokens: draw(), targets: draw(), rows };
  };
  return { batchAt, validationBatches: 0, validationAt: batchAt };
}

/** @param backend 'cuda', or another to try it */
export async function training(
  session: Session,
  job: TrainingJob,
  ceilings: Pick<Ceilings, 'peak' | 'matmul'>,
  backend: 'cuda' | 'wasm' = 'cuda',
): Promise<void> {
  await session.measure({ bench: 'training', ...job }, async () => {
    const options = trainOptions(job);
    const { sequences, T } = job;
    const { dim, hiddenDim, nLayers, nHeads, nKvHeads } = options as Required<TrainOptions>;
    const config = {
      ...{
        dim,
        hiddenDim,
        nLayers,
        nHeads,
        nKvHeads,
        headDim: dim / nHeads,
        vocabSize: VOCAB_SIZE,
        contextLength: T,
      },
      ...{ normEps: 1e-5, ropeTheta: 10000, ropeScale: 1 },
    };
    const parameters = new Parameters(config, options.tied!);
    const trainer = await createTrainer(options, randomData(sequences * T, sequences), {
      vocabSize: VOCAB_SIZE,
      backend,
      precision: job.precision,
      from: randomWeights(parameters),
    });
    try {
      const ms: number[] = [];
      let loss = Number.NaN;
      for (let step = 0; step <= STEPS && (step < 2 || session.left > 0); step++) {
        const started = performance.now();
        ({ loss } = await trainer.advance());
        ms.push(performance.now() - started);
      }
      const tokensPerSecond = (1000 * sequences * T) / median(ms.slice(1));
      const tflops = (flopsPerToken(parameters, config, options.tied!, T) * tokensPerSecond) / 1e12;
      return {
        parameters: parameters.count,
        steps: ms.length - 1,
        loss,
        tokensPerSecond,
        ...tflopsOf(tflops, ceilings),
      };
    } finally {
      await trainer.close();
    }
  });
}
