import type { Tensor } from '../../host/backend.ts';
import type { DType } from '../../host/dtype.ts';
import { Llama, type LlamaLimits } from '../../host/llama.ts';
import { llamaShapes } from '../../host/llama-shape.ts';
import { LocalRunner } from '../../host/local-runner.ts';
import { limitsOf } from '../../host/memory.ts';
import type { LlamaConfig } from '../../host/model-file.ts';
import { Pace } from '../../host/pace.ts';
import { arrangeWeights } from '../../host/weights.ts';
import { type Kind, type Launch, RecordedCuda, Recorder } from './recorder.ts';
import { workOf } from './traffic.ts';

/** Llama 2 7B. */
export const LLAMA_7B: LlamaConfig = {
  dim: 4096,
  hiddenDim: 11008,
  nLayers: 32,
  nHeads: 32,
  nKvHeads: 32,
  headDim: 128,
  vocabSize: 32000,
  contextLength: 4096,
  normEps: 1e-5,
  ropeTheta: 10000,
  ropeScale: 1,
};

/** A launch, and the bytes that it must move by what lies there. */
export interface Counted extends Launch {
  bytes: Record<Kind, number>;
  flops: number;
}

/** A model whose matrices are of one format, and whose cache is f16, on a device that runs nothing. */
class Traced {
  readonly device: Recorder = new Recorder();
  readonly llama: Llama;
  readonly #backend: RecordedCuda = new RecordedCuda(this.device);

  constructor(config: LlamaConfig, dtype: DType, limits: Partial<LlamaLimits> = {}) {
    const backend = this.#backend;
    const tensors = new Map<string, Tensor>();
    const output = { name: 'output.weight', rows: config.vocabSize, cols: config.dim, norm: false };
    for (const { name, rows, cols, norm } of [...llamaShapes(config), output]) {
      tensors.set(name, backend.allocTensor(norm ? 'f32' : dtype, rows, cols));
    }
    const weights = arrangeWeights(tensors, config.nLayers);
    this.llama = new Llama(backend, config, weights, {
      ...limitsOf(config, { kvCache: 'f16' }, 'cuda'),
      ...limits,
    });
  }

  /** What `run` queues. */
  async launchesOf(run: () => Promise<unknown>): Promise<Counted[]> {
    const { device } = this;
    device.launches = [];
    await run();
    return device.launches.map(launch => {
      const { reads, writes, flops } = workOf(launch, device);
      const bytes = { weights: 0, cache: 0, activations: 0 };
      for (const [address, count] of [...reads, ...writes]) bytes[this.#backend.kindOf(address)] += count;
      return { ...launch, bytes, flops };
    });
  }
}

/** By what one token is computed behind `context` others, and the next is drawn as it is by default. */
export async function decodeTrace(config: LlamaConfig, dtype: DType, context: number): Promise<Counted[]> {
  const traced = new Traced(config, dtype);
  const { batch } = traced.llama.limits;
  const runner = new LocalRunner(traced.llama, new Pace(Number.POSITIVE_INFINITY, batch, batch));
  const prompt = new Array<number>(context - 1).fill(1);
  const request = { prompt, maxTokens: 3, ends: [], sampling: { seed: 0 } };
  const draws = runner.generate([request], new AbortController().signal);
  // the first has the prompt before it; what the second allocates, the third has
  await draws.next();
  await draws.next();
  const launches = await traced.launchesOf(() => draws.next());
  await draws.return();
  return launches;
}

/** By what a prompt of n tokens is computed at once, with the logits of its last. */
export async function promptTrace(config: LlamaConfig, dtype: DType, n: number): Promise<Counted[]> {
  const traced = new Traced(config, dtype, { batch: n });
  const ids = Array.from({ length: n }, (_, i) => i);
  const forward = async () => {
    traced.llama.forward({ tokens: ids.map(() => 1), slots: ids.map(() => 0), positions: ids });
    traced.llama.logits([n - 1]);
  };
  await forward(); // what it allocates is there then, and the angles
  return traced.launchesOf(forward);
}
