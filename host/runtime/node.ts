// Files and threads under Node, Deno and Bun, which all have node:fs and node:worker_threads.

import { type FileHandle, open, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { CudaDevice } from '../cuda-device.ts';
import { FileError } from '../errors.ts';
import type { Source } from '../source.ts';
import { RemoteRunner } from '../workers/remote-runner.ts';
import type { Thread } from '../workers/thread.ts';
import type { Names, Runtime } from './runtime.ts';

const require = createRequire(import.meta.url);

export const names: Names = {
  async open(name, signal, window) {
    if (typeof name === 'string' && !name.includes(':')) return openPath(name);
    const { openUrl, urlOf } = await import('../sources/urls.ts');
    const url = urlOf(name);
    return url && url.protocol !== 'file:' ? openUrl(url, signal, window) : openPath(url ?? name);
  },
  beside(name, file) {
    if (typeof name === 'string' && !/^(https?|file):/i.test(name)) return join(dirname(name), file);
    return new URL(encodeURIComponent(file), name);
  },
};

export const runtime: Runtime = {
  kernels: async () => (await import('../inlined.ts')).kernels(),
  names,
  sha256() {
    // loading it costs a first token 7 ms
    const { createHash } = require('node:crypto') as typeof import('node:crypto');
    const hash = createHash('sha256');
    return { update: bytes => void hash.update(bytes), digest: () => hash.digest('hex') };
  },
  async gpu(wanted, count) {
    const plugin = gpuPlugin();
    if (plugin === undefined && !wanted) return undefined;
    return (await import('../gpu.ts')).gpuPlace(plugin, wanted, count);
  },
  threads: {
    processors: availableParallelism,
    sharesMemory: () => true,
    start: count => RemoteRunner.start(count, startThread, runtime.kernels),
  },
};

/** A GPU for training. @throws StateError 'gpu-unavailable', 'out-of-memory' */
export const openGpu = async <B>(make: (device: CudaDevice) => B): Promise<B> =>
  (await import('../gpu.ts')).openGpu(gpuPlugin(), make);

/** The URL of the package that computes on GPUs; undefined where it is not installed. */
function gpuPlugin(): string | undefined {
  try {
    // a fifth of the time of a failing import
    return pathToFileURL(require.resolve('cria-cuda')).href;
  } catch {
    return undefined;
  }
}

/** Starts the program of a rank. */
const startThread = (): Thread => threadOf(new URL('./node-worker.js', import.meta.url));

/** Starts the program of a rank that trains. */
export const startTrainThread = (): Thread => threadOf(new URL('./node-train-worker.js', import.meta.url));

function threadOf(program: URL): Thread {
  // flags of the process are not for it: `node --input-type=module --eval` is one that a file cannot be run with
  const worker = new Worker(program, { execArgv: [] });
  let ended = false;
  return {
    post: (message, transfer) => worker.postMessage(message, transfer),
    listen(onMessage, onEnd) {
      worker.on('message', onMessage);
      worker.on('error', error => onEnd(error.stack ?? error.message));
      worker.on('exit', code => {
        if (!ended) onEnd(`an end with code ${code}`);
      });
    },
    hold(alive) {
      // a thread that is being ended is waited for
      if (alive || ended) worker.ref();
      else worker.unref();
    },
    async end() {
      ended = true;
      await worker.terminate();
    },
  };
}

/** What stands for a model in a folder: see foreign/index.ts. */
const DESCRIPTIONS = ['config.json', 'params.json'];

/** A file, or the description of the model in a folder. @throws FileError 'file-not-found', 'file-unreadable' */
async function openPath(path: string | URL): Promise<Source> {
  let name = String(path);
  let file: FileHandle;
  let size: number;
  try {
    if (path instanceof URL) name = fileURLToPath(path);
    // before it is opened, since opening a pipe waits for its other end
    let status = await stat(name);
    for (const file of status.isDirectory() ? DESCRIPTIONS : []) {
      const described = await stat(join(name, file)).catch(() => undefined);
      if (!described?.isFile()) continue;
      name = join(name, file);
      status = described;
      break;
    }
    if (!status.isFile()) {
      throw Object.assign(
        new Error(status.isDirectory() ? `a folder without ${DESCRIPTIONS.join(' or ')}` : 'no regular file'),
        {
          code: 'ENOTFILE',
        },
      );
    }
    size = status.size;
    file = await open(name, 'r');
  } catch (cause) {
    throw unreadable(name, cause);
  }
  return {
    name,
    size,
    async readInto(view, offset, signal) {
      for (let done = 0; done < view.length; ) {
        signal?.throwIfAborted();
        const { bytesRead } = await file.read(view, done, view.length - done, offset + done).catch(cause => {
          throw unreadable(name, cause);
        });
        if (bytesRead === 0) {
          throw new FileError('file-truncated', {
            where: `${name}: byte ${offset + done}`,
            expected: `${view.length - done} more bytes`,
            got: 'the end of the file',
            hint: 'The file changed or is incomplete; download it again.',
          });
        }
        done += bytesRead;
      }
    },
    beside: file => openPath(join(dirname(name), file)),
    close: () => file.close(),
  };
}

/** What to say of a file that the system did not give. */
function unreadable(name: string, cause: unknown): FileError {
  const { code = 'unknown', message = String(cause) } = cause as NodeJS.ErrnoException;
  const missing = code === 'ENOENT' || code === 'ENOTDIR';
  return new FileError(missing ? 'file-not-found' : 'file-unreadable', {
    where: JSON.stringify(name),
    expected: 'a file that can be read',
    got: missing ? 'no such file' : code === 'ENOTFILE' ? message : code,
    hint: missing ? 'Check the path.' : 'Check the path and its permissions.',
    cause,
  });
}
