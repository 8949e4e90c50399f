// Models in the layouts of Hugging Face and Meta, made of a tiny one.

import { readModelFile } from '../../host/checkpoint.ts';
import type { LlamaConfig } from '../../host/model-file.ts';
import { decode } from '../../host/quantize/decode.ts';
import { encode } from '../../host/quantize/encode.ts';
import { bytesSource } from '../../host/sources/bytes.ts';
import { halfSplitRow, renamed } from '../../host/tensor-names.ts';

export interface Matrix {
  rows: number;
  cols: number;
  values: Float32Array;
}

export interface Plain {
  config: LlamaConfig;
  /** By their GGUF names. */
  tensors: Map<string, Matrix>;
}

/** The tensors of an F32 model. */
export async function plain(gguf: Uint8Array): Promise<Plain> {
  const source = bytesSource(gguf, 'tiny.gguf');
  const { config, tensors } = await readModelFile(source);
  const matrices = new Map<string, Matrix>();
  for (const { name, rows, cols, offset, bytes } of tensors.values()) {
    matrices.set(name, { rows, cols, values: decode('F32', gguf.subarray(offset, offset + bytes)) });
  }
  return { config, tensors: matrices };
}

export type Type = 'F32' | 'F16' | 'BF16';

/** What transformers would write into `config.json`. */
export function hfConfig(config: LlamaConfig): Record<string, unknown> {
  return {
    model_type: 'llama',
    hidden_act: 'silu',
    hidden_size: config.dim,
    intermediate_size: config.hiddenDim,
    num_hidden_layers: config.nLayers,
    num_attention_heads: config.nHeads,
    num_key_value_heads: config.nKvHeads,
    vocab_size: config.vocabSize,
    max_position_embeddings: config.contextLength,
    rms_norm_eps: config.normEps,
    rope_theta: config.ropeTheta,
    rope_scaling: null,
  };
}

/** Tensors by Hugging Face's names, wq and wk in its order of rows. */
export function hfTensors({ config, tensors }: Plain): Map<string, Matrix> {
  return new Map(
    Array.from(tensors, ([name, matrix]) => {
      const { rows, cols, values } = matrix;
      const spelt = renamed(name, 'gguf', 'huggingFace')!;
      if (!/attn_[qk]\./.test(name)) return [spelt, matrix];
      const permuted = new Float32Array(values.length);
      for (let row = 0; row < rows; row++) {
        const to = halfSplitRow(row, config.headDim);
        permuted.set(values.subarray(row * cols, (row + 1) * cols), to * cols);
      }
      return [spelt, { rows, cols, values: permuted }];
    }),
  );
}

const shapeOf = ({ rows, cols }: Matrix) => (rows === 1 ? [cols] : [rows, cols]);

/** A safetensors file. @param edit changes the header's text before its length is written */
export function safetensors(
  tensors: ReadonlyMap<string, Matrix>,
  type: Type,
  edit: (header: string) => string = header => header,
): Uint8Array {
  let end = 0;
  const pieces = Array.from(tensors.values(), ({ values }) => encode(type, values));
  const entries = Array.from(tensors, ([name, matrix], i) => {
    const begin = end;
    end += pieces[i]!.length;
    return [name, { dtype: type, shape: shapeOf(matrix), data_offsets: [begin, end] }] as const;
  });
  const header = new TextEncoder().encode(edit(JSON.stringify(Object.fromEntries(entries))));
  const file = new Uint8Array(8 + header.length + end);
  new DataView(file.buffer).setBigUint64(0, BigInt(header.length), true);
  file.set(header, 8);
  let at = 8 + header.length;
  for (const piece of pieces) {
    file.set(piece, at);
    at += piece.length;
  }
  return file;
}

/** Tensors by Meta's names, cut for so many shards as its model-parallel layers cut them. */
export function metaShards({ tensors }: Plain, shards: number): Map<string, Matrix>[] {
  return Array.from({ length: shards }, (_, shard) => {
    const part = new Map<string, Matrix>();
    for (const [name, matrix] of tensors) {
      const spelt = renamed(name, 'gguf', 'meta')!;
      const { rows, cols, values } = matrix;
      if (rows === 1) part.set(spelt, matrix);
      else if (/tok_embeddings|\.wo\.|\.w2\./.test(spelt)) {
        const width = cols / shards;
        const cut = new Float32Array(rows * width);
        for (let row = 0; row < rows; row++) {
          const from = row * cols + shard * width;
          cut.set(values.subarray(from, from + width), row * width);
        }
        part.set(spelt, { rows, cols: width, values: cut });
      } else {
        const height = rows / shards;
        const cut = values.subarray(shard * height * cols, (shard + 1) * height * cols);
        part.set(spelt, { rows: height, cols, values: cut });
      }
    }
    return part;
  });
}

const TORCH = { F32: 'FloatStorage', F16: 'HalfStorage', BF16: 'BFloat16Storage' };
const ascii = (text: string) => [...new TextEncoder().encode(text)];
const u32 = (value: number) => [0, 8, 16, 24].map(shift => (value >>> shift) & 255);
const u16 = (value: number) => u32(value).slice(0, 2);

/** Instructions of a pickle. */
export const code = {
  global: (module: string, name: string): number[] => [...ascii(`c${module}\n${name}\n`)],
  text: (text: string): number[] => [0x58, ...u32(ascii(text).length), ...ascii(text)],
  int: (value: number): number[] => [0x4a, ...u32(value)],
  tuple: (...items: number[][]): number[] => [0x28, ...items.flat(), 0x74],
  reduce: (callee: number[], args: number[]): number[] => [...callee, ...args, 0x52],
};

/** A pickle: protocol 2, a value, its end. */
export const pickled = (value: number[]): Uint8Array => Uint8Array.from([0x80, 2, ...value, 0x2e]);

/** The pickle of a dictionary of tensors, each in a storage of its own. */
export function pickleOf(tensors: ReadonlyMap<string, Matrix>, type: Type): Uint8Array {
  const items = Array.from(tensors, ([name, matrix], i) => {
    const shape = shapeOf(matrix);
    const strides = shape.length === 1 ? [1] : [matrix.cols, 1];
    const storage = code.tuple(
      code.text('storage'),
      code.global('torch', TORCH[type]),
      code.text(String(i)),
      code.text('cpu'),
      code.int(matrix.values.length),
    );
    const args = code.tuple(
      [...storage, 0x51],
      code.int(0),
      code.tuple(...shape.map(code.int)),
      code.tuple(...strides.map(code.int)),
      [0x89],
      code.reduce(code.global('collections', 'OrderedDict'), [0x29]),
    );
    return [...code.text(name), ...code.reduce(code.global('torch._utils', '_rebuild_tensor_v2'), args)];
  });
  return pickled([0x7d, 0x28, ...items.flat(), 0x75]);
}

/** A checkpoint as `torch.save` writes it. */
export function pth(tensors: ReadonlyMap<string, Matrix>, type: Type): Uint8Array {
  const storages = Array.from(tensors.values(), ({ values }, i): [string, Uint8Array] => [
    `a/data/${i}`,
    encode(type, values),
  ]);
  return zip(new Map([['a/data.pkl', pickleOf(tensors, type)], ...storages]));
}

/** A ZIP archive of entries that are stored as they are. */
export function zip(entries: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const pieces: Uint8Array[] = [];
  const directory: number[] = [];
  let at = 0;
  for (const [name, bytes] of entries) {
    const sizes = [...u32(0), ...u32(bytes.length), ...u32(bytes.length), ...u16(name.length), ...u16(0)];
    const common = [...u16(10), ...u16(0), ...u16(0), ...u32(0), ...sizes];
    const local = Uint8Array.from([...u32(0x04034b50), ...common, ...ascii(name)]);
    directory.push(...u32(0x02014b50), ...u16(10), ...common);
    directory.push(...u16(0), ...u16(0), ...u16(0), ...u32(0), ...u32(at), ...ascii(name));
    pieces.push(local, bytes);
    at += local.length + bytes.length;
  }
  const count = u16(entries.size);
  const end = [...u32(0x06054b50), ...u32(0), ...count, ...count, ...u32(directory.length), ...u32(at)];
  pieces.push(Uint8Array.from([...directory, ...end, ...u16(0)]));
  const file = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let to = 0;
  for (const piece of pieces) {
    file.set(piece, to);
    to += piece.length;
  }
  return file;
}
