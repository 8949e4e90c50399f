/** Random calls of the kernels that bring weights and activations into the form in which a build multiplies them. */

import { BLOCK } from '../../host/dtype.ts';
import type { Random } from '../../host/random.ts';
import { alignOf, floats, sizeOrNone, stored } from './contents.ts';
import { ACTIVATIONS, type Build, groupsOf, type Quantized } from './forms.ts';
import { type Call, input, output } from './operands.ts';

export function relayout(dtype: Quantized): (random: Random, build: Build) => Call {
  return (random, build) => {
    const count = sizeOrNone(random, 20);
    const cols = BLOCK[dtype].values * sizeOrNone(random, BLOCK[dtype].values === 32 ? 5 : 2);
    const rows = stored(random, dtype, count, cols);
    const groups = groupsOf(build, dtype, rows, count, cols);
    return {
      shape: { count, cols },
      operands: [output('out', groups.length), input('rows', rows, alignOf(dtype))],
      args: ['out', 'rows', count, cols],
      expected: groups,
    };
  };
}

export function activations(random: Random, build: Build): Call {
  const blocks = sizeOrNone(random, 40);
  return {
    shape: { blocks },
    operands: [output('out', ACTIVATIONS[build] * blocks), input('x', floats(random, 32 * blocks))],
    args: ['out', 'x', blocks],
  };
}
