import type { ModelSource } from '../api.ts';
import { readModelFile } from '../checkpoint.ts';
import { FileError } from '../errors.ts';
import type { LlamaConfig, ModelFile, StoredTensor } from '../model-file.ts';
import { decode, isStoredType } from '../quantize/decode.ts';
import type { Source } from '../source.ts';
import { type OpenSource, openSource } from '../sources.ts';
import { Parameters } from './parameters.ts';

/** A model to go on from. */
export interface FirstModel {
  config: LlamaConfig;
  tied: boolean;
  /** A buffer of parameters. */
  weights: Float32Array;
}

/**
 * The weights of a model file as f32, of any type that can be quantised.
 * @throws FileError
 * @internal
 */
export async function weightsFrom(
  model: ModelSource,
  signal?: AbortSignal,
  open: OpenSource = openSource,
): Promise<FirstModel> {
  const source = await open(model, signal);
  let file: ModelFile | undefined;
  try {
    file = await readModelFile(source, signal);
    const { config, tensors } = file;
    const tied = !tensors.has('output.weight');
    const parameters = new Parameters(config, tied);
    const weights = new Float32Array(parameters.size);
    for (const { name, first } of parameters.list) {
      weights.set(await valuesOf(file.source ?? source, tensors.get(name)!, signal), first);
    }
    return { config, tied, weights };
  } finally {
    await (file?.source ?? source).close();
  }
}

async function valuesOf(source: Source, tensor: StoredTensor, signal?: AbortSignal): Promise<Float32Array> {
  const type = tensor.dtype.toUpperCase();
  if (tensor.int8 || !isStoredType(type)) {
    throw new FileError('unsupported-dtype', {
      where: `${source.name}: ${tensor.name}`,
      expected: 'a type of GGUF, or f32',
      got: tensor.int8 ? 'int8 of llama2.c' : tensor.dtype,
      hint: 'Convert the model to F32 first.',
    });
  }
  const stored = new Uint8Array(tensor.bytes);
  await source.readInto(stored, tensor.offset, signal);
  return decode(type, stored);
}
