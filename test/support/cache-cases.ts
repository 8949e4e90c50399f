/** Random calls of the kernels that write and read a kv cache. */

import { attentionBytes, BLOCK, type CacheDType, rowBytes } from '../../host/dtype.ts';
import type { Random } from '../../host/random.ts';
import { cacheRows } from '../../host/reference-formats.ts';
import { alignOf, distinct, floats, int32, integer, size, sizeOrNone, stored } from './contents.ts';
import { type Call, input, type Operand, output, rowsOf } from './operands.ts';

/** Sizes of a cache, and for n tokens a slot and a position in it. */
function cached(random: Random, dtype: CacheDType, most: number) {
  const n = sizeOrNone(random, 5);
  const slotCount = integer(random, 1, 3);
  const kvHeads = integer(random, 1, 3);
  const { values } = BLOCK[dtype];
  const headDim = values * size(random, 1, values === 1 ? 140 : 5);
  const capacity = size(random, 1, most);
  const places = distinct(random, Math.min(n, slotCount * capacity), slotCount * capacity);
  const slots = places.map(place => Math.floor(place / capacity));
  const positions = places.map(place => place % capacity);
  return { n: places.length, slotCount, kvHeads, headDim, capacity, slots, positions };
}

export function append(dtype: CacheDType): (random: Random) => Call {
  return random => {
    const { slots, positions, ...shape } = cached(random, dtype, 70);
    const { n, slotCount, kvHeads, headDim, capacity } = shape;
    const row = rowBytes(dtype, headDim);
    const x = floats(random, n * kvHeads * headDim);
    // the rows of x and the rows of the cache that they become
    const pairs = slots.flatMap((slot, t) =>
      Array.from({ length: kvHeads }, (_, h): [from: number, to: number] => {
        return [t * kvHeads + h, (slot * kvHeads + h) * capacity + positions[t]!];
      }),
    );
    const cache = {
      ...output('cache', slotCount * kvHeads * capacity * row),
      align: alignOf(dtype),
      parts: rowsOf(
        pairs.map(([, to]) => to),
        row,
      ),
    };
    const values = new Float32Array(x.buffer);
    const expected = pairs
      .sort(([, a], [, b]) => a - b)
      .map(([from]) =>
        cacheRows(Float64Array.from(values.subarray(from * headDim, (from + 1) * headDim)), dtype),
      );
    return {
      shape,
      operands: [cache, input('x', x), input('slots', int32(slots)), input('positions', int32(positions))],
      args: ['cache', 'x', 'slots', 'positions', n, kvHeads, headDim, capacity],
      expected: Buffer.concat(expected),
    };
  };
}

export function attention(dtype: CacheDType): (random: Random) => Call {
  return random => {
    const { slots, positions, ...shape } = cached(random, dtype, 70);
    const { n, slotCount, kvHeads, headDim, capacity } = shape;
    const group = integer(random, 1, 3);
    // a rank's heads may begin and end inside a group
    const before = integer(random, 0, kvHeads * group - 1);
    const heads = integer(random, 1, kvHeads * group - before);
    const row = rowBytes(dtype, headDim);
    const first = Math.floor(before / group);
    const end = Math.floor((before + heads - 1) / group) + 1;
    const parts = slots.flatMap((slot, t) => {
      return Array.from({ length: end - first }, (_, i): [number, number] => {
        return [(slot * kvHeads + first + i) * capacity * row, (positions[t]! + 1) * row];
      });
    });
    const cache = (name: string): Operand => {
      const data = stored(random, dtype, slotCount * kvHeads * capacity, headDim);
      // a NaN somewhere: the upper byte of a half float, or of a scale
      if (dtype !== 'f32' && random.next() < 0.1) {
        data[integer(random, 0, data.length / row - 1) * row + 1] = 0x7e;
      }
      return { ...input(name, data, alignOf(dtype)), parts };
    };
    const work: Operand = { ...output('work', attentionBytes(n * heads, headDim)), role: 'work' };
    const names = ['out', 'q', 'kCache', 'vCache', 'work', 'slots', 'positions'];
    return {
      shape: { ...shape, heads, group, before },
      operands: [
        output('out', 4 * n * heads * headDim),
        input('q', floats(random, n * heads * headDim)),
        cache('kCache'),
        cache('vCache'),
        work,
        input('slots', int32(slots)),
        input('positions', int32(positions)),
      ],
      args: [...names, n, heads, kvHeads, group, before, headDim, capacity],
    };
  };
}
