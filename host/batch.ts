import type { BatchOptions, Best, BestOptions, Generation } from './api.ts';
import { type Engine, generateAll } from './generate.ts';

/**
 * Runs `generateAll` to its end.
 * @param options checked ones
 */
export async function generateBatch(
  engine: Engine,
  prompts: number[][],
  { samples = 1, onToken, ...options }: BatchOptions,
): Promise<Generation[]> {
  const all = prompts.flatMap(prompt => new Array<number[]>(samples).fill(prompt));
  if (all.length === 0) return [];
  const results = all.map((_, i) => {
    const logprob = options.logprobs === undefined ? undefined : 0;
    return { prompt: Math.floor(i / samples), ids: [] as number[], text: '', logprob };
  });
  const events = generateAll(engine, all, options);
  try {
    for (;;) {
      const { value, done } = await events.next();
      if (done) {
        return results.map(({ logprob, ...result }, i) => {
          return { ...value[i]!, ...result, ...(logprob !== undefined && { logprob }) };
        });
      }
      const { sequence, event } = value;
      const result = results[sequence]!;
      result.ids.push(event.id);
      result.text += event.piece;
      if (result.logprob !== undefined) result.logprob += event.logprob!;
      onToken?.(event, sequence);
    }
  } finally {
    await events.return([]);
  }
}

/** @param options checked ones */
export async function bestOf(
  engine: Engine,
  prompt: number[],
  { score = meanLogprob, ...options }: BestOptions,
): Promise<Best> {
  const generations = await generateBatch(engine, [prompt], { logprobs: 0, ...options });
  const scores: number[] = [];
  for (const generation of generations) scores.push(await score(generation));
  const best = scores.indexOf(Math.max(...scores));
  return { ...generations[Math.max(0, best)]!, score: scores[Math.max(0, best)]!, scores };
}

function meanLogprob({ logprob, ids }: Generation): number {
  return ids.length > 0 ? logprob! / ids.length : Number.NEGATIVE_INFINITY;
}
