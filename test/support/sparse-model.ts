import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { ggmlTypeNamed } from '../../host/ggml-types.ts';
import { type GgufTensorData, ggufChunks } from '../../host/gguf-write.ts';
import { llamaShapes, type TensorShape } from '../../host/llama-shape.ts';
import type { LlamaConfig } from '../../host/model-file.ts';
import { quantize } from './quantize.ts';
import { metadataOf, uniform } from './tiny-model.ts';

/** Of so many rows of a matrix one is not zero. */
export const SPARSE = 64;

/**
 * Writes a Q8_0 model in which one row of `SPARSE` has random weights and the others are zero: as large for who reads
 * it as any, but the file has holes.
 */
export function writeSparseModel(path: string, config: LlamaConfig): void {
  const random = uniform(7);
  const output = { name: 'output.weight', rows: config.vocabSize, cols: config.dim, norm: false };
  const tensors = [...llamaShapes(config), output].map(shape => sparseTensor(shape, random));
  const file = openSync(path, 'w');
  try {
    let at = 0;
    for (const chunk of ggufChunks(metadataOf(config), tensors)) {
      for (let start = 0; start < chunk.length; start += PAGE) {
        const page = chunk.subarray(start, start + PAGE);
        if (page.some(byte => byte !== 0)) writeSync(file, page, 0, page.length, at + start);
      }
      at += chunk.length;
    }
    ftruncateSync(file, at);
  } finally {
    closeSync(file);
  }
}

const PAGE = 4096;

function sparseTensor({ name, rows, cols, norm }: TensorShape, random: () => number): GgufTensorData {
  if (norm) {
    const data = quantize('F32', new Float32Array(cols).fill(1));
    return { name, dims: [cols], ggmlType: ggmlTypeNamed('F32').id, data };
  }
  const { id, values, bytes } = ggmlTypeNamed('Q8_0');
  const rowBytes = (cols / values) * bytes;
  const spread = Math.sqrt(3 / (name === 'token_embd.weight' ? 1 : cols));
  const data = () => {
    const out = new Uint8Array(rows * rowBytes);
    for (let row = 0; row < rows; row += SPARSE) {
      out.set(
        quantize(
          'Q8_0',
          Float32Array.from({ length: cols }, () => spread * random()),
        ),
        row * rowBytes,
      );
    }
    return out;
  };
  return { name, dims: [cols, rows], ggmlType: id, data };
}
