import type { Started } from './processes.ts';

export interface Answer {
  value: unknown;
  /** From the start of the process, or in a browser of the page, to the answer. */
  ms: number;
  peakBytes: number;
}

/** A host hangs if it takes longer. Milliseconds. */
export const LIMIT: number = 5 * 60_000;

/** What a started host answers, or why it does not; it is stopped. */
export async function answerOf(started: Started, from: number, value: Promise<unknown>): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${LIMIT / 1000} s`)), LIMIT);
  });
  // a program that ends without an answer has failed, unless its output is the answer
  const early = started.ended.then(
    () => value,
    error => Promise.reject(error),
  );
  try {
    const answer = await Promise.race([value, early, late]);
    return { value: answer, ms: performance.now() - from, peakBytes: started.peak() };
  } finally {
    clearTimeout(timer);
    await started.stop();
  }
}
