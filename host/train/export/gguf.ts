import { ggmlTypeNamed } from '../../ggml-types.ts';
import { type GgufValue, writeGguf } from '../../gguf-write.ts';
import type { LlamaConfig } from '../../model-file.ts';
import { quantize, type Sink } from '../../quantize/index.ts';
import type { QuantizeType } from '../../quantize/recipe.ts';
import { openSource } from '../../sources.ts';
import { vocabularyMetadata } from '../bpe/write.ts';
import type { Trained } from './trained.ts';

/** A model as a GGUF file whose matrices are stored in `type`. @throws what `sink` throws; the signal's reason */
export async function exportGguf(
  trained: Trained,
  sink: Sink,
  { type, name = 'model', signal }: { type: QuantizeType; name?: string; signal?: AbortSignal },
): Promise<void> {
  const { parameters, weights, llama, vocabulary } = trained;
  const tensors = parameters.list.map(({ name, rows, cols, norm, first }) => ({
    name,
    dims: norm ? [cols] : [cols, rows],
    ggmlType: ggmlTypeNamed('F32').id,
    data: bytesOf(weights.subarray(first, first + rows * cols)),
  }));
  const whole = writeGguf([...modelMetadata(llama, name), ...vocabularyMetadata(vocabulary)], tensors);
  await quantize(whole, sink, { type, ...(signal && { signal }) }, openSource);
}

/** The shape of a Llama as GGUF keys (ggml, docs/gguf.md). */
function* modelMetadata(llama: LlamaConfig, name: string): Generator<[key: string, value: GgufValue]> {
  const u32 = (value: number): GgufValue => ({ type: 'u32', value });
  const f32 = (value: number): GgufValue => ({ type: 'f32', value });
  yield ['general.architecture', { type: 'string', value: 'llama' }];
  yield ['general.name', { type: 'string', value: name }];
  yield ['llama.vocab_size', u32(llama.vocabSize)];
  yield ['llama.context_length', u32(llama.contextLength)];
  yield ['llama.embedding_length', u32(llama.dim)];
  yield ['llama.block_count', u32(llama.nLayers)];
  yield ['llama.feed_forward_length', u32(llama.hiddenDim)];
  yield ['llama.attention.head_count', u32(llama.nHeads)];
  yield ['llama.attention.head_count_kv', u32(llama.nKvHeads)];
  yield ['llama.attention.layer_norm_rms_epsilon', f32(llama.normEps)];
  yield ['llama.rope.dimension_count', u32(llama.headDim)];
  yield ['llama.rope.freq_base', f32(llama.ropeTheta)];
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
