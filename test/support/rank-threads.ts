import { Worker } from 'node:worker_threads';
import { readModelFile } from '../../host/checkpoint.ts';
import { type Shared, share } from '../../host/ranks/exchange.ts';
import { capacityFor } from '../../host/ranks/share.ts';
import { openSource } from '../../host/sources.ts';
import type { Answer, Job } from './rank-program.ts';

/** Ranks that wait for each other so long wait forever. Milliseconds. */
const LIMIT = 20_000;

/** Threads that run models as ranks, below the public interface. */
export class RankThreads {
  readonly #most: number;
  readonly #threads: Worker[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  /** @returns hashes of every sequence's logits, by plan */
  async run(ranks: number, job: Omit<Job, 'rank' | 'shared'>): Promise<string[][]> {
    const { config } = await readModelFile(await openSource(job.model));
    const shared: Shared | undefined = ranks > 1 ? share(ranks, capacityFor(config, job.limits)) : undefined;
    while (this.#threads.length < this.#most) {
      this.#threads.push(new Worker(new URL('./rank-program.js', import.meta.url)));
    }
    const answers = this.#threads
      .slice(0, ranks)
      .map((thread, rank) => ask(thread, { ...job, rank, shared }));
    try {
      return (await Promise.all(answers))[0]!;
    } catch (error) {
      // the others wait for the one that failed
      await this.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.splice(0).map(thread => thread.terminate()));
  }
}

function ask(thread: Worker, job: Job): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`rank ${job.rank} hangs`)), LIMIT);
    const answered = (answer: Answer) => settle(() => resolve(answer));
    const failed = (error: Error) => settle(() => reject(error));
    const settle = (then: () => void) => {
      clearTimeout(timer);
      thread.off('message', answered).off('error', failed);
      then();
    };
    thread.on('message', answered).on('error', failed);
    thread.postMessage(job);
  });
}
