import type { Backend, Buf } from '../backend.ts';
import type { Cuda } from '../cuda.ts';
import { OptionError } from '../errors.ts';
import { type Batch, Llama } from '../llama.ts';
import { LocalRunner } from '../local-runner.ts';
import { takeMemory } from '../memory.ts';
import { Pace } from '../pace.ts';
import type { Place } from '../place.ts';
import type { Runner } from '../runner.ts';
import { loadWeights } from '../weights.ts';
import { keeperOf, shareOf } from './share.ts';

/** The first rank of several that one thread drives: it makes the others' calls too, and they compute side by side. */
export class FirstLlama extends Llama {
  readonly #others: Llama[];

  /** @param others ranks 1, 2, … */
  constructor(others: Llama[], ...first: ConstructorParameters<typeof Llama>) {
    super(...first);
    this.#others = others;
  }

  override get bytes(): number {
    return this.#others.reduce((sum, { bytes }) => sum + bytes, super.bytes);
  }

  override forward(batch: Batch): void {
    this.#together(
      () => super.forward(batch),
      other => other.forward(batch),
    );
  }

  override logits(rows: ArrayLike<number>): Buf {
    return this.#together(
      () => super.logits(rows),
      other => other.logits(rows),
    );
  }

  /**
   * No GPU begins before all have their work: one that waits for another must not keep this thread from it, by a call of the driver that
   * waits too. If a rank fails, all are closed, as they are out of step.
   */
  #together<T>(first: () => T, others: (other: Llama) => unknown): T {
    const hold = (held: boolean) => {
      for (const { backend } of [this, ...this.#others]) (backend as Cuda).hold(held);
    };
    hold(true);
    try {
      const result = first();
      for (const other of this.#others) {
        others(other);
        settle(other);
      }
      return result;
    } catch (error) {
      if (!(error instanceof OptionError)) this.dispose();
      throw error;
    } finally {
      hold(false);
    }
  }

  override copySlot(from: number, to: number, count: number): void {
    super.copySlot(from, to, count);
    for (const other of this.#others) other.copySlot(from, to, count);
  }

  override readCache(
    cache: number,
    slot: number,
    head: number,
    first: number,
    count: number,
  ): Promise<Uint8Array> {
    const keeper = keeperOf(this.config, head, this.share.ranks);
    if (keeper === 0) return super.readCache(cache, slot, head, first, count);
    settle(this);
    return this.#others[keeper - 1]!.readCache(cache, slot, head, first, count);
  }

  override writeCache(cache: number, slot: number, head: number, first: number, rows: Uint8Array): void {
    super.writeCache(cache, slot, head, first, rows);
    for (const other of this.#others) other.writeCache(cache, slot, head, first, rows);
  }

  override dispose(): void {
    super.dispose();
    for (const other of this.#others) other.dispose();
  }
}

/**
 * Has a rank that nobody reads from wait for what is queued, so that it lets go of what was written. What fails there is told by the
 * rank that is read from.
 */
function settle({ backend, weights }: Llama): void {
  backend.readF32(weights.outputNorm.buf, 1).catch(() => {});
}

/** GPUs as the place of a model, each with its share of the rows. */
export class Gpus implements Place {
  readonly backend = 'cuda';
  readonly threads = 0;
  readonly #gpus: Backend[];

  /** @param gpus more than one, whose `gather` reaches the others */
  constructor(gpus: Backend[]) {
    this.#gpus = gpus;
  }

  async load(...[file, source, limits, calls]: Parameters<Place['load']>): Promise<Runner> {
    const { config } = file;
    const load = async (rank: number) => {
      const backend = this.#gpus[rank]!;
      const share = shareOf(config, rank, this.#gpus.length);
      takeMemory(backend, file, limits, share, source.name);
      const weights = await loadWeights(backend, file, source, { ...calls, share });
      return [backend, config, weights, limits, share] as const;
    };
    const first = await load(0);
    const others: Llama[] = [];
    while (others.length + 1 < this.#gpus.length) others.push(new Llama(...(await load(others.length + 1))));
    const llama = new FirstLlama(others, ...first);
    // a GPU's work keeps nobody from anything
    return new LocalRunner(llama, new Pace(Number.POSITIVE_INFINITY, limits.batch, limits.batch));
  }

  async close(): Promise<void> {
    for (const gpu of this.#gpus) gpu.dispose();
  }
}
