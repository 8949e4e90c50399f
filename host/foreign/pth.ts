import { FileError, quote } from '../errors.ts';
import type { Source } from '../source.ts';
import { PICKLE_LIMIT, type Pickled, PickledTensor, unpickle } from './pickle.ts';
import type { Stored } from './stored.ts';
import { readZip, type ZipEntry } from './zip.ts';

/** torch's storages by what safetensors calls their types, and bytes a number. */
const STORAGES: Readonly<Record<string, readonly [dtype: string, size: number]>> = {
  FloatStorage: ['F32', 4],
  HalfStorage: ['F16', 2],
  BFloat16Storage: ['BF16', 2],
  DoubleStorage: ['F64', 8],
  LongStorage: ['I64', 8],
  IntStorage: ['I32', 4],
  ShortStorage: ['I16', 2],
  CharStorage: ['I8', 1],
  ByteStorage: ['U8', 1],
  BoolStorage: ['BOOL', 1],
};

/**
 * The tensors of a checkpoint that `torch.save` wrote (torch 1.6 and later): a ZIP archive of one pickle and of the bytes of
 * each storage. The pickle is read by a machine that executes nothing: see `unpickle`. A state_dict inside another dictionary,
 * under `model` or `state_dict`, is found.
 * @throws FileError 'bad-zip', 'bad-pickle', 'refused-pickle', 'unsupported-dtype'
 */
export async function readPth(source: Source, signal?: AbortSignal): Promise<Map<string, Stored>> {
  const { name } = source;
  const entries = await readZip(source, signal);
  const pickle = [...entries].find(([entry]) => entry.endsWith('/data.pkl'));
  const bad = (place: string, expected: string, got: string): FileError =>
    new FileError('bad-pickle', {
      where: `${name}: ${place}`,
      expected,
      got,
      hint: 'Save the state_dict of the model, by torch.save or as safetensors.',
    });
  if (!pickle) throw bad('archive', 'an entry data.pkl', `${entries.size} others`);
  const [path, { offset, size }] = pickle;
  if (size > PICKLE_LIMIT) throw bad('data.pkl', `at most ${PICKLE_LIMIT} bytes`, `${size}`);
  const folder = path.slice(0, -'data.pkl'.length);
  await refuseBigEndian(source, entries.get(`${folder}byteorder`), signal);
  const bytes = new Uint8Array(size);
  await source.readInto(bytes, offset, signal);
  const arrays = new Map<string, Stored>();
  for (const [key, value] of stateDict(unpickle(bytes, `${name}: data.pkl`))) {
    if (!(value instanceof PickledTensor) || typeof key !== 'string') continue;
    const { storage, shape, strides } = value;
    const place = `tensor ${quote(key)}`;
    const [dtype, width] = STORAGES[storage.type] ?? [storage.type, 0];
    const entry = entries.get(`${folder}data/${storage.key}`);
    const length = shape.reduce((product, dim) => product * dim, 1);
    if (width > 0) {
      if (!entry || entry.size < storage.length * width || value.offset + length > storage.length)
        throw bad(place, `${length} numbers of its storage`, entry ? `${entry.size} bytes` : 'no storage');
      if (!isContiguous(shape, strides))
        throw bad(place, 'numbers one after the other', `strides ${strides.join(', ')}`);
    }
    const first = (entry?.offset ?? 0) + value.offset * width;
    arrays.set(key, { source, dtype, shape, offset: first });
  }
  return arrays;
}

function stateDict(value: Pickled): Map<Pickled, Pickled> {
  if (!(value instanceof Map)) return new Map();
  if ([...value.values()].some(entry => entry instanceof PickledTensor)) return value;
  const inner = value.get('model') ?? value.get('state_dict');
  return inner instanceof Map ? inner : value;
}

function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== step) return false;
    step *= shape[axis]!;
  }
  return true;
}

async function refuseBigEndian(
  source: Source,
  entry: ZipEntry | undefined,
  signal?: AbortSignal,
): Promise<void> {
  if (entry?.size !== 3) return; // 'big'; those without an entry are little-endian
  const bytes = new Uint8Array(3);
  await source.readInto(bytes, entry.offset, signal);
  if (new TextDecoder().decode(bytes) !== 'big') return;
  throw new FileError('unsupported-dtype', {
    where: `${source.name}: byteorder`,
    expected: 'little',
    got: 'big',
    hint: 'Save the model on a machine that stores the low byte first.',
  });
}
