// What every contender does in its own fresh process: load, answer the check, and only then run against the clock.

import { median } from './median.ts';
import { makePrompt, textOf } from './synthetic.ts';

/** What main.ts asks of a contender: JSON in the first argument. */
export interface Task {
  /** `110M-Q8_0` */
  model: string;
  /** The GGUF file. */
  path: string;
  threads: number;
  /** Repetitions of each measurement; their median is reported. */
  reps: number;
  /** No repetition of a measurement begins after so many milliseconds of it. */
  budgetMs: number;
  /** Prompt lengths in tokens, BOS included. */
  prompts: number[];
  /** Tokens that are timed in decoding. */
  decode: number;
  /** What another system answered; undefined for the system that is asked first. */
  expected: Answers | undefined;
  /** Of 8 first tokens, how many must be the expected ones. */
  mustAgree: number;
  /** Answer the check and time nothing. */
  checkOnly: boolean;
}

/** A prompt twice: as ids, and as the text that a tokenizer turns into the same ids. */
export interface Prompt {
  ids: number[];
  text: string;
}

export interface Generated {
  /** Greedy tokens, or where a system tells only text, that. */
  output: number[] | string;
  /** Until the first token was there, and from then to the last. */
  promptMs: number;
  decodeMs: number;
}

/** A system under test. */
export interface Engine {
  version: string;
  /** Greedily generates `n` tokens after `prompt`, from an empty cache. */
  generate(prompt: Prompt, n: number): Promise<Generated>;
  /** When loading began on this process's clock; 0, its start, unless something else had to be started first. */
  startMs?: number;
  /** Peak so far. Default: this process's. */
  peakMemoryBytes?(): number | undefined;
  close?(): Promise<void>;
}

/** The greedy token after each of eight prompts of growing length, and eight greedy tokens after the longest. */
export interface Answers {
  first: (number | string)[];
  greedy: number[] | string;
}

/** Of one measurement, in tokens a second. */
export interface Figure {
  median: number;
  min: number;
  max: number;
  reps: number;
}

/** What a contender prints as its last line. */
export interface Report {
  version: string;
  threads: number;
  /** From process start (browsers: from navigation) to the first token of a two-token prompt. */
  loadMs: number;
  answers: Answers;
  /** How many of the eight first tokens, and how many of the eight greedy ones from the start, are the expected ones. */
  agreement: { first: number; greedy: number } | undefined;
  prompts: Record<number, Figure>;
  decode: Figure | undefined;
  peakMemoryBytes: number | undefined;
}

const CHECK_LENGTHS = [2, 4, 6, 8, 10, 12, 14, 16];
const GREEDY = 8;

const asText = (output: number[] | string): string =>
  (typeof output === 'string' ? output : textOf(output)).trim();
const same = (a: number | string, b: number | string): boolean =>
  typeof a === 'number' && typeof b === 'number'
    ? a === b
    : asText(typeof a === 'number' ? [a] : a) === asText(typeof b === 'number' ? [b] : b);

/** Compares by ids where both sides have them, else by text. */
export function compare(expected: Answers, got: Answers): { first: number; greedy: number } {
  const first = expected.first.filter((answer, i) => same(answer, got.first[i]!)).length;
  let greedy = 0;
  if (typeof expected.greedy !== 'string') {
    const length = expected.greedy.length;
    const agrees = (n: number): boolean => {
      const head = (expected.greedy as number[]).slice(0, n);
      if (typeof got.greedy === 'string') return asText(got.greedy).startsWith(asText(head));
      return head.every((id, i) => id === got.greedy[i]);
    };
    while (greedy < length && agrees(greedy + 1)) greedy++;
  }
  return { first, greedy };
}

async function repeat(task: Task, run: (rep: number) => Promise<number>): Promise<Figure> {
  const rates: number[] = [];
  const start = performance.now();
  for (let rep = 0; rep <= task.reps; rep++) {
    const rate = await run(rep);
    const elapsed = performance.now() - start;
    // The first run warms compilers and caches and counts only where there is no time for another.
    if (rep > 0 || elapsed > task.budgetMs / 2) rates.push(rate);
    if (elapsed > task.budgetMs / 2 && (rep === 0 || elapsed > task.budgetMs)) break;
  }
  return { median: median(rates), min: Math.min(...rates), max: Math.max(...rates), reps: rates.length };
}

async function perform(task: Task, engine: Engine): Promise<Report> {
  const check = makePrompt(CHECK_LENGTHS.at(-1)!, 'check');
  const words = check.text.split(' ');
  const answers: Answers = { first: [], greedy: [] };
  let loadMs = 0;
  for (const length of CHECK_LENGTHS) {
    const prompt = { ids: check.ids.slice(0, length), text: words.slice(0, length - 1).join(' ') };
    const { output } = await engine.generate(prompt, 1);
    loadMs ||= performance.now() - (engine.startMs ?? 0);
    answers.first.push(typeof output === 'string' ? output : output[0]!);
  }
  answers.greedy = (await engine.generate(check, GREEDY)).output;
  const agreement = task.expected === undefined ? undefined : compare(task.expected, answers);

  const report: Report = {
    version: engine.version,
    threads: task.threads,
    loadMs,
    answers,
    agreement,
    prompts: {},
    decode: undefined,
    peakMemoryBytes: undefined,
  };
  if (!task.checkOnly && (agreement === undefined || agreement.first >= task.mustAgree)) {
    for (const n of task.prompts) {
      report.prompts[n] = await repeat(task, async rep => {
        const { promptMs } = await engine.generate(makePrompt(n, `prompt ${n} ${rep}`), 1);
        return (1000 * n) / promptMs;
      });
    }
    report.decode = await repeat(task, async rep => {
      const { decodeMs } = await engine.generate(makePrompt(16, `decode ${rep}`), task.decode + 1);
      return (1000 * task.decode) / decodeMs;
    });
  }
  const { peakMemoryBytes = () => process.resourceUsage().maxRSS * 1024 } = engine; // Node gives KiB
  report.peakMemoryBytes = peakMemoryBytes();
  return report;
}

/** Runs the task in this process's first argument with the system that `start` loads; prints its report, or { error }. */
export async function runContender(start: (task: Task) => Promise<Engine>): Promise<void> {
  try {
    const task: Task = JSON.parse(process.argv[2] ?? '');
    const engine = await start(task);
    console.log(JSON.stringify(await perform(task, engine)));
    await engine.close?.();
  } catch (error) {
    console.error(error);
    const [message] = String(error).split('\n');
    process.stdout.write(`${JSON.stringify({ error: message })}\n`, () => process.exit(1)); // a browser may still run
  }
}

/** Collects what an engine yields token by token. */
export async function timeTokens(start: number, ids: AsyncIterable<number>, n: number): Promise<Generated> {
  const output: number[] = [];
  let first = start;
  let last = start;
  for await (const id of ids) {
    last = performance.now();
    if (output.length === 0) first = last;
    output.push(id);
    if (output.length === n) break;
  }
  if (output.length < n) throw new Error(`expected ${n} tokens, got ${output.length}`);
  return { output, promptMs: first - start, decodeMs: last - first };
}
