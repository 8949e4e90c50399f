import { type Backend, ROWS_TOGETHER, type Tensor } from './backend.ts';
import { rowBytes } from './dtype.ts';
import { FileError } from './errors.ts';
import { type GgufHeader, parseGguf } from './gguf.ts';
import type { LayerWeights, LlamaWeights } from './llama.ts';
import { modelFromGguf } from './llama-file.ts';
import { LLAMA2C_HEADER_BYTES, parseLlama2c } from './llama2c.ts';
import type { ModelFile, StoredTensor } from './model-file.ts';
import type { Source } from './source.ts';
import { turn } from './turn.ts';

/** Bytes read at once: large enough for the disk, small enough to answer an abort. */
const CHUNK = 2 ** 20;
/** First guess at the length of a GGUF header; doubled while it is too short. */
const HEADER = 2 ** 20;
const GGUF_MAGIC = 0x46554747;

/** @returns undefined if the file does not begin as a GGUF file does. */
export async function readGgufHeader(source: Source, signal?: AbortSignal): Promise<GgufHeader | undefined> {
  let bytes = new Uint8Array(Math.min(source.size, HEADER));
  await source.readInto(bytes, 0, signal);
  if (bytes.length >= 4 && new DataView(bytes.buffer).getUint32(0, true) !== GGUF_MAGIC) {
    // a byte-swapped magic is a GGUF file too, which `parseGguf` refuses in its own words
    if (new DataView(bytes.buffer).getUint32(0) !== GGUF_MAGIC) return undefined;
  }
  if (bytes.length < 4) return undefined;
  for (;;) {
    const header = parseGguf(bytes, source.size, source.name);
    if (typeof header !== 'number') return header;
    const longer = new Uint8Array(Math.min(source.size, Math.max(header, 2 * bytes.length)));
    longer.set(bytes);
    await source.readInto(longer.subarray(bytes.length), bytes.length, signal);
    bytes = longer;
  }
}

/**
 * Reads and checks a model file's header; no weight is touched.
 * @throws FileError
 */
export async function readModelFile(source: Source, signal?: AbortSignal): Promise<ModelFile> {
  const gguf = await readGgufHeader(source, signal);
  if (gguf) return modelFromGguf(gguf, source.size, source.name);
  const bytes = new Uint8Array(Math.min(source.size, LLAMA2C_HEADER_BYTES));
  await source.readInto(bytes, 0, signal);
  return parseLlama2c(bytes, source.size, source.name);
}

export interface LoadOptions {
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: { loaded: number; total: number }) => void) | undefined;
}

/**
 * Streams every tensor of `file` from `source` into `backend`, as it is stored, in pieces of a few megabytes.
 * @throws FileError 'non-finite-weights', or what `source` throws; StateError 'out-of-memory'.
 */
export async function loadWeights(
  backend: Backend,
  file: ModelFile,
  source: Source,
  { signal, onProgress }: LoadOptions = {},
): Promise<LlamaWeights> {
  const stored = [...file.tensors.values()];
  const total = stored.reduce((sum, tensor) => sum + bytesOf(tensor), 0);
  let loaded = 0;
  const tensors = new Map<string, Tensor>();
  for (const tensor of stored) {
    tensors.set(tensor.name, backend.allocTensor(tensor.dtype, tensor.rows, tensor.cols));
  }
  for (const tensor of stored) {
    const target = tensors.get(tensor.name)!;
    const bytes = rowBytes(tensor.dtype, tensor.cols);
    const groupsAtOnce = Math.max(1, Math.floor(CHUNK / (bytes * ROWS_TOGETHER)));
    const rowsAtOnce = groupsAtOnce * ROWS_TOGETHER;
    for (let row = 0; row < tensor.rows; row += rowsAtOnce) {
      const rows = Math.min(rowsAtOnce, tensor.rows - row);
      const finite = await backend.fill(target, row, rows, view =>
        readRows(source, tensor, row, rows, view, signal),
      );
      if (!finite) throw nonFinite(source, tensor, row, rows);
      loaded += rows * bytes;
      onProgress?.({ loaded, total });
      await turn(signal);
    }
  }
  return arrange(tensors, file.config.nLayers);
}

/** Bytes of a tensor as `fill` takes it. */
function bytesOf({ dtype, rows, cols }: StoredTensor): number {
  return rows * rowBytes(dtype, cols);
}

async function readRows(
  source: Source,
  tensor: StoredTensor,
  row: number,
  rows: number,
  view: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (!tensor.int8)
    return source.readInto(view, tensor.offset + row * rowBytes(tensor.dtype, tensor.cols), signal);
  const { group, scalesOffset } = tensor.int8;
  const first = row * tensor.cols;
  const count = rows * tensor.cols;
  const firstGroup = Math.floor(first / group);
  const groups = Math.ceil((first + count) / group) - firstGroup;
  const values = new Int8Array(count);
  const scales = new DataView(new ArrayBuffer(4 * groups));
  await source.readInto(new Uint8Array(values.buffer), tensor.offset + first, signal);
  await source.readInto(new Uint8Array(scales.buffer), scalesOffset + 4 * firstGroup, signal);
  const scale = (i: number) => scales.getFloat32(4 * (Math.floor((first + i) / group) - firstGroup), true);
  const out = new DataView(view.buffer, view.byteOffset, view.byteLength);
  if (tensor.dtype === 'f32') {
    for (let i = 0; i < count; i++) out.setFloat32(4 * i, values[i]! * scale(i), true);
    return;
  }
  // q8_f32: every scale before its 32 values
  for (let i = 0, at = 0; i < count; i += 32, at += 36) {
    out.setFloat32(at, scale(i), true);
    for (let j = 0; j < 32; j++) out.setInt8(at + 4 + j, values[i + j]!);
  }
}

function arrange(tensors: Map<string, Tensor>, nLayers: number): LlamaWeights {
  const layers = Array.from({ length: nLayers }, (_, i): LayerWeights => {
    const part = (name: string) => tensors.get(`blk.${i}.${name}.weight`)!;
    return {
      attnNorm: part('attn_norm'),
      attnQ: part('attn_q'),
      attnK: part('attn_k'),
      attnV: part('attn_v'),
      attnOutput: part('attn_output'),
      ffnNorm: part('ffn_norm'),
      ffnGate: part('ffn_gate'),
      ffnUp: part('ffn_up'),
      ffnDown: part('ffn_down'),
    };
  });
  const tokenEmbd = tensors.get('token_embd.weight')!;
  return {
    tokenEmbd,
    layers,
    outputNorm: tensors.get('output_norm.weight')!,
    output: tensors.get('output.weight') ?? tokenEmbd,
    ropeFactors: tensors.get('rope_freqs.weight'),
  };
}

function nonFinite(source: Source, tensor: StoredTensor, row: number, rows: number): FileError {
  return new FileError('non-finite-weights', {
    where: `${source.name}: ${tensor.name}`,
    expected: 'finite numbers',
    got: `NaN or an infinity in rows ${row} to ${row + rows - 1}`,
    hint: 'The file is damaged or its training diverged; download it again or take another checkpoint.',
  });
}
