import type { ByteSource } from '../../host/source.ts';
import { modelChunks } from '../make-model.ts';

/** A synthetic model as a file that is nowhere: what its tensors share is in memory once. @param model as `parseName` takes it */
export function modelSource(model: string): ByteSource {
  const chunks = [...modelChunks(model)];
  const starts: number[] = [];
  let size = 0;
  for (const { length } of chunks) {
    starts.push(size);
    size += length;
  }
  return {
    name: model,
    size,
    async readInto(view, offset) {
      const end = offset + view.length;
      let i = starts.findLastIndex(start => start <= offset);
      for (let at = offset; at < end; i++) {
        const from = at - starts[i]!;
        const part = chunks[i]!.subarray(from, from + end - at);
        view.set(part, at - offset);
        at += part.length;
      }
    },
  };
}
