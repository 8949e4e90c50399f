import type { Backend } from '../../host/backend.ts';
import { readModelFile } from '../../host/checkpoint.ts';
import type { LlamaLimits } from '../../host/llama.ts';
import { Llama } from '../../host/llama.ts';
import { openSource } from '../../host/sources.ts';
import { loadWeights } from '../../host/weights.ts';
import { type TinyModelOptions, tinyModel } from './tiny-model.ts';

/** A tiny model on a backend, below the public interface: for batches of several sequences. */
export async function tinyLlama(
  backend: Backend,
  options: TinyModelOptions = {},
  limits: Partial<LlamaLimits> = {},
): Promise<Llama> {
  return llamaOf(backend, tinyModel(options), limits);
}

export async function llamaOf(
  backend: Backend,
  model: Uint8Array,
  limits: Partial<LlamaLimits> = {},
): Promise<Llama> {
  const source = await openSource(model);
  const file = await readModelFile(source);
  const weights = await loadWeights(backend, file, source);
  const { contextLength } = file.config;
  return new Llama(backend, file.config, weights, {
    contextLength,
    slots: 1,
    cache: 'f32',
    batch: 64,
    outputs: 64,
    ...limits,
  });
}

/** One sequence as it is fed: which slot, and how many tokens a call. */
export interface Feed {
  ids: number[];
  slot: number;
  chunk: number;
}

/** Runs sequences through shared batches, `chunk` tokens of each a call, and returns the logits after every token. */
export async function runTogether(llama: Llama, feeds: Feed[]): Promise<Float32Array[]> {
  const { vocabSize } = llama.config;
  const out = feeds.map(({ ids }) => new Float32Array(ids.length * vocabSize));
  const done = feeds.map(() => 0);
  while (feeds.some(({ ids }, i) => done[i]! < ids.length)) {
    const parts = feeds.flatMap(({ ids, slot, chunk }, i) =>
      ids
        .slice(done[i]!, done[i]! + chunk)
        .map((token, j) => ({ feed: i, token, slot, position: done[i]! + j })),
    );
    llama.forward({
      tokens: parts.map(p => p.token),
      slots: parts.map(p => p.slot),
      positions: parts.map(p => p.position),
    });
    const logits = await llama.backend.readF32(llama.logits([...parts.keys()]), parts.length * vocabSize);
    for (const [row, { feed, position }] of parts.entries()) {
      out[feed]!.set(logits.subarray(row * vocabSize, (row + 1) * vocabSize), position * vocabSize);
      done[feed] = position + 1;
    }
  }
  return out;
}
