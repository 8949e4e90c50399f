// The first rank leads: it tells the others which call comes next, and all make it together.

import type { Backend, Buf } from '../backend.ts';
import { type Batch, checkBatch, checkRows, Llama, type LlamaLimits, type LlamaWeights } from '../llama.ts';
import { threadDied } from '../model-errors.ts';
import type { LlamaConfig } from '../model-file.ts';
import type { Exchange } from './exchange.ts';
import { keeperOf, type Share } from './share.ts';

const FORWARD = 1;
const LOGITS = 2;
const COPY = 3;
const READ = 4;
const WRITE = 5;

/** A Llama whose calls the other ranks make too. */
export class LeadingLlama extends Llama {
  readonly #exchange: Exchange;

  constructor(
    backend: Backend,
    config: LlamaConfig,
    weights: LlamaWeights,
    limits: LlamaLimits,
    share: Share,
    exchange: Exchange,
  ) {
    super(backend, config, weights, limits, share);
    this.#exchange = exchange;
  }

  override forward(batch: Batch): void {
    checkBatch(batch, this.config, this.limits);
    const { tokens, slots, positions } = batch;
    this.#tell(FORWARD, tokens, slots, positions);
    inStep(() => super.forward(batch));
  }

  override logits(rows: ArrayLike<number>): Buf {
    checkRows(rows, this.taken, this.limits);
    this.#tell(LOGITS, rows);
    return inStep(() => super.logits(rows));
  }

  override copySlot(from: number, to: number, count: number): void {
    this.#tell(COPY, [from, to, count]);
    super.copySlot(from, to, count);
  }

  override async readCache(
    cache: number,
    slot: number,
    head: number,
    first: number,
    count: number,
  ): Promise<Uint8Array> {
    const { config, share } = this;
    if (keeperOf(config, head, share.ranks) === 0) return super.readCache(cache, slot, head, first, count);
    this.#tell(READ, [cache, slot, head, first, count]);
    const exchange = this.#exchange;
    exchange.meet();
    const [length] = exchange.ints;
    const rows = exchange.bytes.slice(4, 4 + length!);
    exchange.turn();
    return rows;
  }

  override writeCache(cache: number, slot: number, head: number, first: number, rows: Uint8Array): void {
    this.#tell(WRITE, [cache, slot, head, first, rows.length]);
    const exchange = this.#exchange;
    exchange.bytes.set(rows);
    exchange.meet();
    exchange.turn();
    super.writeCache(cache, slot, head, first, rows);
  }

  #tell(call: number, ...lists: ArrayLike<number>[]): void {
    const exchange = this.#exchange;
    const { ints } = exchange;
    ints[0] = call;
    ints[1] = lists[0]!.length;
    let at = 2;
    for (const list of lists) {
      ints.set(list, at);
      at += list.length;
    }
    exchange.meet();
    exchange.turn();
  }
}

/** What fails in one rank leaves the others waiting in the middle of a call. */
function inStep<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw threadDied(0, error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
}

/** Makes the calls that the leader makes, forever: the thread is ended from outside. @throws what fails in one */
export async function follow(llama: Llama, exchange: Exchange): Promise<never> {
  for (;;) {
    exchange.meet();
    const { ints } = exchange;
    const n = ints[1]!;
    const list = (i: number) => Array.from(ints.subarray(2 + i * n, 2 + (i + 1) * n));
    const call = ints[0];
    const args = list(0);
    const batch = call === FORWARD ? { tokens: args, slots: list(1), positions: list(2) } : undefined;
    exchange.turn();
    if (batch) llama.forward(batch);
    else if (call === LOGITS) llama.logits(args);
    else if (call === COPY) llama.copySlot(args[0]!, args[1]!, args[2]!);
    else if (call === READ) await give(llama, exchange, args as Place);
    else if (call === WRITE) take(llama, exchange, args as Place);
  }
}

/** The arguments of READ and WRITE; the last one is a number of positions or of bytes. */
type Place = [cache: number, slot: number, head: number, first: number, length: number];

async function give(llama: Llama, exchange: Exchange, place: Place): Promise<void> {
  if (keeperOf(llama.config, place[2], llama.share.ranks) === llama.share.rank) {
    const rows = await llama.readCache(...place);
    exchange.ints[0] = rows.length;
    exchange.bytes.set(rows, 4);
  }
  exchange.meet();
  exchange.turn();
}

function take(llama: Llama, exchange: Exchange, [cache, slot, head, first, length]: Place): void {
  exchange.meet();
  llama.writeCache(cache, slot, head, first, exchange.bytes.slice(0, length));
  exchange.turn();
}
