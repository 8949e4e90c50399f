import type { Thread } from '../workers/thread.ts';
import { threadOf } from './browser.ts';

/** Starts the program of a rank that trains. In a file of its own, or bundles of programs that do not train would have it. */
export const startTrainThread = (): Thread =>
  threadOf(new Worker(new URL('./browser-train-worker.js', import.meta.url), { type: 'module' }));
