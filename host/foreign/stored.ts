import { FileError } from '../errors.ts';
import type { TensorShape } from '../llama-shape.ts';
import type { Source } from '../source.ts';

/** An array as a file of another program holds it: its values one after the other, the last dimension fastest. */
export interface Stored {
  source: Source;
  /** As the file calls it. */
  dtype: string;
  shape: readonly number[];
  /** Of its first byte in the source. */
  offset: number;
}

/** The types that a Llama's weights come in: what the kernels call them, and bytes a value. */
export const DTYPES = {
  F32: { dtype: 'f32', size: 4 },
  F16: { dtype: 'f16', size: 2 },
  BF16: { dtype: 'bf16', size: 2 },
} as const;
export type StoredDType = keyof typeof DTYPES;

/** How the parts of a tensor make it up: one below the other, or side by side. */
export type Joint = 'rows' | 'columns';

/** A tensor of a Llama and the arrays that hold it. */
export interface Recipe {
  shape: TensorShape;
  dtype: StoredDType;
  parts: readonly Stored[];
  joint: Joint;
  /** Not 0: rows of heads of this size, whose halves are rotated (Hugging Face) instead of neighbours. */
  halves: number;
}

/**
 * Makes sure that arrays make up a tensor.
 * @throws FileError 'unsupported-dtype', 'wrong-shape'
 */
export function recipe(shape: TensorShape, parts: readonly Stored[], joint: Joint, halves = 0): Recipe {
  const [{ dtype, source }] = parts as [Stored];
  const where = `${source.name}: ${shape.name}`;
  if (!(dtype in DTYPES) || parts.some(part => part.dtype !== dtype)) {
    throw new FileError('unsupported-dtype', {
      where,
      expected: Object.keys(DTYPES).join(', '),
      got: [...new Set(parts.map(part => part.dtype))].join(' and '),
      hint: 'Save the model in one of these.',
    });
  }
  const flat = shape.norm ? parts.slice(0, 1) : parts;
  const along = joint === 'rows' ? 0 : 1;
  const across = 1 - along;
  const wanted = shape.norm ? [shape.cols] : [shape.rows, shape.cols];
  const sum = (axis: number) => flat.reduce((total, { shape }) => total + shape[axis]!, 0);
  const fits = flat.every(part => part.shape.length === wanted.length);
  const whole = shape.norm ? flat[0]!.shape[0] === shape.cols : sum(along) === wanted[along];
  if (!fits || !whole || (!shape.norm && flat.some(part => part.shape[across] !== wanted[across]))) {
    throw new FileError('wrong-shape', {
      where,
      expected: `the shape [${wanted.join(', ')}]`,
      got: flat.map(part => `[${part.shape.join(', ')}]`).join(' and '),
      hint: 'The hyper-parameters and the tensors do not belong together.',
    });
  }
  return { shape, dtype: dtype as StoredDType, parts: flat, joint, halves };
}
