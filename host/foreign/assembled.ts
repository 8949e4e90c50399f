import type { StoredTensor } from '../model-file.ts';
import { decode } from '../quantize/decode.ts';
import type { Source } from '../source.ts';
import { halfSplitRow } from '../tensor-names.ts';
import { DTYPES, type Recipe, type Stored } from './stored.ts';

interface Placed extends Recipe {
  offset: number;
  bytes: number;
  /** Bytes of a row, and of a value where it is stored. */
  rowBytes: number;
  size: number;
}

/**
 * One file, which is nowhere written, of tensors that lie in others: each in GGUF's layout, its rows in GGUF's order, norms
 * in f32. So whatever loads a model file loads these.
 */
export class AssembledSource implements Source {
  readonly name: string;
  readonly size: number;
  readonly ordered: boolean;
  readonly held: number;
  /** Where the tensors lie in it, by their names. */
  readonly tensors: Map<string, StoredTensor>;
  readonly #placed: Placed[] = [];
  readonly #opened: readonly Source[];

  /**
   * @param recipes in any order: the tensors lie as their first parts do, so that reading one goes forward in the other
   * @param sources of the parts
   * @param opened is closed with this one
   */
  constructor(
    name: string,
    recipes: readonly Recipe[],
    sources: readonly Source[],
    opened: readonly Source[],
  ) {
    this.name = name;
    this.#opened = opened;
    this.ordered = sources.some(({ ordered }) => ordered);
    this.held = sources.reduce((sum, { held = 0 }) => sum + held, 0);
    const at = ({ parts: [first] }: Recipe) => [sources.indexOf(first!.source), first!.offset] as const;
    const inOrder = recipes.toSorted((a, b) => at(a)[0] - at(b)[0] || at(a)[1] - at(b)[1]);
    this.tensors = new Map();
    let offset = 0;
    for (const recipe of inOrder) {
      const { name, rows, cols, norm } = recipe.shape;
      const { dtype, size } = DTYPES[norm ? 'F32' : recipe.dtype];
      const bytes = rows * cols * size;
      this.#placed.push({ ...recipe, offset, bytes, rowBytes: cols * size, size: DTYPES[recipe.dtype].size });
      this.tensors.set(name, { name, dtype, rows, cols, offset, bytes });
      offset += bytes;
    }
    this.size = offset;
  }

  async readInto(view: Uint8Array, offset: number, signal?: AbortSignal): Promise<void> {
    for (let done = 0; done < view.length; ) {
      const at = offset + done;
      const tensor = this.#placed.findLast(tensor => tensor.offset <= at)!;
      const from = at - tensor.offset;
      const count = Math.min(view.length - done, tensor.bytes - from);
      await read(tensor, view.subarray(done, done + count), from, signal);
      done += count;
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#opened.map(source => source.close()));
  }
}

/** Fills `view` with the bytes of a tensor from `from` on. */
async function read(
  tensor: Placed,
  view: Uint8Array,
  from: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { parts, shape, rowBytes, halves } = tensor;
  const [first] = parts as [Stored];
  if (shape.norm) {
    view.set(new Uint8Array((await vector(tensor, signal)).buffer, from, view.length));
    return;
  }
  if (parts.length === 1 && halves === 0) return first.source.readInto(view, first.offset + from, signal);
  const begin = Math.floor(from / rowBytes);
  const end = Math.ceil((from + view.length) / rowBytes);
  const rows =
    halves > 0
      ? await inNeighbours(tensor, begin, end, signal)
      : tensor.joint === 'rows'
        ? await below(tensor, begin, end, signal)
        : await beside(tensor, begin, end, signal);
  view.set(rows.subarray(from - begin * rowBytes, from - begin * rowBytes + view.length));
}

async function vector(
  { parts, shape, dtype, size }: Placed,
  signal: AbortSignal | undefined,
): Promise<Float32Array> {
  const bytes = new Uint8Array(shape.cols * size);
  await parts[0]!.source.readInto(bytes, parts[0]!.offset, signal);
  return decode(dtype, bytes);
}

/** Rows in GGUF's order of heads whose halves are rotated. */
async function inNeighbours(
  { parts, rowBytes, halves }: Placed,
  begin: number,
  end: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const first = begin - (begin % halves);
  const heads = new Uint8Array((Math.ceil(end / halves) * halves - first) * rowBytes);
  await parts[0]!.source.readInto(heads, parts[0]!.offset + first * rowBytes, signal);
  const rows = new Uint8Array((end - begin) * rowBytes);
  for (let row = begin; row < end; row++) {
    const at = (halfSplitRow(row, halves) - first) * rowBytes;
    rows.set(heads.subarray(at, at + rowBytes), (row - begin) * rowBytes);
  }
  return rows;
}

/** Rows of parts that lie one below the other. */
async function below(
  { parts, rowBytes }: Placed,
  begin: number,
  end: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const rows = new Uint8Array((end - begin) * rowBytes);
  let first = 0;
  for (const { source, offset, shape } of parts) {
    const from = Math.max(begin, first);
    const to = Math.min(end, first + shape[0]!);
    if (from < to) {
      const piece = rows.subarray((from - begin) * rowBytes, (to - begin) * rowBytes);
      await source.readInto(piece, offset + (from - first) * rowBytes, signal);
    }
    first += shape[0]!;
  }
  return rows;
}

/** Rows of parts that lie side by side. */
async function beside(
  { parts, rowBytes, size }: Placed,
  begin: number,
  end: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const rows = new Uint8Array((end - begin) * rowBytes);
  let left = 0;
  for (const { source, offset, shape } of parts) {
    const width = shape[1]! * size;
    const piece = new Uint8Array((end - begin) * width);
    await source.readInto(piece, offset + begin * width, signal);
    for (let row = 0; row < end - begin; row++) {
      rows.set(piece.subarray(row * width, (row + 1) * width), row * rowBytes + left);
    }
    left += width;
  }
  return rows;
}
