// The program of another rank's thread: a replica of the model that answers micro-batches with gradients.

import { toPlain } from '../workers/plain-error.ts';
import type { Starter } from '../workers/thread.ts';
import { TrainLlama } from './llama.ts';
import type { FromRank, ToRank } from './protocol.ts';
import { instantiateTrain, TrainWasm } from './wasm.ts';

/** Computes for the thread that started this one. */
export function runTrainRank(starter: Starter): void {
  const post = (message: FromRank, transfer?: ArrayBuffer[]) => starter.post(message, transfer);
  let model: TrainLlama | undefined;
  /** Settles when everything said so far has been done. */
  let before: Promise<void> = Promise.resolve();

  const hear = async (message: ToRank): Promise<void> => {
    if (message.kind === 'start') {
      const backend = new TrainWasm(instantiateTrain(message.module));
      model = new TrainLlama(backend, message.config, message.options);
      return post({ kind: 'ready', bytes: backend.bytes });
    }
    const { backend, weights, gradient, parameters } = model!;
    if (message.kind === 'weights') return backend.writeF32(weights, message.weights);
    if (message.kind === 'losses') {
      const losses = (await model!.losses(message.batch)) as Float32Array<ArrayBuffer>;
      return post({ kind: 'done', losses, gradient: undefined }, [losses.buffer]);
    }
    const losses = (await model!.backward(message.batch)) as Float32Array<ArrayBuffer>;
    const numbers = (await backend.readF32(gradient, parameters.size)) as Float32Array<ArrayBuffer>;
    post({ kind: 'done', losses, gradient: numbers }, [losses.buffer, numbers.buffer]);
  };

  starter.listen(received => {
    before = before
      .then(() => hear(received as ToRank))
      .catch(error => post({ kind: 'failed', error: toPlain(error) }));
  });
}
