import { type Model, open } from '../index.ts';
import { only, type Values } from './args.ts';
import type { Interrupts } from './interrupts.ts';
import { modelOptions } from './options.ts';
import { loadingText, Progress } from './progress.ts';

/** Opens a model, showing how far it is, and closes it after its use. */
export async function withModel(
  path: string,
  values: Values<typeof modelOptions>,
  { signal }: Interrupts,
  use: (model: Model) => Promise<void>,
): Promise<void> {
  const progress = new Progress();
  const { context, ...options } = only(modelOptions, values);
  let model: Model;
  try {
    model = await open(path, {
      ...options,
      ...(context !== undefined && { contextLength: context }),
      signal,
      onProgress: at => progress.show(loadingText(at)),
    });
  } finally {
    progress.clear();
  }
  try {
    await use(model);
  } finally {
    await model.close();
  }
}

/** Hands every item to `take`, one after another, and gives what the generator returns. */
export async function consume<T, R>(
  generator: AsyncGenerator<T, R>,
  take: (item: T) => Promise<void> | void,
): Promise<R> {
  for (;;) {
    const step = await generator.next();
    if (step.done) return step.value;
    try {
      await take(step.value);
    } catch (error) {
      // Lets the generator give back what it holds; it throws the same error again.
      await generator.throw(error);
      throw error;
    }
  }
}
