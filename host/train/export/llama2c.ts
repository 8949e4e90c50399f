import type { Vocabulary } from '../../model-file.ts';
import { TrainWasm, trainKernels } from '../wasm.ts';
import type { Trained } from './trained.ts';

/** The order of a legacy checkpoint; a part of a layer stands for that part of every layer, one after the other. */
const ORDER = [
  'token_embd',
  'attn_norm',
  'attn_q',
  'attn_k',
  'attn_v',
  'attn_output',
  'ffn_norm',
  'ffn_gate',
  'ffn_down',
  'ffn_up',
  'output_norm',
] as const;

/** A legacy checkpoint of llama2.c, which run.c reads (karpathy/llama2.c, export.py `legacy_export`): f32. */
export async function llama2cCheckpoint({ llama, tied, parameters, weights }: Trained): Promise<Uint8Array> {
  const { dim, hiddenDim, nLayers, nHeads, nKvHeads, headDim, vocabSize, contextLength, ropeTheta } = llama;
  const parts: Float32Array[] = [];
  const add = (pattern: RegExp) => {
    for (const { name, first, rows, cols } of parameters.list) {
      if (pattern.test(name)) parts.push(weights.subarray(first, first + rows * cols));
    }
  };
  for (const part of ORDER) add(new RegExp(`^(blk\\.\\d+\\.)?${part}\\.weight$`));
  const backend = new TrainWasm(await trainKernels());
  const table = backend.allocF32(contextLength * headDim);
  backend.ropeTable(table, undefined, 0, contextLength, headDim, ropeTheta, 1);
  const angles = await backend.readF32(table, contextLength * headDim);
  backend.dispose();
  for (const which of [0, 1]) parts.push(angles.filter((_, i) => i % 2 === which)); // cosines, then sines
  if (!tied) add(/^output\.weight$/);

  const count = parts.reduce((sum, part) => sum + part.length, 0);
  const file = new Uint8Array(28 + 4 * count);
  const signedVocab = tied ? vocabSize : -vocabSize;
  const numbers = [dim, hiddenDim, nLayers, nHeads, nKvHeads, signedVocab, contextLength];
  new Int32Array(file.buffer, 0, 7).set(numbers);
  const values = new Float32Array(file.buffer, 28);
  let at = 0;
  for (const part of parts) {
    values.set(part, at);
    at += part.length;
  }
  return file;
}

/** llama2.c's tokenizer file (tokenizer.py `export`): the length of the longest piece; score, length, bytes of each. */
export function llama2cTokenizer({ pieces, scores, bos, eos }: Vocabulary): Uint8Array {
  const texts = pieces.map((piece, id) => {
    const spelt = id === bos || id === eos ? `\n${piece}\n` : piece.replaceAll('\u2581', ' ');
    return new TextEncoder().encode(spelt);
  });
  const file = new Uint8Array(4 + texts.reduce((sum, text) => sum + 8 + text.length, 0));
  const view = new DataView(file.buffer);
  view.setUint32(0, Math.max(...texts.map(({ length }) => length)), true);
  let at = 4;
  texts.forEach((text, id) => {
    view.setFloat32(at, scores[id]!, true);
    view.setUint32(at + 4, text.length, true);
    file.set(text, at + 8);
    at += 8 + text.length;
  });
  return file;
}
