import type { Perplexity, PerplexityOptions } from './api.ts';
import { OptionError } from './errors.ts';
import { exp } from './exp.ts';
import type { Engine } from './generate.ts';
import { notFinite } from './model-errors.ts';
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
  const { runner, queue } = engine;
  const { vocabSize } = engine.config;
  const { contextLength } = engine.limits;
  const window = options.window ?? contextLength;
  if (ids.length < 2 || window > contextLength) {
    throw new OptionError('option-range', {
      where: 'perplexity',
      expected: `at least two tokens and a window of at most ${contextLength}, the context`,
      got: `${ids.length} tokens and a window of ${window}`,
      hint: 'Give more text, or a smaller window.',
    });
  }
  for (const [i, id] of ids.entries()) checkId(`perplexity: token ${i}`, id, vocabSize);
  const total = Math.min(options.windows ?? Number.POSITIVE_INFINITY, Math.ceil((ids.length - 1) / window));

  const turn = await queue.enter(options.signal);
  try {
    let sum = 0;
    let tokens = 0;
    for (let w = 0; w < total; w++) {
      const part = ids.slice(w * window, Math.min((w + 1) * window, ids.length - 1) + 1);
      const all = runner.losses(part, turn.signal);
      for (;;) {
        const { value, done } = await queue.computing(all.next());
        if (done) break;
        for (const loss of value) sum += loss;
      }
      tokens += part.length - 1;
      options.onProgress?.({ windows: w + 1, total, perplexity: exp(sum / tokens) });
    }
    const nll = sum / tokens;
    if (!Number.isFinite(nll)) throw notFinite('perplexity', nll);
    return { perplexity: exp(nll), nll, tokens, windows: total };
  } finally {
    turn.leave();
  }
}
