// Sees every thread that a model starts, and can change what one is told: import it before anything starts a thread.

import { syncBuiltinESMExports } from 'node:module';
import workerThreads from 'node:worker_threads';
import binaryen from 'binaryen';
import { order, simd } from '../../host/kernels.js';
import { bytesOf } from '../../host/text-bytes.ts';
import type { Task } from '../../host/workers/protocol.ts';

/** Threads that have not ended, in the order of their start. */
export const alive: Set<workerThreads.Worker> = new Set();

export const plan: {
  /** Changes the first message to a rank. */
  load: (task: Task) => Task;
  /** How many threads the system has. */
  most: number;
} = { load: task => task, most: Number.POSITIVE_INFINITY };

class WatchedWorker extends workerThreads.Worker {
  constructor(file: URL, options: workerThreads.WorkerOptions) {
    if (alive.size >= plan.most) throw new Error('no more threads');
    super(file, options);
    alive.add(this);
    this.on('exit', () => alive.delete(this));
  }

  override postMessage(message: unknown, transfer?: readonly workerThreads.TransferListItem[]): void {
    const { kind } = message as Task;
    super.postMessage(kind === 'load' ? plan.load(message as Task) : message, transfer);
  }
}
workerThreads.Worker = WatchedWorker;
syncBuiltinESMExports();

/** The kernels, of which one fails in its n-th call. */
export function failing(kernel: string, n: number): WebAssembly.Module {
  const module = binaryen.readBinaryWithFeatures(Buffer.from(bytesOf(simd, order)), binaryen.Features.All);
  const { value } = binaryen.getExportInfo(module.getExport(kernel));
  const { params } = binaryen.getFunctionInfo(module.getFunction(value));
  const types = binaryen.expandType(params);
  const left = module.global.get('left', binaryen.i32);
  module.addGlobal('left', binaryen.i32, true, module.i32.const(n));
  const body = module.block(null, [
    module.global.set('left', module.i32.sub(left, module.i32.const(1))),
    module.if(module.i32.eqz(module.global.get('left', binaryen.i32)), module.unreachable()),
    module.call(
      value,
      types.map((type, i) => module.local.get(i, type)),
      binaryen.none,
    ),
  ]);
  module.addFunction('failing', params, binaryen.none, [], body);
  module.removeExport(kernel);
  module.addFunctionExport('failing', kernel);
  const binary = new Uint8Array(module.emitBinary());
  module.dispose();
  return new WebAssembly.Module(binary);
}
