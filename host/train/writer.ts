import type { SamplingOptions } from '../api.ts';
import { Llama } from '../llama.ts';
import { Sampler, type SamplerBuffers, samplerBuffers } from '../sampler.ts';
import type { TrainLlama } from './llama.ts';

/** Tokens of a prompt computed at once. */
const BATCH = 64;

/** Writes texts with the weights of a model that learns. */
export class Writer {
  readonly #llama: Llama;
  readonly #buffers: SamplerBuffers;

  constructor({ backend, config, tensors }: TrainLlama) {
    const { contextLength, vocabSize } = config;
    const batch = Math.min(BATCH, contextLength);
    this.#llama = new Llama(backend, config, tensors, {
      contextLength,
      slots: 1,
      cache: 'f32',
      batch,
      outputs: 1,
    });
    this.#buffers = samplerBuffers(backend, vocabSize);
  }

  /**
   * The tokens that follow a prompt, without the one that ends them.
   * @param eos ends the text; −1: nothing does
   * @throws OptionError for ids that the model does not have
   */
  async write(
    prompt: readonly number[],
    eos: number,
    maxTokens: number,
    options: SamplingOptions,
  ): Promise<number[]> {
    const { backend, config, limits } = this.#llama;
    const sampler = new Sampler(backend, this.#buffers, config.vocabSize, options);
    const history = [...prompt];
    const most = Math.min(prompt.length + maxTokens, config.contextLength);
    let done = 0;
    while (history.length < most) {
      let taken = 0;
      while (done < history.length) {
        const tokens = history.slice(done, done + limits.batch);
        taken = tokens.length;
        const positions = tokens.map((_, i) => done + i);
        this.#llama.forward({ tokens, slots: tokens.map(() => 0), positions });
        done += taken;
      }
      const id = await sampler.next(this.#llama.logits([taken - 1]), history);
      if (id === eos) break;
      history.push(id);
    }
    return history.slice(prompt.length);
  }
}
