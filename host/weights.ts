import type { Backend, Tensor } from './backend.ts';
import { rowBytes } from './dtype.ts';
import { FileError } from './errors.ts';
import type { LayerWeights, LlamaWeights } from './llama.ts';
import { rowsAtOnce } from './memory.ts';
import type { ModelFile, StoredTensor } from './model-file.ts';
import { rowsOf, type Share, shareOf } from './ranks/share.ts';
import type { Source } from './source.ts';
import { turn } from './turn.ts';

export interface LoadOptions {
  /** What a rank takes of each tensor; all of it by default. */
  share?: Share;
  signal?: AbortSignal | undefined;
  /** Called with the bytes of each piece that has been taken. */
  onLoaded?: ((bytes: number) => void) | undefined;
}

/** Rows of a stored tensor that are read at once. */
interface Piece {
  tensor: StoredTensor;
  target: Tensor;
  /** In the file's tensor. */
  row: number;
  rows: number;
}

/**
 * Streams the weights of `file` from `source` into `backend`, as they are stored, in pieces of a megabyte and in the
 * file's order; the next piece is read while one is laid out.
 * @throws FileError 'non-finite-weights', or what `source` throws; StateError 'out-of-memory'.
 */
export async function loadWeights(
  backend: Backend,
  file: Pick<ModelFile, 'config' | 'tensors'>,
  source: Source,
  { share = shareOf(file.config), signal, onLoaded }: LoadOptions = {},
): Promise<LlamaWeights> {
  const tensors = new Map<string, Tensor>();
  const pieces: Piece[] = [];
  for (const tensor of file.tensors.values()) {
    const { first, count } = rowsOf(share, tensor, file.config.headDim);
    const target = backend.allocTensor(tensor.dtype, count, tensor.cols);
    tensors.set(tensor.name, share.ranks === 1 ? target : { ...target, first });
    const atOnce = rowsAtOnce(tensor.dtype, tensor.cols);
    for (let done = 0; done < count; done += atOnce) {
      pieces.push({ tensor, target, row: first + done, rows: Math.min(atOnce, count - done) });
    }
  }
  // a stream goes one way
  pieces.sort((a, b) => a.tensor.offset - b.tensor.offset || a.row - b.row);
  const spare: ArrayBuffer[] = [];
  const read = (piece: Piece | undefined) => {
    const rows = piece && readRows(source, piece, spare.pop(), signal);
    rows?.catch(() => {}); // it is waited for later
    return rows;
  };
  let next = read(pieces[0]);
  try {
    for (const [i, piece] of pieces.entries()) {
      const { tensor, target, row, rows } = piece;
      const stored = await next!;
      next = read(pieces[i + 1]);
      const first = tensors.get(tensor.name)!.first ?? 0;
      const finite = await backend.fill(target, row - first, rows, async view => view.set(stored));
      if (!finite) throw nonFinite(source, tensor, row, rows);
      spare.push(stored.buffer);
      onLoaded?.(stored.length);
      await turn(signal);
    }
  } catch (error) {
    // a read that is still under way must not write into memory that is free, nor fail unheard
    await Promise.resolve(next).catch(() => {});
    throw error;
  }
  return arrangeWeights(tensors, file.config.nLayers);
}

/** The rows as a tensor of their dtype stores them, in `spare` if it is long enough. */
async function readRows(
  source: Source,
  { tensor, row, rows }: Piece,
  spare: ArrayBuffer | undefined,
  signal: AbortSignal | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  const length = rows * rowBytes(tensor.dtype, tensor.cols);
  const view =
    spare && spare.byteLength >= length ? new Uint8Array(spare, 0, length) : new Uint8Array(length);
  if (tensor.int8) await readInt8(source, tensor, row, rows, view, signal);
  else await source.readInto(view, tensor.offset + row * rowBytes(tensor.dtype, tensor.cols), signal);
  return view;
}

async function readInt8(
  source: Source,
  tensor: StoredTensor,
  row: number,
  rows: number,
  view: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { group, scalesOffset } = tensor.int8!;
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

/** The tensors of a Llama, keyed by their GGUF names, each in its place. */
export function arrangeWeights(tensors: ReadonlyMap<string, Tensor>, nLayers: number): LlamaWeights {
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
