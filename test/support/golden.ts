// Whole models whose logits are known to the last bit.

import { type TinyModelOptions, uniform } from './tiny-model.ts';

/**
 * Bound for a model in which some activation lies so near the middle of two roundings that f32 and f64 round it to
 * different sides: from there on the two compute with different numbers. The wider a model the likelier.
 */
export const FLIPS = 1e-5;

/**
 * sha256 of the logits of 60 ids on a tiny model, by options: the promise that every runtime and CPU gives the same
 * bits, written down. A kernel that changes them needs a reason, and says so in the changelog.
 */
export const GOLDEN: { options: TinyModelOptions; hash: string; bound?: number }[] = [
  { options: { dtype: 'F32' }, hash: 'ccc5b1c437043573687469459ba08be27bd92f8f0a31fe305c43391c305b347b' },
  {
    options: { dtype: 'F16', tied: true },
    hash: '22594bd8bd2433455e094f100c1b557571e93c700d7c5644e1ee5d8fd950a301',
  },
  {
    options: { dtype: 'BF16', ropeTheta: 1e6 },
    hash: '53738e1495058d35fd6456397b4748a0e06552efc622734e212dc77466b075df',
  },
  {
    options: { dtype: 'Q8_0', ropeScale: 2 },
    hash: '9cc39267013acb92eb1baed70d15a7edbcd2c6c8c948cf1f8b6da6bca28f6541',
  },
  {
    options: { dtype: 'Q4_0', ropeFactors: [1, 2, 3, 4, 5, 6, 7, 8] },
    hash: 'f37c7f062c7d8b194eb20d6bf52daa7340c7d596e84fb035603d8fad8f0b295b',
  },
  { options: { dtype: 'Q4_1' }, hash: '02462f859f245ea3447d1dc32a631fe2ef0bab449fe4b9484006264599d52415' },
  { options: { dtype: 'Q5_0' }, hash: '524aea902bd3eab7bbdb56609aaea48a1bce41c5e27accbccc26174cca860187' },
  { options: { dtype: 'Q5_1' }, hash: '89f738fe13b0c81ff65abb1a58401f8ceb150ebdb007c2d66d014bf47bb6a930' },
  {
    options: { dtype: 'Q2_K' },
    hash: '383d7a1fcff3274888c6ef4eba1782b0b37cccb4e543e2ba5c8d6f9dbcfbd876',
    bound: FLIPS,
  },
  { options: { dtype: 'Q3_K' }, hash: '1e96a30094f754bbd5922da6c165de203ce49bcbbb25edcd7b58131ec38e1304' },
  {
    options: { dtype: 'Q4_K' },
    hash: '6eb416c5acb895cc5190225bb50b9f2b928e87df521c911ae14335d7e53e07a7',
    bound: FLIPS,
  },
  { options: { dtype: 'Q5_K' }, hash: '2073014a8e608af89d5307a8feb3ce3596d43c32ab85d723a4d5a0c4d9cb7892' },
  {
    options: { dtype: 'Q6_K' },
    hash: '2c60001af578e63602c909de81dcbb7d1053bd034eb9d70ce288cf957134ae63',
    bound: FLIPS,
  },
  {
    options: { dtype: 'IQ4_NL' },
    hash: 'a36ddc3d5df6733fcb3dbceed9f52fb02c440b9e35de3042f40d40d857ba7baf',
    bound: FLIPS,
  },
  { options: { dtype: 'IQ4_XS' }, hash: 'a2e270ade80752c21eac66abefa9359e4e069c1dfb9036b1f6c2d4fd17968846' },
];

/** BOS and ids of the tiny vocabulary. */
export function sequence(seed: number, length: number): number[] {
  const random = uniform(seed);
  return [1, ...Array.from({ length: length - 1 }, () => 3 + Math.floor((random() + 1) * 140))];
}
