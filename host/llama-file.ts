import type { DType } from './dtype.ts';
import { type ErrorCode, FileError, quote } from './errors.ts';
import { GgufType } from './ggml-types.ts';
import type { GgufHeader, GgufTensor } from './gguf.ts';
import { describe } from './gguf-values.ts';
import { checkConfig, llamaShapes, type TensorShape } from './llama-shape.ts';
import type { LlamaConfig, ModelFile, StoredTensor } from './model-file.ts';
import { vocabularyFromMetadata } from './vocabulary.ts';

/** ggml types that the kernels can run, by their ggml name. */
export const RUNNABLE: Readonly<Record<string, DType>> = {
  F32: 'f32',
  F16: 'f16',
  BF16: 'bf16',
  Q8_0: 'q8_0',
  Q4_0: 'q4_0',
  Q4_1: 'q4_1',
  Q5_0: 'q5_0',
  Q5_1: 'q5_1',
  Q2_K: 'q2_k',
  Q3_K: 'q3_k',
  Q4_K: 'q4_k',
  Q5_K: 'q5_k',
  Q6_K: 'q6_k',
  IQ4_NL: 'iq4_nl',
  IQ4_XS: 'iq4_xs',
};

/** The GGUF key behind each field, for messages. */
const KEY: Record<keyof LlamaConfig, string> = {
  dim: 'llama.embedding_length',
  hiddenDim: 'llama.feed_forward_length',
  nLayers: 'llama.block_count',
  nHeads: 'llama.attention.head_count',
  nKvHeads: 'llama.attention.head_count_kv',
  headDim: 'llama.rope.dimension_count',
  vocabSize: 'llama.vocab_size',
  contextLength: 'llama.context_length',
  normEps: 'llama.attention.layer_norm_rms_epsilon',
  ropeTheta: 'llama.rope.freq_base',
  ropeScale: 'llama.rope.scaling.factor',
};

/** Tensors that old converters wrote and that carry nothing: inverse frequencies which follow from `rope.freq_base`. */
const LEFTOVER = /^(rope_freqs|blk\.\d+\.attn_rot_embd\.weight)$/;

/**
 * Makes sure that a GGUF file holds a Llama that Cria can run, and names its parts.
 *
 * @throws FileError for another architecture, hyper-parameters at odds with each other, tensors that are missing, too
 *   many, of the wrong shape or of a type that no kernel reads, or a vocabulary that does not fit
 */
export function modelFromGguf(header: GgufHeader, fileSize: number, name: string): ModelFile {
  const { values } = header;
  const fail = (code: ErrorCode, place: string, expected: string, got: string, hint: string): FileError =>
    new FileError(code, { where: `${name}: ${place}`, expected, got, hint });

  const architecture = values.get('general.architecture');
  if (architecture === undefined) {
    throw fail('missing-key', 'general.architecture', '"llama"', 'nothing', 'This is not a model file.');
  }
  if (architecture !== 'llama') {
    const hint = 'Cria runs models of the Llama family; `cria show` lists what a file holds.';
    throw fail('unsupported-architecture', 'general.architecture', '"llama"', describe(architecture), hint);
  }
  refuseVariants(header, fail);
  if (header.tensors.length === 0) {
    const hint = values.has('tokenizer.ggml.tokens')
      ? 'The file is a vocabulary only: use it with `cria tokenize`.'
      : 'Download the file that holds the weights.';
    throw fail('no-weights', 'tensors', 'the weights of a model', `none in ${fileSize} bytes`, hint);
  }

  const stored = new Map(header.tensors.map(tensor => [tensor.name, tensor]));
  const embedding = stored.get('token_embd.weight');
  if (embedding === undefined) throw missing(fail, 'token_embd.weight');
  const config = readConfig(header, rowsOf(embedding), fail);
  checkConfig(config, name, field => KEY[field]);

  const tensors = new Map<string, StoredTensor>();
  const take = (shape: TensorShape): void => {
    const tensor = stored.get(shape.name);
    if (tensor === undefined) throw missing(fail, shape.name);
    tensors.set(shape.name, checked(tensor, shape, fail));
  };
  for (const shape of llamaShapes(config)) take(shape);
  // Without an output matrix the embedding serves as one.
  if (stored.has('output.weight')) {
    take({ name: 'output.weight', rows: config.vocabSize, cols: config.dim, norm: false });
  }
  if (stored.has('rope_freqs.weight')) {
    take({ name: 'rope_freqs.weight', rows: 1, cols: config.headDim / 2, norm: true });
  }
  for (const tensor of header.tensors) {
    if (tensors.has(tensor.name) || LEFTOVER.test(tensor.name)) continue;
    const hint = 'The model is not a plain Llama; Cria would compute something else than it was trained for.';
    throw fail('unexpected-tensor', 'tensors', 'only those of a Llama', quote(tensor.name), hint);
  }

  const vocabulary = vocabularyFromMetadata(values, name);
  // not `pieces.length`, which would make all the pieces
  if (vocabulary !== undefined && vocabulary.types.length !== config.vocabSize) {
    const got = `${vocabulary.types.length}`;
    throw fail(
      'bad-vocabulary',
      'tokenizer.ggml.tokens',
      `${config.vocabSize} tokens, one a row of the embedding`,
      got,
      DAMAGED,
    );
  }
  const title = values.get('general.name');
  return {
    format: 'gguf',
    version: header.version,
    name: typeof title === 'string' ? title : undefined,
    get metadata() {
      return header.metadata;
    },
    config,
    tensors,
    vocabulary,
  };
}

type Fail = (code: ErrorCode, place: string, expected: string, got: string, hint: string) => FileError;

const DAMAGED = 'The file is damaged or was converted wrongly.';

function missing(fail: Fail, tensor: string): FileError {
  return fail('missing-tensor', 'tensors', quote(tensor), 'a file without it', DAMAGED);
}

/** Keys with which a file calls itself `llama` but wants other arithmetic or is only a part. */
function refuseVariants({ values }: GgufHeader, fail: Fail): void {
  const experts = values.get('llama.expert_count');
  if (experts !== undefined && experts !== 0) {
    const hint = 'Mixtures of experts are not supported.';
    throw fail(
      'unsupported-architecture',
      'llama.expert_count',
      'a dense model',
      `${describe(experts)} experts`,
      hint,
    );
  }
  if (values.get('llama.attention.causal') === false) {
    const hint = 'Cria runs decoders only.';
    throw fail('unsupported-architecture', 'llama.attention.causal', 'causal attention', 'false', hint);
  }
  const parts = values.get('split.count');
  if (parts !== undefined && parts !== 0 && parts !== 1) {
    const hint = 'Join the parts with `llama-gguf-split --merge`.';
    throw fail('missing-tensor', 'split.count', 'a whole model', `one of ${describe(parts)} parts`, hint);
  }
}

const INTEGERS: readonly number[] = [
  GgufType.u8,
  GgufType.i8,
  GgufType.u16,
  GgufType.i16,
  GgufType.u32,
  GgufType.i32,
  GgufType.u64,
  GgufType.i64,
];
const FLOATS: readonly number[] = [GgufType.f32, GgufType.f64];

function readConfig({ values, valueTypes }: GgufHeader, embeddingRows: number, fail: Fail): LlamaConfig {
  const number = (key: string, types: readonly number[], kind: string, fallback?: number): number => {
    const value = values.get(key);
    if (value === undefined) {
      if (fallback !== undefined) return fallback;
      throw fail('missing-key', key, kind, 'nothing', DAMAGED);
    }
    if (!types.includes(valueTypes.get(key)!))
      throw fail('wrong-key-type', key, kind, describe(value), DAMAGED);
    // A bigint is beyond every limit that follows.
    return Number(value);
  };
  const integer = (key: string, fallback?: number): number => number(key, INTEGERS, 'an integer', fallback);
  const float = (key: string, fallback?: number): number => number(key, FLOATS, 'a float', fallback);
  /** A key that is redundant here, and refused where it is not. */
  const same = (key: string, expected: number): void => {
    const value = integer(key, expected);
    if (value !== expected)
      throw fail('bad-hyperparameter', key, `${expected}`, `${value}`, 'Cria cannot run such a model.');
  };

  const dim = integer(KEY.dim);
  const nHeads = integer(KEY.nHeads);
  const config: LlamaConfig = {
    dim,
    hiddenDim: integer(KEY.hiddenDim),
    nLayers: integer(KEY.nLayers),
    nHeads,
    nKvHeads: integer(KEY.nKvHeads, nHeads),
    headDim: dim / nHeads,
    vocabSize: embeddingRows,
    contextLength: integer(KEY.contextLength),
    normEps: float(KEY.normEps),
    ropeTheta: float(KEY.ropeTheta, 10000),
    ropeScale: 1,
  };
  const scaling = values.get('llama.rope.scaling.type') ?? 'linear';
  if (scaling === 'linear') {
    config.ropeScale = float(KEY.ropeScale, float('llama.rope.scale_linear', 1));
  } else if (scaling !== 'none') {
    const hint = 'Cria knows linear scaling and the frequency factors of `rope_freqs.weight`.';
    throw fail(
      'unsupported-rope-scaling',
      'llama.rope.scaling.type',
      '"linear" or "none"',
      describe(scaling),
      hint,
    );
  }
  same('llama.rope.dimension_count', config.headDim);
  same('llama.attention.key_length', config.headDim);
  same('llama.attention.value_length', config.headDim);
  same('llama.vocab_size', embeddingRows);
  return config;
}

/** A matrix is [cols, rows]; dimensions of 1 may follow. */
function rowsOf(tensor: GgufTensor): number {
  return tensor.elements / tensor.dims[0]!;
}

function checked(tensor: GgufTensor, shape: TensorShape, fail: Fail): StoredTensor {
  const place = `tensor ${quote(tensor.name)}`;
  const [cols, rows = 1, ...rest] = tensor.dims;
  if (cols !== shape.cols || rows !== shape.rows || rest.some(dim => dim !== 1)) {
    const expected = shape.rows === 1 ? `[${shape.cols}]` : `[${shape.cols}, ${shape.rows}]`;
    const hint = 'The hyper-parameters and the tensors of the file do not belong together.';
    throw fail('wrong-shape', place, `the shape ${expected}`, `[${tensor.dims.join(', ')}]`, hint);
  }
  const dtype = RUNNABLE[tensor.typeName];
  if (dtype === undefined || (shape.norm && dtype !== 'f32')) {
    const expected = shape.norm ? 'F32' : Object.keys(RUNNABLE).join(', ');
    const hint = 'Convert the model to one of these with `llama-quantize --allow-requantize`.';
    throw fail('unsupported-dtype', place, expected, tensor.typeName, hint);
  }
  return { name: tensor.name, dtype, rows, cols, offset: tensor.offset, bytes: tensor.bytes };
}
