import type { Source } from '../source.ts';
import type { FromWorker, ToWorker } from './protocol.ts';

type Answer = Extract<ToWorker, { kind: 'bytes' }>;

/**
 * A source that is read by the thread that started this one, which alone has opened it, and which ends this one if it
 * cannot read.
 */
export class AskedSource implements Source {
  readonly name: string;
  readonly size: number;
  readonly #post: (message: FromWorker, transfer?: ArrayBuffer[]) => void;
  readonly #asked = new Map<number, (answer: Answer) => void>();
  #next = 0;
  /** A buffer that is not in use: buffers go to and fro. */
  #spare: ArrayBuffer[] = [];

  constructor(
    { name, size }: { name: string; size: number },
    post: (message: FromWorker, transfer?: ArrayBuffer[]) => void,
  ) {
    this.name = name;
    this.size = size;
    this.#post = post;
  }

  async readInto(view: Uint8Array, offset: number): Promise<void> {
    const id = this.#next++;
    const spare = this.#spare.pop();
    const bytes =
      spare && spare.byteLength >= view.length
        ? new Uint8Array(spare, 0, view.length)
        : new Uint8Array(view.length);
    const answer = await new Promise<Answer>(resolve => {
      this.#asked.set(id, resolve);
      this.#post({ kind: 'read', id, offset, bytes }, [bytes.buffer]);
    });
    view.set(answer.bytes);
    this.#spare.push(answer.bytes.buffer);
  }

  answer(answer: Answer): void {
    this.#asked.get(answer.id)?.(answer);
    this.#asked.delete(answer.id);
  }

  async close(): Promise<void> {}
}
