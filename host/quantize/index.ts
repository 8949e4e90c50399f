import type { ModelSource } from '../api.ts';
import { checkOptions, OPEN_RULES, type Rules, SWITCH, TEXT } from '../check.ts';
import { readGgufHeader } from '../checkpoint.ts';
import { FileError, OptionError, quote } from '../errors.ts';
import { ggmlTypeNamed } from '../ggml-types.ts';
import type { GgufHeader, GgufTensor } from '../gguf.ts';
import { ggufChunks } from '../gguf-write.ts';
import type { Source } from '../source.ts';
import type { OpenSource } from '../sources.ts';
import { turn } from '../turn.ts';
import { decode, isStoredType, STORED_TYPES } from './decode.ts';
import { encode } from './encode.ts';
import { copyMetadata } from './metadata.ts';
import {
  type Family,
  fileTypeId,
  QUANTIZE_TYPES,
  type QuantizeType,
  type Target,
  targetOf,
} from './recipe.ts';

/** Where a file's bytes go, in order; a `WritableStreamDefaultWriter<Uint8Array>` is one. The bytes given are its own. */
export interface Sink {
  write: (bytes: Uint8Array) => Promise<void>;
}

export interface QuantizeOptions {
  /** The mixture of types, as llama-quantize calls it: Q8_0, Q4_K_M, … */
  type: QuantizeType;
  /** Store every matrix in the type itself, without the mixture's exceptions. Default false. */
  pure?: boolean;
  signal?: AbortSignal;
  /** Called as tensors are written, with values. */
  onProgress?: (progress: { done: number; total: number; name: string }) => void;
}

export interface QuantizeReport {
  tensors: {
    name: string;
    /** Fastest first, as GGUF has them: columns, rows. */
    dims: number[];
    from: string;
    to: string;
    /** The type that was wanted, where rows of this length cannot be divided into its blocks. */
    insteadOf?: string;
    /** In the written file. */
    bytes: number;
  }[];
  /** Of the whole files. */
  bytes: { from: number; to: number };
}

const RULES: Rules = {
  type: TEXT,
  pure: SWITCH,
  signal: OPEN_RULES['signal']!,
  onProgress: OPEN_RULES['onProgress']!,
};

/** Values encoded between two looks at the event loop; a multiple of every block. */
const CHUNK = 2 ** 18;

/** Types with f16 scales cannot hold values from here on: they would be infinite. */
const HALF_LIMIT = 65520;

/**
 * Writes a copy of a GGUF model whose matrices are stored in other types, piece by piece: memory does not grow with the
 * model. Vectors, and matrices that have the wanted type already, are copied as they are.
 *
 * @throws FileError for what is wrong with the file: also 'unsupported-dtype' for a type that cannot be read, or values
 *   that the wanted type cannot hold, and 'non-finite-weights'; OptionError; the signal's reason; what `sink` throws. What
 *   has been written is then no model.
 * @internal
 */
export async function quantize(
  source: ModelSource,
  sink: Sink,
  options: QuantizeOptions,
  openSource: OpenSource,
): Promise<QuantizeReport> {
  checkOptions('quantize', options, RULES);
  const { type, pure = false, signal, onProgress } = options;
  checkType(type);
  signal?.throwIfAborted();
  const opened = await openSource(source, signal);
  try {
    const header = await readGgufHeader(opened, signal);
    if (!header) throw notGguf(opened);
    const family = familyOf(header);
    const plan = inOrder(header.tensors).map(tensor => {
      const target = targetOf(type, tensor.name, tensor.dims, family, pure);
      return { tensor, target, to: target?.type ?? tensor.typeName };
    });
    for (const { tensor, to } of plan) checkReadable(opened, tensor, to);

    let written = 0;
    const write = async (bytes: Uint8Array): Promise<void> => {
      signal?.throwIfAborted();
      written += bytes.length;
      await sink.write(bytes);
    };
    const metadata = copyMetadata(header, fileTypeId(type), opened.name);
    const described = plan.map(({ tensor: { name, dims }, to }) => ({
      name,
      dims,
      ggmlType: ggmlTypeNamed(to).id,
    }));
    for (const piece of headerBytes(metadata, described, header.alignment)) await write(piece);

    const total = header.tensors.reduce((sum, { elements }) => sum + elements, 0);
    let done = 0;
    const tensors: QuantizeReport['tensors'] = [];
    for (const { tensor, target, to } of plan) {
      const start = written;
      for await (const [bytes, values] of pieces(opened, tensor, target, signal)) {
        await write(bytes);
        done += values;
        onProgress?.({ done, total, name: tensor.name });
        await turn();
      }
      tensors.push({
        name: tensor.name,
        dims: tensor.dims,
        from: tensor.typeName,
        to,
        ...(target && target.wanted !== to && { insteadOf: target.wanted }),
        bytes: written - start,
      });
      await write(new Uint8Array(-written & (header.alignment - 1)));
    }
    return { tensors, bytes: { from: opened.size, to: written } };
  } finally {
    await opened.close();
  }
}

/** A tensor's bytes in its new type, with the number of values that each piece holds. */
async function* pieces(
  source: Source,
  tensor: GgufTensor,
  target: Target | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<[bytes: Uint8Array, values: number]> {
  const block = ggmlTypeNamed(tensor.typeName);
  for (let first = 0; first < tensor.elements; first += CHUNK) {
    const values = Math.min(CHUNK, tensor.elements - first);
    const stored = new Uint8Array((values / block.values) * block.bytes);
    await source.readInto(stored, tensor.offset + (first / block.values) * block.bytes, signal);
    if (target === undefined || target.type === tensor.typeName || !isStoredType(tensor.typeName)) {
      yield [stored, values];
      continue;
    }
    const x = decode(tensor.typeName, stored);
    const limit = target.type === 'F32' || target.type === 'BF16' ? Number.POSITIVE_INFINITY : HALF_LIMIT;
    const bad = x.find(value => !(Math.abs(value) < limit));
    if (bad !== undefined) throw unfit(source, tensor, target, bad);
    yield [encode(target.type, x), values];
  }
}

/** A file's beginning, up to the first tensor. */
function* headerBytes(
  metadata: Parameters<typeof ggufChunks>[0],
  tensors: { name: string; dims: number[]; ggmlType: number }[],
  alignment: number,
): Generator<Uint8Array> {
  const data = (): Uint8Array => new Uint8Array();
  const chunks = ggufChunks(
    metadata,
    tensors.map(tensor => ({ ...tensor, data })),
    alignment,
  );
  // The header and its padding; what follows are the tensors, of which the caller has the bytes.
  for (let i = 0; i < 2; i++) yield chunks.next().value!;
}

/** By layer and then by name, as llama-quantize writes them; what belongs to no layer comes first. */
function inOrder(tensors: readonly GgufTensor[]): GgufTensor[] {
  const layer = ({ name }: GgufTensor): number => Number(/^blk\.(\d+)\./.exec(name)?.[1] ?? -1);
  return [...tensors].sort((a, b) => layer(a) - layer(b) || (a.name < b.name ? -1 : 1));
}

function familyOf({ metadata, tensors }: GgufHeader): Family {
  const architecture = metadata.get('general.architecture');
  const count = (key: string): number => Number(metadata.get(`${architecture}.${key}`) ?? 0);
  const heads = count('attention.head_count');
  return {
    nLayers: count('block_count'),
    gqa: heads / (count('attention.head_count_kv') || heads) || 1,
    tied: !tensors.some(({ name }) => name === 'output.weight'),
  };
}

function checkType(type: unknown): void {
  if (QUANTIZE_TYPES.some(known => known === type)) return;
  throw new OptionError(typeof type === 'string' ? 'option-range' : 'option-type', {
    where: 'quantize: type',
    expected: QUANTIZE_TYPES.join(', '),
    got: typeof type === 'string' ? quote(type) : typeof type,
    hint: 'Q8_0 loses next to nothing; Q4_K_M is a common choice for large models.',
  });
}

function checkReadable(source: Source, { name, typeName }: GgufTensor, to: string): void {
  if (typeName === to || isStoredType(typeName)) return;
  throw new FileError('unsupported-dtype', {
    where: `${source.name}: ${name}`,
    expected: `a tensor of ${STORED_TYPES.join(', ')}`,
    got: typeName,
    hint: 'Quantise the F32, F16 or BF16 model instead.',
  });
}

function notGguf(source: Source): FileError {
  return new FileError('bad-magic', {
    where: source.name,
    expected: 'a GGUF file',
    got: 'another format',
    hint: 'Convert the model to GGUF first.',
  });
}

function unfit(source: Source, { name }: GgufTensor, { type }: Target, value: number): FileError {
  const where = `${source.name}: ${name}`;
  if (!Number.isFinite(value)) {
    return new FileError('non-finite-weights', {
      where,
      expected: 'finite numbers',
      got: String(value),
      hint: 'The file is damaged or its training diverged; download it again or take another checkpoint.',
    });
  }
  return new FileError('unsupported-dtype', {
    where,
    expected: `values below ${HALF_LIMIT}, which ${type} can hold`,
    got: String(value),
    hint: 'Take BF16 or F32.',
  });
}
