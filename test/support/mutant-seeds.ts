// Well-formed files to be made into mutants (mutate.ts).

import { readFileSync } from 'node:fs';
import { writeGguf } from '../../host/gguf-write.ts';
import { type Seed, seedFrom } from './mutate.ts';
import { shared } from './shared.ts';
import { tinyModel, uniform } from './tiny-model.ts';

export const SMALL: { dim: number; nHeads: number; nKvHeads: number; hiddenDim: number; nLayers: number } = {
  dim: 16,
  nHeads: 2,
  nKvHeads: 1,
  hiddenDim: 32,
  nLayers: 2,
};

export function seeds(): Seed[] {
  const files = [
    tinyModel({ ...SMALL, ropeScale: 2, ropeFactors: [1, 2, 3, 4] }),
    tinyModel({ dim: 32, nHeads: 2, hiddenDim: 32, nLayers: 1, dtype: 'Q8_0', tied: true }),
    tinyModel({ dim: 32, nHeads: 1, nKvHeads: 1, hiddenDim: 64, nLayers: 1, dtype: 'Q4_0' }),
    // without a vocabulary, so that the other fields are hit more often
    ...(['F32', 'F16', 'Q8_0'] as const).map(dtype =>
      tinyModel({
        ...SMALL,
        dim: 32,
        dtype,
        vocabSize: 320,
        edit: keys =>
          [...keys.keys()].filter(key => key.startsWith('tokenizer')).forEach(key => void keys.delete(key)),
      }),
    ),
    writeGguf(
      [
        ['u8', { type: 'u8', value: 1 }],
        ['text', { type: 'string', value: 'a ▁ b' }],
        ['texts', { type: 'array', of: 'string', value: ['', 'a', '▁'] }],
        ['doubles', { type: 'array', of: 'f64', value: [1, 2, 3] }],
        ['flags', { type: 'array', of: 'bool', value: [true, false] }],
        ['u64', { type: 'u64', value: 2n ** 60n }],
      ],
      [8, 12, 30].map((ggmlType, i) => {
        const data = new Uint8Array([34 * 8, 144, 512][i]!);
        return { name: `t${i}`, dims: [256], ggmlType, data };
      }),
      64,
    ),
  ];
  const real = shared('data/models/stories260K.gguf');
  if (real !== undefined) files.push(new Uint8Array(readFileSync(real)));
  return files.map(seedFrom);
}

/** Whole numbers below n, from a seed. */
export function wholeNumbers(seed: number): (n: number) => number {
  const random = uniform(seed);
  return n => Math.floor(((random() + 1) / 2) * n);
}
