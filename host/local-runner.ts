import type { Buf } from './backend.ts';
import { rowBytes } from './dtype.ts';
import type { Llama } from './llama.ts';
import type { Pace } from './pace.ts';
import type { Draw, Runner, SequenceRequest } from './runner.ts';
import { Sampler, type SamplerBuffers, samplerBuffers } from './sampler.ts';
import { Slots } from './slots.ts';
import { turn } from './turn.ts';

/** A sequence that has a slot. */
interface Sequence {
  index: number;
  request: SequenceRequest;
  slot: number;
  sampler: Sampler;
  /** Prompt and drawn tokens. */
  history: number[];
  /** Tokens of the prompt that were in the cache. */
  cached: number;
}

/** A sequence and the row of the batch that holds its last token. */
interface Drawing {
  sequence: Sequence;
  row: number;
}

/** Bytes of a kv cache moved at once; `capacityFor` makes room for more. */
const PIECE_BYTES = 2 ** 17;

/** Runs a Llama in this thread; the event loop turns after every piece of work. */
export class LocalRunner implements Runner {
  readonly #llama: Llama;
  readonly #slots: Slots;
  readonly #pace: Pace;
  readonly #buffers: SamplerBuffers;
  /** One row of logits: as they are drawn from, and as the model gave them. */
  readonly #row: Buf; // (vocabSize)
  readonly #raw: Buf; // (vocabSize)
  readonly #losses: Buf; // (limits.outputs)

  /** @param pace how long a piece of work may take */
  constructor(llama: Llama, pace: Pace) {
    const { backend, config, limits } = llama;
    this.#llama = llama;
    this.#slots = new Slots(llama);
    this.#pace = pace;
    this.#buffers = samplerBuffers(backend, config.vocabSize);
    this.#row = backend.allocF32(config.vocabSize);
    this.#raw = backend.allocF32(config.vocabSize);
    this.#losses = backend.allocF32(limits.outputs);
  }

  get bytes(): number {
    return this.#llama.bytes;
  }

  async *generate(
    requests: SequenceRequest[],
    signal: AbortSignal,
  ): AsyncGenerator<Draw[], void, number[] | undefined> {
    const waiting = [...requests.entries()];
    let active: Sequence[] = [];
    let ms = 0;
    try {
      while (waiting.length > 0 || active.length > 0) {
        const from = performance.now();
        this.#admit(waiting, active);
        const drawing = this.#forward(active);
        const forwardMs = ms + performance.now() - from;
        const draws: Draw[] = [];
        for (const piece of pieces(drawing, this.#llama.limits.outputs))
          draws.push(...(await this.#draw(piece)));
        ms += performance.now() - from;
        for (const [i, { sequence }] of drawing.entries()) {
          draws[i]!.ms = ms;
          if (sequence.history.length === sequence.request.prompt.length + 1)
            draws[i]!.prompt = { ms: forwardMs, cached: sequence.cached };
        }
        const gone = new Set(
          drawing
            .map(({ sequence }) => sequence)
            .filter(isOver)
            .map(({ index }) => index),
        );
        for (const index of (draws.length > 0 ? yield draws : undefined) ?? []) gone.add(index);
        for (const { index, slot } of active) if (gone.has(index)) this.#slots.release(slot);
        active = active.filter(({ index }) => !gone.has(index));
        await turn(signal);
      }
    } finally {
      for (const { slot } of active) this.#slots.release(slot);
    }
  }

  /** Gives slots to waiting sequences, as long as none has more than its last token to compute before it draws. */
  #admit(waiting: [number, SequenceRequest][], active: Sequence[]): void {
    while (this.#slots.free > 0 && active.every(sequence => this.#left(sequence) === 1)) {
      const next = waiting.shift();
      if (!next) return;
      const [index, request] = next;
      const { backend, config } = this.#llama;
      const sampler = new Sampler(backend, this.#buffers, config.vocabSize, request.sampling);
      const slot = this.#slots.take(request.prompt);
      const cached = this.#slots.held(slot).length;
      active.push({ index, request, slot, sampler, history: [...request.prompt], cached });
    }
  }

  /** Tokens of a sequence that are not in the cache yet. */
  #left({ history, slot }: Sequence): number {
    return history.length - this.#slots.held(slot).length;
  }

  /** One batch: the last token of each sequence, or a piece of a prompt. @returns whose last token is in it, and where */
  #forward(active: Sequence[]): Drawing[] {
    const { limits } = this.#llama;
    const batch = { tokens: [] as number[], slots: [] as number[], positions: [] as number[] };
    const drawing: Drawing[] = [];
    let longest = 0;
    for (const sequence of active) {
      const { history, slot } = sequence;
      const position = this.#slots.held(slot).length;
      const room = limits.batch - batch.tokens.length - (active.length - 1);
      const count = Math.min(history.length - position, Math.max(1, Math.min(room, this.#pace.size)));
      for (let i = position; i < position + count; i++) {
        batch.tokens.push(history[i]!);
        batch.slots.push(slot);
        batch.positions.push(i);
      }
      longest = Math.max(longest, count);
      if (position + count === history.length) drawing.push({ sequence, row: batch.tokens.length - 1 });
    }
    const from = performance.now();
    this.#llama.forward(batch);
    if (longest > 1) this.#pace.took(longest, performance.now() - from);
    this.#note(batch);
    return drawing;
  }

  #note({ tokens, slots, positions }: { tokens: number[]; slots: number[]; positions: number[] }): void {
    for (const [i, id] of tokens.entries()) this.#slots.put(slots[i]!, positions[i]!, [id]);
  }

  /** Draws for at most `limits.outputs` sequences. All are asked for before the first is waited for, as a GPU likes it. */
  async #draw(drawing: Drawing[]): Promise<Draw[]> {
    const { backend: b, config } = this.#llama;
    const { vocabSize } = config;
    const logits = this.#llama.logits(drawing.map(({ row }) => row));
    const draws: Promise<Draw>[] = [];
    for (const [i, { sequence }] of drawing.entries()) {
      const { history, request, sampler } = sequence;
      b.writeI32(this.#buffers.id, [i]);
      b.takeRows(this.#row, logits, this.#buffers.id, 1, vocabSize);
      if (request.logprobs !== undefined) b.takeRows(this.#raw, logits, this.#buffers.id, 1, vocabSize);
      const draw = this.#drawn(sequence, sampler.next(this.#row, history));
      // nobody waits for the others when one fails
      draw.catch(() => {});
      draws.push(draw);
      // more is to be read of this row
      if (request.logprobs !== undefined) await draw;
    }
    return Promise.all(draws);
  }

  async #drawn({ index, history, request }: Sequence, next: Promise<number>): Promise<Draw> {
    const draw: Draw = { sequence: index, id: await next, ms: 0 };
    if (request.logprobs !== undefined) await this.#addLogprobs(draw, request.logprobs);
    history.push(draw.id);
    return draw;
  }

  async #addLogprobs(draw: Draw, count: number): Promise<void> {
    const { backend: b, config } = this.#llama;
    const { id, ids, values } = this.#buffers;
    const n = Math.min(count, config.vocabSize);
    b.writeI32(id, [draw.id]);
    b.crossEntropy(this.#losses, this.#raw, id, 1, config.vocabSize);
    draw.logprob = -(await b.readF32(this.#losses, 1))[0]!;
    if (n === 0) return;
    b.topLogprobs(ids, values, this.#raw, config.vocabSize, n);
    const top = await b.readI32(ids, n);
    const logprobs = await b.readF32(values, n);
    draw.top = Array.from(top, (id, i) => ({ id, logprob: logprobs[i]! }));
  }

  async *logits(ids: number[], signal: AbortSignal): AsyncGenerator<Float32Array, void, undefined> {
    const { backend, config } = this.#llama;
    for await (const { rows } of this.#whole(ids, signal)) {
      yield await backend.readF32(this.#llama.logits(rows), rows.length * config.vocabSize);
    }
  }

  async *losses(ids: number[], signal: AbortSignal): AsyncGenerator<Float32Array, void, undefined> {
    const { backend, config } = this.#llama;
    for await (const { rows, first } of this.#whole(ids.slice(0, -1), signal)) {
      backend.writeI32(
        this.#buffers.ids,
        rows.map((_, i) => ids[first + i + 1]!),
      );
      const logits = this.#llama.logits(rows);
      backend.crossEntropy(this.#losses, logits, this.#buffers.ids, rows.length, config.vocabSize);
      yield await backend.readF32(this.#losses, rows.length);
    }
  }

  /** Runs a sequence from position 0; gives rows of the last batch whose outputs may be had, and the first's position. */
  async *#whole(
    ids: number[],
    signal: AbortSignal,
  ): AsyncGenerator<{ rows: number[]; first: number }, void, undefined> {
    const slot = this.#slots.take(ids.slice(0, 1));
    this.#slots.release(slot);
    for (let position = 0; position < ids.length; ) {
      const from = performance.now();
      const tokens = ids.slice(position, position + this.#pace.size);
      this.#llama.forward({
        tokens,
        slots: tokens.map(() => slot),
        positions: tokens.map((_, i) => position + i),
      });
      this.#slots.put(slot, position, tokens);
      const rows = [...tokens.keys()];
      for (const piece of pieces(rows, this.#llama.limits.outputs)) {
        yield { rows: piece, first: position + piece[0]! };
      }
      this.#pace.took(tokens.length, performance.now() - from);
      position += tokens.length;
      await turn(signal);
    }
  }

  async *save(signal: AbortSignal): AsyncGenerator<number[] | Uint8Array, void, undefined> {
    const slot = this.#slots.latest;
    const tokens = [...this.#slots.held(slot)];
    yield tokens;
    for (const { cache, head, first, count } of this.#places(tokens.length)) {
      yield await this.#llama.readCache(cache, slot, head, first, count);
      await turn(signal);
    }
  }

  async *restore(
    tokens: number[],
    rows: Uint8Array,
    signal: AbortSignal,
  ): AsyncGenerator<number, void, undefined> {
    const slot = this.#slots.take(tokens.slice(0, 1));
    this.#slots.release(slot);
    this.#slots.put(slot, 0, []);
    let at = 0;
    for (const { cache, head, first, count } of this.#places(tokens.length)) {
      const bytes = count * this.#rowBytes;
      this.#llama.writeCache(cache, slot, head, first, rows.subarray(at, at + bytes));
      at += bytes;
      yield at;
      await turn(signal);
    }
    this.#slots.put(slot, 0, tokens);
  }

  async close(): Promise<void> {
    this.#llama.dispose();
  }

  get #rowBytes(): number {
    return rowBytes(this.#llama.limits.cache, this.#llama.config.headDim);
  }

  /** All rows of a slot in the order of a snapshot, in pieces that ranks can give each other. */
  *#places(length: number): Generator<{ cache: number; head: number; first: number; count: number }> {
    const { nLayers, nKvHeads } = this.#llama.config;
    const atOnce = Math.max(1, Math.floor(PIECE_BYTES / this.#rowBytes));
    for (let cache = 0; cache < 2 * nLayers; cache++) {
      for (let head = 0; head < nKvHeads; head++) {
        for (let first = 0; first < length; first += atOnce) {
          yield { cache, head, first, count: Math.min(atOnce, length - first) };
        }
      }
    }
  }
}

function isOver({ request, history }: Sequence): boolean {
  return (
    request.ends.includes(history.at(-1)!) || history.length === request.prompt.length + request.maxTokens
  );
}

function* pieces<T>(items: T[], size: number): Generator<T[]> {
  for (let i = 0; i < items.length; i += size) yield items.slice(i, i + size);
}
