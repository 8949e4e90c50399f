/** Random calls of the kernels that a forward pass consists of. */

import { BLOCK, type DType, rowBytes } from '../../host/dtype.ts';
import type { Random } from '../../host/random.ts';
import {
  alignOf,
  floats,
  indexes,
  int32,
  integer,
  pick,
  roundedActivations,
  size,
  sizeOrNone,
  stored,
} from './contents.ts';
import { type Build, groupsOf, partsOfRow, type Quantized, roundedBytes } from './forms.ts';
import { type Call, inout, input, output, rowsOf } from './operands.ts';

/** One output, any inputs, all of `count` numbers; the output may be one of the inputs. */
export function elementwise(random: Random, inputs: string[]): Call {
  const count = sizeOrNone(random, 1000);
  const alias = integer(random, -1, inputs.length - 1);
  const operands = inputs.map((name, i) => {
    return (i === alias ? inout : input)(name, floats(random, count));
  });
  if (alias < 0) operands.push(output('out', 4 * count));
  const out = alias < 0 ? 'out' : inputs[alias]!;
  return { shape: { count, alias }, operands, args: [out, ...inputs, count] };
}

const isQuantized = (dtype: DType): dtype is Quantized => BLOCK[dtype].values > 1;

/** Some blocks, or numbers. */
const columns = (random: Random, dtype: DType): number => {
  const { values } = BLOCK[dtype];
  return values === 1 ? sizeOrNone(random, 70) : values * sizeOrNone(random, values === 32 ? 4 : 2);
};

export function embedding(dtype: DType): (random: Random, build: Build) => Call {
  return (random, build) => {
    const n = sizeOrNone(random, 12);
    const rows = integer(random, 1, 20);
    const cols = columns(random, dtype);
    const tokens = indexes(random, n, rows);
    const values = stored(random, dtype, rows, cols);
    const data = isQuantized(dtype) ? groupsOf(build, dtype, values, rows, cols) : values;
    const table = input('table', data, alignOf(dtype));
    table.parts = isQuantized(dtype)
      ? tokens.flatMap(token => partsOfRow(build, dtype, token, cols))
      : rowsOf(tokens, rowBytes(dtype, cols));
    return {
      shape: { n, rows, cols },
      operands: [output('out', 4 * n * cols), input('tokens', int32(tokens)), table],
      args: ['out', 'tokens', 'table', n, cols],
    };
  };
}

export function matmul(dtype: DType): (random: Random, build: Build) => Call {
  return (random, build) => {
    const n = sizeOrNone(random, 18);
    const rows = sizeOrNone(random, 40);
    const cols = columns(random, dtype);
    const x = isQuantized(dtype)
      ? roundedBytes(build, roundedActivations(random, dtype, (n * cols) / 32))
      : floats(random, n * cols);
    const values = stored(random, dtype, rows, cols);
    const data = isQuantized(dtype) ? groupsOf(build, dtype, values, rows, cols) : values;
    const w = input('w', data, alignOf(dtype));
    return {
      shape: { n, rows, cols },
      operands: [output('out', 4 * n * rows), input('x', x), w],
      args: ['out', 'x', 'w', n, rows, cols],
    };
  };
}

export function finite(dtype: DType): (random: Random) => Call {
  return random => {
    const count = dtype.startsWith('q') ? 32 * sizeOrNone(random, 200) : sizeOrNone(random, 1000);
    const data = stored(random, dtype, 1, count);
    // a NaN somewhere, so that the kernel stops early, or takes it for a weight
    if (data.length > 0 && random.next() < 0.2) data.fill(0xff, integer(random, 0, data.length - 1));
    return { shape: { count }, operands: [input('p', data, alignOf(dtype))], args: ['p', count] };
  };
}

/** A half float of every block of some format. */
export function finiteHalves(random: Random): Call {
  const count = sizeOrNone(random, 20);
  const stride = 2 * integer(random, 1, 105);
  const data = stored(
    random,
    'f16',
    1,
    Math.max(0, count * (stride / 2) - integer(random, 0, stride / 2 - 1)),
  );
  if (random.next() < 0.2) data.fill(0xff);
  const parts = rowsOf([...Array(count).keys()], stride).map(([at]): [number, number] => [at, 2]);
  return {
    shape: { count, stride },
    operands: [{ ...input('p', data, 2), parts }],
    args: ['p', count, stride],
  };
}

export function rmsnorm(random: Random): Call {
  const n = sizeOrNone(random, 12);
  const dim = sizeOrNone(random, 200);
  const alias = integer(random, 0, 1);
  const x = floats(random, n * dim);
  return {
    shape: { n, dim, alias },
    operands: [
      ...(alias ? [inout('x', x)] : [input('x', x), output('out', x.length)]),
      input('weight', floats(random, dim)),
    ],
    args: [alias ? 'x' : 'out', 'x', 'weight', n, dim, pick(random, [1e-5, 1e-6])],
  };
}

export function ropeTable(random: Random): Call {
  const first = integer(random, 0, 10);
  const count = sizeOrNone(random, 40);
  const headDim = 2 * size(random, 1, 20);
  const scaled = integer(random, 0, 1);
  const factors = Float32Array.from({ length: headDim / 2 }, () => 1 + 7 * random.next());
  const table = output('table', 4 * (first + count) * headDim);
  table.parts = [[4 * first * headDim, 4 * count * headDim]];
  return {
    shape: { first, count, headDim, scaled },
    operands: [table, ...(scaled ? [input('factors', new Uint8Array(factors.buffer))] : [])],
    // Angles beyond 2^20 quarter turns need another reduction, which a tiny scale reaches. Scales between that give angles
    // below 2^22 are left out: AssemblyScript's reduction then reads the word before its table. No context is that long.
    args: [
      'table',
      scaled ? 'factors' : 0,
      first,
      count,
      headDim,
      pick(random, [1e4, 1e6]),
      pick(random, [1, 4, 1e-3, 1e-15]),
    ],
  };
}

export function rope(random: Random): Call {
  const n = sizeOrNone(random, 8);
  const heads = integer(random, 1, 5);
  const headDim = 2 * size(random, 1, 35);
  const capacity = integer(random, 1, 30);
  const positions = indexes(random, n, capacity);
  const table = input('table', floats(random, capacity * headDim));
  table.parts = rowsOf(positions, 4 * headDim);
  return {
    shape: { n, heads, headDim, capacity },
    operands: [inout('x', floats(random, n * heads * headDim)), input('positions', int32(positions)), table],
    args: ['x', 'positions', 'table', n, heads, headDim],
  };
}

export function takeRows(random: Random): Call {
  const n = sizeOrNone(random, 12);
  const any = integer(random, 1, 20);
  const dim = sizeOrNone(random, 70);
  const rows = indexes(random, n, any);
  const x = { ...input('x', floats(random, any * dim)), parts: rowsOf(rows, 4 * dim) };
  return {
    shape: { n, any, dim },
    operands: [output('out', 4 * n * dim), x, input('rows', int32(rows))],
    args: ['out', 'x', 'rows', n, dim],
  };
}
