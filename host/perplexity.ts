import type { Perplexity, PerplexityOptions } from './api.ts';
import { OptionError } from './errors.ts';
import { exp } from './exp.ts';
import type { Engine } from './generate.ts';
import { notFinite } from './model-errors.ts';
import { prefill } from './prefill.ts';
import { checkId } from './sampler.ts';

/**
 * exp of the mean negative log-likelihood. Windows of `window` inputs follow one another, each starting with an empty
 * cache at position 0; every input predicts the next id. The last window may be shorter.
 * @param options checked ones
 * @throws OptionError; the signal's reason; StateError 'closed'
 */
export async function perplexityOf(
  engine: Engine,
  ids: number[],
  options: PerplexityOptions,
): Promise<Perplexity> {
  const { llama, queue, buffers } = engine;
  const { backend, config, limits } = llama;
  const window = options.window ?? limits.contextLength;
  if (ids.length < 2 || window > limits.contextLength) {
    throw new OptionError('option-range', {
      where: 'perplexity',
      expected: `at least two tokens and a window of at most ${limits.contextLength}, the context`,
      got: `${ids.length} tokens and a window of ${window}`,
      hint: 'Give more text, or a smaller window.',
    });
  }
  for (const [i, id] of ids.entries()) checkId(`perplexity: token ${i}`, id, config.vocabSize);
  const total = Math.min(options.windows ?? Number.POSITIVE_INFINITY, Math.ceil((ids.length - 1) / window));

  const leave = await queue.enter(options.signal);
  try {
    let sum = 0;
    let tokens = 0;
    for (let w = 0; w < total; w++) {
      const start = w * window;
      const inputs = ids.slice(start, Math.min(start + window, ids.length - 1));
      await prefill(llama, queue, inputs, 0, options.signal, async (first, count) => {
        for (let row = 0; row < count; row += limits.outputs) {
          const rows = Array.from({ length: Math.min(limits.outputs, count - row) }, (_, i) => row + i);
          const targets = rows.map(r => ids[start + first + r + 1]!);
          const logits = llama.logits(rows);
          backend.writeI32(buffers.ids, targets);
          backend.crossEntropy(buffers.losses, logits, buffers.ids, rows.length, config.vocabSize);
          for (const loss of await backend.readF32(buffers.losses, rows.length)) sum += loss;
        }
      });
      tokens += inputs.length;
      options.onProgress?.({ windows: w + 1, total, perplexity: exp(sum / tokens) });
    }
    const nll = sum / tokens;
    if (!Number.isFinite(nll)) throw notFinite('perplexity', nll);
    return { perplexity: exp(nll), nll, tokens, windows: total };
  } finally {
    leave();
  }
}
