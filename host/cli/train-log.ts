import { type FileHandle, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventFileHead, eventFileName, type RunEvent, runFolder, scalarsEvent } from '../train/index.ts';
import { duration } from './format.ts';
import { Progress } from './progress.ts';
import { jsonLine, oneLine, write } from './terminal.ts';

/** What is said of a run once. */
interface About {
  parameters: number;
  /** Of a step. */
  flops: number;
  config: { sequences: number; microBatches: number; contextLength: number };
}

const NAME = 'log.jsonl';

/**
 * The log of a run: for programs in `log.jsonl`, for TensorBoard in a file of events a process, for people on stdout; on a
 * terminal the last line is alive.
 */
export class TrainLog {
  readonly #file: FileHandle;
  readonly #events: FileHandle;
  readonly #about: About;
  readonly #every: number;
  readonly #progress = new Progress();
  /** Of the steps since this process began. */
  #ms = 0;
  #steps = 0;

  /** What was logged after the step that is gone on from is dropped. @param every steps between lines */
  static async open(folder: string, about: About, step: number, every: number): Promise<TrainLog> {
    const path = join(folder, NAME);
    const old = await readFile(path, 'utf8').catch(() => '');
    const kept = step === 0 ? '' : linesUpTo(old, step);
    const head = jsonLine({ kind: 'run', step, time: new Date().toISOString(), ...about });
    const bytes = new TextEncoder().encode(kept + head);
    await runFolder(folder).write(NAME, sink => sink.write(bytes));
    const time = Date.now() / 1000;
    const events = await open(join(folder, eventFileName(time)), 'a');
    await events.appendFile(eventFileHead(step + 1, time));
    return new TrainLog(await open(path, 'a'), events, about, every);
  }

  /** Use `open`. */
  constructor(file: FileHandle, events: FileHandle, about: About, every: number) {
    this.#file = file;
    this.#events = events;
    this.#about = about;
    this.#every = every;
  }

  /** @param end the last step */
  async take(event: RunEvent, end: number): Promise<void> {
    const { ms, ...rest } = { ms: 0, ...event };
    await this.#file.appendFile(jsonLine({ ...rest, ...(ms > 0 && { ms: Math.round(ms) }) }));
    await this.#takeScalars(event);
    if (event.kind === 'step') {
      this.#ms += event.ms;
      this.#steps++;
      const line = this.#line(event, end);
      if (process.stderr.isTTY && event.step < end) this.#progress.show(line);
      else if (event.step % this.#every === 0 || event.step === end) await this.#print(line);
    } else if (event.kind === 'validation') {
      await this.#print(`step ${event.step}: validation loss ${event.loss.toFixed(4)}`);
    } else if (event.kind === 'sample') {
      await this.#print(`step ${event.step}: ${JSON.stringify(oneLine(event.prompt + event.text))}`);
    } else await this.#print(`step ${event.step}: checkpoint ${event.name}`);
  }

  clear(): void {
    this.#progress.clear();
  }

  async close(): Promise<void> {
    this.clear();
    await this.#file.close();
    await this.#events.close();
  }

  async #takeScalars(event: RunEvent): Promise<void> {
    if (event.kind !== 'step' && event.kind !== 'validation') return;
    const { step, loss } = event;
    const values =
      event.kind === 'validation'
        ? { 'loss/validation': loss }
        : { 'loss/train': loss, norm: event.norm, learning_rate: event.learningRate };
    await this.#events.appendFile(scalarsEvent({ step, time: Date.now() / 1000, values }));
  }

  #line({ step, loss, norm, learningRate, ms }: Extract<RunEvent, { kind: 'step' }>, end: number): string {
    const { flops, config } = this.#about;
    const tokens = config.sequences * config.microBatches * config.contextLength;
    const left = ((end - step) * this.#ms) / this.#steps / 1000;
    return [
      `step ${step}/${end}`,
      `loss ${loss.toFixed(4)}`,
      `norm ${norm.toFixed(3)}`,
      `lr ${learningRate.toExponential(2)}`,
      `${Math.round((tokens / ms) * 1000)} tok/s`,
      `${(flops / ms / 1e6).toFixed(1)} GFLOP/s`,
      `${duration(left)} left`,
    ].join('  ');
  }

  async #print(line: string): Promise<void> {
    this.#progress.clear();
    await write(`${line}\n`);
  }
}

/** Lines of a log about steps up to `step`; a torn last line is none. */
function linesUpTo(log: string, step: number): string {
  const lines = log.split('\n').filter(line => {
    try {
      return (JSON.parse(line) as { step: number }).step <= step;
    } catch {
      return false;
    }
  });
  return lines.map(line => `${line}\n`).join('');
}
