import type { Buf } from '../backend.ts';
import type { TrainLlama } from './llama.ts';

/** What a buffer holds of one parameter. */
export interface Anatomy {
  name: string;
  /** Root of the mean square, and the largest magnitude, of the finite numbers. */
  rms: number;
  largest: number;
  /** Numbers that are not finite. */
  broken: number;
}

/** Every parameter of a buffer of them, to look for what has gone wrong. */
export async function anatomy({ backend, parameters }: TrainLlama, buf: Buf): Promise<Anatomy[]> {
  const values = await backend.readF32(buf, parameters.size);
  return parameters.list.map(({ name, first, rows, cols }) => {
    let squares = 0;
    let largest = 0;
    let broken = 0;
    for (const x of values.subarray(first, first + rows * cols)) {
      if (!Number.isFinite(x)) {
        broken++;
        continue;
      }
      squares += x * x;
      largest = Math.max(largest, Math.abs(x));
    }
    const finite = rows * cols - broken;
    return { name, rms: finite > 0 ? Math.sqrt(squares / finite) : 0, largest, broken };
  });
}
