// Asks servers for texts, as they stream.

import { installed } from './bundle.ts';
import { freePort } from './hosts.ts';
import { start } from './processes.ts';

export const NODE: string = installed('node24/bin/node');

/** A text as it came. */
export interface Streamed {
  text: string;
  /** In how many pieces. */
  pieces: number;
}

export async function streamed(response: Response): Promise<Streamed> {
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  const decoder = new TextDecoder();
  const all = { text: '', pieces: 0 };
  for await (const piece of response.body!) {
    all.text += decoder.decode(piece, { stream: true });
    all.pieces++;
  }
  return all;
}

/** Asks until a server is there: `tries` times in all, every 10 ms. */
export async function fetchUp(url: string, init: RequestInit = {}, tries = 1500): Promise<Response> {
  for (let i = 1; ; i++) {
    try {
      return await fetch(url, init);
    } catch (error) {
      if (i === tries) throw error;
      await new Promise(resolve => setTimeout(resolve, 10));
    }
  }
}

/**
 * Starts a server at a free port, leaves it in the middle of a first answer, and takes two more that were asked for at once.
 * @param args the program's, given its port
 */
export async function served(
  command: string,
  args: (port: number) => string[],
  cwd: string,
  path = '/',
): Promise<Streamed[]> {
  const port = await freePort();
  const env = { ...process.env, PORT: String(port), NO_COLOR: '1' };
  const server = start(command, args(port), { cwd, env }, false);
  const url = `http://127.0.0.1:${port}${path}`;
  try {
    const asked = async (): Promise<Streamed[]> => {
      const left = new AbortController();
      const first = await fetchUp(url, { signal: left.signal });
      if (!first.ok) throw new Error(`${first.status}: ${await first.text()}`);
      await first.body!.getReader().read();
      left.abort();
      return Promise.all([1, 2].map(async () => streamed(await fetch(url))));
    };
    const early = server.ended.then(output => Promise.reject(new Error(`it has ended: ${output}`)));
    return await Promise.race([asked(), early]);
  } finally {
    await server.stop();
  }
}
