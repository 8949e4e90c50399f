import type { CacheDType } from '../../host/dtype.ts';
import { type TinyModelOptions, uniform } from './tiny-model.ts';

/**
 * Bound for a model in which some activation, key or value lies so near the middle of two roundings that f32 and f64 round it to
 * different sides: from there on the two compute with different numbers. The wider a model the likelier.
 */
export const FLIPS = 1e-5;

/** BOS and random ids. */
export function sequence(seed: number, length: number): number[] {
  const random = uniform(seed);
  return [1, ...Array.from({ length: length - 1 }, () => 3 + Math.floor((random() + 1) * 140))];
}

export const GOLDEN_IDS: number[] = sequence(5, 60);

export interface Golden {
  options: TinyModelOptions;
  /** Format of the kv cache; 'f32' by default. */
  cache?: CacheDType;
  hash: string;
  /** NMSE against the reference, if it is not 1e-10. */
  bound?: number;
}

/**
 * sha256 of the logits of `GOLDEN_IDS` on a tiny model, by options: the promise that every runtime and CPU gives the same
 * bits, written down. A kernel that changes them needs a reason, and says so in the changelog.
 */
export const GOLDEN: Golden[] = [
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
  {
    options: { dtype: 'F32' },
    cache: 'f16',
    hash: '39d16abd56d082e3b5a576fa2b871875b16f1e98570e14b3bca706bc3cc927b8',
    bound: FLIPS,
  },
  {
    options: { dtype: 'F32', dim: 128, nHeads: 4, nKvHeads: 2 },
    cache: 'q8_0',
    hash: 'a10e10f4867541d7172282829c807e6ea06ae7d0c7a7f9a50d7c111465f45f01',
    bound: FLIPS,
  },
];

/** Heads in groups that ranks split at any place, and heads that nobody shares. */
export const GOLDEN_HEADS: Golden[] = [
  {
    options: { dtype: 'Q8_0', nHeads: 8, nKvHeads: 2 },
    cache: 'f32',
    hash: '1fbe0063a71966cdbe2ec06702e2f9027b15b58c9ac61fd6d9f366acb67a6ddc',
  },
  {
    options: { dtype: 'F32', dim: 96, nHeads: 6, nKvHeads: 2 },
    cache: 'f32',
    hash: '75acde356830a5c5100029441d829cde102d3292e3c390d1366964ebba4139a7',
  },
  {
    options: { dtype: 'Q4_0', nHeads: 4, nKvHeads: 1 },
    cache: 'f32',
    hash: '107a0379974ff3ba4d09416724f189f29c634f82b955a80c5678f8af444be949',
  },
  {
    options: { dtype: 'F16', nHeads: 4, nKvHeads: 4 },
    cache: 'f32',
    hash: '5a467dcd3ea7544c1a4e65a03cfc19b68bf7ba27b027f29504b97b27c553bbad',
  },
];

/** Caches of every format beside weights in floats, int8 and codes. */
export const GOLDEN_CACHES: Golden[] = [
  {
    options: { dtype: 'F32', dim: 256, nHeads: 8 },
    cache: 'f16',
    hash: '1ff694cbbe075b395f7e92cb97a5ce321d54fff29c72db23324665c64bbde347',
  },
  {
    options: { dtype: 'Q8_0', dim: 128 },
    cache: 'f16',
    hash: 'e50c01b83ef268a37be24506094751ace14a49e2287f53f2183b76569f7107b3',
  },
  {
    options: { dtype: 'Q4_K' },
    cache: 'f16',
    hash: 'e0d0b8be9c13a27d5611b33c969951d45eb6482881957e97ce8a37591dc4a41d',
  },
  {
    options: { dtype: 'F32', dim: 256, nHeads: 8 },
    cache: 'q8_0',
    hash: 'a5bfb5d766322562b27505d0dcae53ae47bd470cca05a29235f394b72b30ca53',
  },
  {
    options: { dtype: 'Q8_0', dim: 128 },
    cache: 'q8_0',
    hash: '1d932350d21761363c756b95a23114624e694819e4973213d1151f1dece7d2d2',
  },
  {
    options: { dtype: 'Q4_K' },
    cache: 'q8_0',
    hash: 'c2c6688fe9acff52a29552abc2215fb83035fc76e4f68428f10139e70395bd92',
  },
];
