import { CriaError, type Model } from '../../host/index.ts';

/** Sampling that never ends by itself on a tiny model. */
export const NEVER_END: { logitBias: Record<number, number> } = { logitBias: { 1: -100, 2: -100 } };

/** The code of the error that a call ends with. */
export async function codeOf(run: () => unknown): Promise<string> {
  try {
    await run();
    return 'no error';
  } catch (error) {
    return error instanceof CriaError ? error.code : String(error);
  }
}

/** The ids that follow a prompt. */
export async function idsOf(
  model: Model,
  prompt: number[],
  options: Parameters<Model['tokens']>[1] = {},
): Promise<number[]> {
  const ids: number[] = [];
  for await (const { id } of model.tokens(prompt, { ...NEVER_END, seed: 7, ...options })) ids.push(id);
  return ids;
}
