import { FileError } from '../errors.ts';
import type { Source } from '../source.ts';
import { bytesSource } from './bytes.ts';
import { Broken, type Flow, flowOf, gather, networkFailed } from './flow.ts';
import { FlowSource } from './flow-source.ts';
import { answerOf, BUFFER_LIMIT } from './http.ts';

export interface StreamOptions {
  /** Of the whole stream in bytes. Without it the stream is held in memory. */
  size?: number;
  name?: string;
  /** Bytes kept behind the reading position. Default 8 MiB. */
  window?: number;
  /** The most bytes held in memory where the length is unknown. Default 256 MiB. */
  bufferLimit?: number;
}

/**
 * A stream that somebody else has opened: the body of an R2 object, a value of KV, a pipe. It can be read once, in order.
 * @throws FileError 'unknown-size', 'network-failed'; when read also 'needs-random-access', 'file-truncated'
 */
export async function stream(body: ReadableStream<Uint8Array>, options: StreamOptions = {}): Promise<Source> {
  return flowing(flowOf(body, 0), options.size, { name: 'stream', ...options });
}

/**
 * A response that somebody else has asked for: its status is checked, then it is read as a stream.
 * @throws as `stream`, and FileError 'file-not-found', 'access-denied', 'file-unreadable'
 */
export async function response(answer: Response, options: StreamOptions = {}): Promise<Source> {
  const name = options.name ?? (answer.url === '' ? 'Response' : answer.url);
  const { flow, size } = await answerOf(answer, name).catch(error => {
    throw error instanceof Broken ? networkFailed(name, error, 1) : error;
  });
  return flowing(flow, options.size ?? size, { ...options, name });
}

async function flowing(
  first: Flow,
  size: number | undefined,
  { name, window, bufferLimit = BUFFER_LIMIT }: StreamOptions & { name: string },
): Promise<Source> {
  if (size === undefined) {
    const bytes = await gather(first, name, bufferLimit).catch(error => {
      throw error instanceof Broken ? networkFailed(name, error, 1) : error;
    });
    return bytesSource(bytes, name);
  }
  return new FlowSource({
    name,
    size,
    first,
    ...(window !== undefined && { window }),
    rewindLimit: 0,
    patience: { retries: 0, delay: 0 },
    connect: async offset => {
      throw new FileError('needs-random-access', {
        where: `${name}: byte ${offset}`,
        expected: 'a stream that is open',
        got: 'one that has been read or let go',
        hint: 'Ask for it again: a stream is read once.',
      });
    },
  });
}
