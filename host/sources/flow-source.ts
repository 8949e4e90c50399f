import { FileError } from '../errors.ts';
import type { Source } from '../source.ts';
import { truncated } from './bytes.ts';
import { Broken, type Flow, networkFailed, PATIENCE, type Patience, pause, unlessAborted } from './flow.ts';

/** Bytes behind the reading position that are kept: a header is read twice, and threads overlap a little. */
export const WINDOW: number = 2 ** 23;
/** A larger gap is not read through if the flow can begin elsewhere. */
const SKIP = 2 ** 18;

export interface FlowSourceParts {
  name: string;
  size: number;
  /**
   * A flow that begins at `offset`, or before it if it cannot begin there.
   * @throws Broken if another attempt may succeed; FileError
   */
  connect: (offset: number, signal: AbortSignal) => Promise<Flow>;
  /** One that has begun already. */
  first?: Flow;
  /** Bytes kept behind the reading position. */
  window?: number;
  /** Where `connect` always begins anew: the most bytes that may be kept instead, so that it need not be. */
  rewindLimit?: number;
  patience?: Patience;
  /** Bytes held besides the window. */
  held?: number;
}

interface Chunk {
  offset: number;
  bytes: Uint8Array;
}

/** Reads of any place out of something that flows one way: it is continued where it broke, and begun anew elsewhere. */
export class FlowSource implements Source {
  readonly name: string;
  readonly size: number;
  readonly ordered = true;
  readonly held: number;
  readonly #parts: FlowSourceParts;
  readonly #patience: Patience;
  #window: number;
  #flow: Flow | undefined;
  #connection: AbortController | undefined;
  /** The bytes before the flow's next one, without gaps. */
  #chunks: Chunk[] = [];
  /** Offset of the flow's next byte. */
  #end: number;
  /** Attempts since the last byte that a caller got. */
  #failures = 0;
  /** The read before this one. */
  #last: Promise<void> = Promise.resolve();

  constructor(parts: FlowSourceParts) {
    this.#parts = parts;
    this.name = parts.name;
    this.size = parts.size;
    this.#patience = parts.patience ?? PATIENCE;
    this.#window = parts.window ?? WINDOW;
    this.held = Math.min(this.size, this.#window + SKIP) + (parts.held ?? 0);
    this.#flow = parts.first;
    this.#end = parts.first?.offset ?? 0;
  }

  readInto(view: Uint8Array, offset: number, signal?: AbortSignal): Promise<void> {
    const read = this.#last.then(() => this.#fill(view, offset, signal));
    this.#last = read.catch(() => {});
    return read;
  }

  async close(): Promise<void> {
    this.#hangUp();
    this.#chunks = [];
  }

  async #fill(view: Uint8Array, offset: number, signal: AbortSignal | undefined): Promise<void> {
    if (offset + view.length > this.size) throw truncated(this.name, offset, view.length, this.size);
    for (let done = 0; done < view.length; ) {
      signal?.throwIfAborted();
      const at = offset + done;
      const chunk = this.#chunks.find(({ offset, bytes }) => offset <= at && at < offset + bytes.length);
      if (chunk) {
        const piece = chunk.bytes.subarray(at - chunk.offset, at - chunk.offset + view.length - done);
        view.set(piece, done);
        done += piece.length;
        this.#failures = 0;
      } else await this.#advance(at, signal);
    }
  }

  /** Takes the next bytes of a flow that leads to `at`. */
  async #advance(at: number, signal: AbortSignal | undefined): Promise<void> {
    const start = this.#chunks[0]?.offset ?? this.#end;
    if (at < start) this.#rewind(at);
    else if (at > this.#end + (this.#flow ? SKIP : 0) && this.#parts.rewindLimit === undefined)
      this.#goTo(at);
    try {
      const flow = await unlessAborted(this.#connected(), signal);
      this.#trim(at);
      const bytes = await unlessAborted(flow.read(), signal);
      if (bytes) {
        this.#take(bytes);
        return;
      }
      throw new Broken(`an end after ${this.#end} of ${this.size} bytes`);
    } catch (error) {
      const gave = this.#flow !== undefined && this.#end > this.#flow.offset;
      this.#hangUp();
      signal?.throwIfAborted();
      if (!(error instanceof Broken)) throw error;
      const { retries, delay } = this.#patience;
      if (this.#failures === retries) throw networkFailed(this.name, error, this.#failures + 1);
      const wait = gave ? 0 : delay * 2 ** this.#failures;
      this.#failures++;
      await pause(wait, signal);
    }
  }

  async #connected(): Promise<Flow> {
    if (this.#flow) return this.#flow;
    const connection = new AbortController();
    this.#connection = connection;
    const flow = await this.#parts.connect(this.#end, connection.signal);
    if (connection.signal.aborted) {
      void flow.cancel();
      throw new Broken('a connection that is no longer wanted');
    }
    if (flow.offset > this.#end) throw new Broken(`bytes from ${flow.offset} on instead of ${this.#end}`);
    if (flow.offset !== this.#end) this.#goTo(flow.offset, flow);
    this.#flow = flow;
    return flow;
  }

  #take(bytes: Uint8Array): void {
    this.#chunks.push({ offset: this.#end, bytes });
    this.#end += bytes.length;
  }

  /** Lets go of what lies so far behind `at` that it need not be kept. */
  #trim(at: number): void {
    const keep = Math.min(at, this.#end) - this.#window;
    const endOf = ({ offset, bytes }: Chunk) => offset + bytes.length;
    this.#chunks = this.#chunks.filter(chunk => endOf(chunk) > keep);
    const first = this.#chunks[0];
    // a part of a model is one large chunk
    if (first && keep - first.offset > SKIP) {
      this.#chunks[0] = { offset: keep, bytes: first.bytes.slice(keep - first.offset) };
    }
  }

  /** @throws FileError 'needs-random-access' */
  #rewind(at: number): void {
    const { rewindLimit } = this.#parts;
    if (rewindLimit !== undefined) {
      if (this.size > rewindLimit) {
        throw new FileError('needs-random-access', {
          where: `${this.name}: byte ${at}`,
          expected: `bytes that come in the file's order, at most ${this.#window} back`,
          got: `a source that has gone on to byte ${this.#end} and cannot go back`,
          hint: 'Take a server that answers Range, a file, or a larger window.',
        });
      }
      this.#window = this.size;
    }
    this.#goTo(at);
  }

  #goTo(offset: number, keep?: Flow): void {
    if (!keep) this.#hangUp();
    this.#chunks = [];
    this.#end = offset;
  }

  #hangUp(): void {
    this.#connection?.abort();
    this.#connection = undefined;
    void this.#flow?.cancel();
    this.#flow = undefined;
  }
}
