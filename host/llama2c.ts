import { type ErrorCode, FileError, quote } from './errors.ts';
import { checkConfig, configProblem, layerShapes, type TensorShape } from './llama-shape.ts';
import type { LlamaConfig, ModelFile, StoredTensor } from './model-file.ts';

/** Leading bytes of the file that `parseLlama2c` looks at. */
export const LLAMA2C_HEADER_BYTES = 256;

const MAGIC = 0x616b3432; // "ak42", stored little-endian
const LEGACY_HEADER_BYTES = 28;

/** What lies one after the other; a part of a layer stands for that part of every layer. */
const LEGACY_ORDER = [
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
  'rope tables', // cosines and sines, (contextLength, headDim / 2) each: not used
  'output',
];
const ORDER = [
  'attn_norm',
  'ffn_norm',
  'output_norm',
  'token_embd',
  'attn_q',
  'attn_k',
  'attn_v',
  'attn_output',
  'ffn_gate',
  'ffn_down',
  'ffn_up',
  'output',
];

interface Layout {
  version: 0 | 1 | 2;
  config: LlamaConfig;
  /** Whether the embedding also serves as the output matrix. */
  tied: boolean;
  /** Values a scale in version 2, else 0. */
  group: number;
}

/**
 * Reads the header of a llama2.c checkpoint: legacy, version 1 (f32) or version 2 (int8 with f32 scales), as written by
 * llama2.c's export.py. Legacy files have no magic number: they are known by a size that fits their header exactly.
 *
 * @param bytes the leading bytes of the file, at least 256 or all of it
 * @param fileSize the length of the whole file
 * @param name for messages
 * @throws FileError for anything else; 'bad-magic' if it is no llama2.c file at all
 */
export function parseLlama2c(bytes: Uint8Array, fileSize: number, name: string): ModelFile {
  const fail = (code: ErrorCode, place: string, expected: string, got: string, hint: string): FileError =>
    new FileError(code, { where: `${name}: ${place}`, expected, got, hint });
  if (fileSize === 0) throw fail('file-empty', 'file', 'a model', 'an empty file', AGAIN);

  const view = new DataView(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, fileSize));
  const layout =
    fileSize >= 4 && view.getUint32(0, true) === MAGIC
      ? readVersioned(view, fileSize, name, fail)
      : readLegacy(view, fileSize);
  const size = layout && sizeOf(layout);
  if (layout?.version === 0 && size! > fileSize) {
    const expected = `${size} bytes, if this is a checkpoint of llama2.c (legacy), as its numbers suggest`;
    throw fail('file-truncated', 'size', expected, `${fileSize}`, AGAIN);
  }
  if (layout === undefined || (layout.version === 0 && size !== fileSize)) {
    const expected = 'a model file that Cria reads';
    const got = `the first bytes ${quote(String.fromCharCode(...bytes.subarray(0, 4)))}`;
    const hint =
      'Cria reads GGUF (version 2 and 3), safetensors, .pth and the checkpoints of llama2.c (legacy, version 1, int8 version 2).';
    throw fail('bad-magic', 'magic number', expected, got, hint);
  }
  if (size !== fileSize) {
    const code = size! > fileSize ? 'file-truncated' : 'bad-value';
    throw fail(code, 'size', `${size} bytes, as the header says`, `${fileSize}`, AGAIN);
  }
  const tensors = new Map(place(layout).map(tensor => [tensor.name, tensor]));
  const { version, config } = layout;
  return {
    format: 'llama2.c',
    version,
    name: undefined,
    metadata: new Map(),
    config,
    tensors,
    vocabulary: undefined,
  };
}

type Fail = (code: ErrorCode, place: string, expected: string, got: string, hint: string) => FileError;

const AGAIN = 'Download or copy it again.';

/** Seven i32 from `at`: dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, seq_len. */
function readConfig(view: DataView, at: number): LlamaConfig {
  const i32 = (index: number): number => view.getInt32(at + 4 * index, true);
  return {
    dim: i32(0),
    hiddenDim: i32(1),
    nLayers: i32(2),
    nHeads: i32(3),
    nKvHeads: i32(4),
    headDim: i32(0) / i32(3),
    vocabSize: Math.abs(i32(5)), // legacy files say by its sign whether the output matrix is tied
    contextLength: i32(6),
    normEps: 1e-5,
    ropeTheta: 10000,
    ropeScale: 1,
  };
}

function readLegacy(view: DataView, fileSize: number): Layout | undefined {
  if (fileSize < LEGACY_HEADER_BYTES) return undefined;
  const config = readConfig(view, 0);
  if (configProblem(config) !== undefined) return undefined;
  return { version: 0, config, tied: view.getInt32(20, true) > 0, group: 0 };
}

function readVersioned(view: DataView, fileSize: number, name: string, fail: Fail): Layout {
  if (fileSize < LLAMA2C_HEADER_BYTES) {
    throw fail('file-truncated', 'header', `${LLAMA2C_HEADER_BYTES} bytes`, `${fileSize}`, AGAIN);
  }
  const version = view.getInt32(4, true);
  if (version !== 1 && version !== 2) {
    throw fail('bad-version', 'version', 'llama2.c version 1 or 2', `${version}`, 'Export the model again.');
  }
  const config = readConfig(view, 8);
  if (view.getInt32(28, true) < 0) config.vocabSize = -config.vocabSize;
  checkConfig(config, name, field => `header field ${field}`);
  const tied = view.getUint8(36);
  if (tied > 1) throw fail('bad-value', 'shared classifier', '0 or 1', `${tied}`, 'The file is damaged.');
  const group = version === 2 ? view.getInt32(37, true) : 0;
  const layout: Layout = { version, config, tied: tied === 1, group };
  if (version === 2) {
    for (const { rows, cols, norm } of ORDER.flatMap(part => shapesOf(layout, part, 1))) {
      if (!norm && !(group > 0 && (rows * cols) % group === 0)) {
        const expected = `a group size that divides ${rows} × ${cols} values`;
        throw fail('bad-hyperparameter', 'group size', expected, `${group}`, 'The file is damaged.');
      }
    }
  }
  return layout;
}

/** The tensors that an entry of the order stands for, in the first `layers` layers. */
function shapesOf({ config, tied }: Layout, part: string, layers: number): TensorShape[] {
  const { dim, vocabSize, contextLength, headDim } = config;
  if (part === 'token_embd') return [{ name: 'token_embd.weight', rows: vocabSize, cols: dim, norm: false }];
  if (part === 'output_norm') return [{ name: 'output_norm.weight', rows: 1, cols: dim, norm: true }];
  if (part === 'rope tables') return [{ name: '', rows: contextLength, cols: headDim, norm: true }];
  if (part === 'output')
    return tied ? [] : [{ name: 'output.weight', rows: vocabSize, cols: dim, norm: false }];
  const shapes: TensorShape[] = [];
  for (let layer = 0; layer < layers; layer++) {
    shapes.push(layerShapes(config, layer).find(shape => shape.name === `blk.${layer}.${part}.weight`)!);
  }
  return shapes;
}

function storedBytes({ rows, cols, norm }: TensorShape, group: number): number {
  return norm || group === 0 ? rows * cols * 4 : rows * cols + ((rows * cols) / group) * 4;
}

/** The size of the whole file, without making anything for each layer. */
function sizeOf(layout: Layout): number {
  let size = layout.version === 0 ? LEGACY_HEADER_BYTES : LLAMA2C_HEADER_BYTES;
  for (const part of layout.version === 0 ? LEGACY_ORDER : ORDER) {
    for (const shape of shapesOf(layout, part, 1)) {
      const count = shape.name.startsWith('blk.') ? layout.config.nLayers : 1;
      size += count * storedBytes(shape, layout.group);
    }
  }
  return size;
}

/** Gives every tensor its place. In version 2 each one's scales follow its own values. */
function place(layout: Layout): StoredTensor[] {
  const { version, config, group } = layout;
  let offset = version === 0 ? LEGACY_HEADER_BYTES : LLAMA2C_HEADER_BYTES;
  const tensors: StoredTensor[] = [];
  for (const part of version === 0 ? LEGACY_ORDER : ORDER) {
    for (const shape of shapesOf(layout, part, config.nLayers)) {
      const { name, rows, cols, norm } = shape;
      if (norm || group === 0) {
        tensors.push({ name, dtype: 'f32', rows, cols, offset, bytes: rows * cols * 4 });
      } else {
        const bytes = rows * cols;
        const dtype = group === 32 && cols % 32 === 0 ? 'q8_f32' : 'f32';
        tensors.push({
          name,
          dtype,
          rows,
          cols,
          offset,
          bytes,
          int8: { group, scalesOffset: offset + bytes },
        });
      }
      offset += storedBytes(shape, group);
    }
  }
  return tensors.filter(tensor => tensor.name !== '');
}
