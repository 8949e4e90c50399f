import { IQ4_LEVELS } from './decode.ts';
import type { EncodeBlock } from './encode-simple.ts';
import { asHalf, fitScale, type Levels } from './fit.ts';
import { f16Bits, roundHalfEven, writeU16 } from './floats.ts';
import { packK3, packXs } from './packed-scales.ts';

/** How 32 or 256 values are divided: y = d·scale·level, where scale is a small integer that may be negative. */
interface Division {
  count: number;
  /** Values a sub-block. */
  size: number;
  lowestScale: number;
  highestScale: number;
  levels: Levels;
}

const integers = (lowest: number, highest: number): Levels => ({
  lowest,
  highest,
  nearest: value => (value < lowest ? lowest : value > highest ? highest : roundHalfEven(value)),
});

/** The level nearest to v is IQ4_NEAREST[⌊2v⌋ + 254], as all midpoints between levels are multiples of one half. */
const IQ4_NEAREST = Int8Array.from({ length: 512 }, (_, i) => {
  const value = (i - 254) / 2;
  return IQ4_LEVELS.reduce((a, b) => (Math.abs(b - value) <= Math.abs(a - value) ? b : a));
});
const iq4: Levels = {
  lowest: -127,
  highest: 113,
  nearest: value => (value <= -127 ? -127 : value >= 113 ? 113 : IQ4_NEAREST[Math.floor(2 * value) + 254]!),
};

const Q3: Division = { count: 256, size: 16, lowestScale: -32, highestScale: 31, levels: integers(-4, 3) };
const Q6: Division = {
  count: 256,
  size: 16,
  lowestScale: -128,
  highestScale: 127,
  levels: integers(-32, 31),
};
const XS: Division = { count: 256, size: 32, lowestScale: -32, highestScale: 31, levels: iq4 };
/** IQ4_NL has no integers: d alone. */
const NL: Division = { count: 32, size: 32, lowestScale: 1, highestScale: 1, levels: iq4 };

/** Rounds of choosing integers for d, and d for the integers. */
const ROUNDS = 3;

// One block is encoded at a time; these hold what is known of it.
const chosen = new Int8Array(256);
const weights = new Float64Array(256);
const fits = new Float64Array(16);
const tried = { d: 0, scales: new Int8Array(16) };
const best = { d: 0, scales: new Int8Array(16) };

/**
 * Chooses `best` and the levels `chosen` for a block. First a scale for each sub-block by itself; then d so that the
 * scale of largest magnitude has the lowest integer; then in turn the best of the neighbouring integers of every
 * sub-block, and d by least squares over the whole block.
 *
 * A value's weight is the mean square of its sub-block plus its own square. (measured: with its own square alone, as in
 * ggml, the unweighted error is 1–3 % larger)
 */
function divide(x: Float32Array, from: number, division: Division): void {
  const { count, size, lowestScale, highestScale, levels } = division;
  let largest = 0;
  for (let j = 0; j < count / size; j++) {
    const start = j * size;
    let squares = 0;
    for (let i = start; i < start + size; i++) squares += x[from + i]! * x[from + i]!;
    for (let i = start; i < start + size; i++) weights[i] = squares / size + x[from + i]! * x[from + i]!;
    fits[j] = fitScale(x, from + start, weights, start, size, levels);
    if (Math.abs(fits[j]!) > Math.abs(largest)) largest = fits[j]!;
  }
  tried.d = asHalf(largest / lowestScale);
  for (let j = 0; j < count / size; j++) {
    const scale = roundHalfEven(fits[j]! / (tried.d || 1));
    tried.scales[j] = Math.min(highestScale, Math.max(lowestScale, scale));
  }
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const error = moveToNeighbours(x, from, division);
    if (error >= least) break;
    least = error;
    best.d = tried.d;
    best.scales.set(tried.scales);
    refit(x, from, division);
  }
  for (let i = 0; i < count; i++) {
    const scale = best.d * best.scales[(i / size) | 0]!;
    chosen[i] = levels.nearest(scale === 0 ? 0 : x[from + i]! / scale);
  }
}

/** Moves every scale of `tried` to the best of itself and its neighbours, and gives the block's error. */
function moveToNeighbours(x: Float32Array, from: number, division: Division): number {
  const { count, size, lowestScale, highestScale, levels } = division;
  let total = 0;
  for (let j = 0; j < count / size; j++) {
    const scale = tried.scales[j]!;
    let least = Number.POSITIVE_INFINITY;
    for (let s = Math.max(lowestScale, scale - 1); s <= Math.min(highestScale, scale + 1); s++) {
      const step = tried.d * s;
      const inverse = step === 0 ? 0 : 1 / step;
      let error = 0;
      for (let i = j * size; i < j * size + size; i++) {
        const value = x[from + i]!;
        const rest = value - step * levels.nearest(value * inverse);
        error += weights[i]! * rest * rest;
      }
      if (error >= least) continue;
      least = error;
      tried.scales[j] = s;
    }
    total += least;
  }
  return total;
}

/** The d that is best for the integers of `tried`: x ≈ d·a with a = scale·level. */
function refit(x: Float32Array, from: number, { count, size, levels }: Division): void {
  let [aa, ax] = [0, 0];
  for (let i = 0; i < count; i++) {
    const scale = tried.scales[(i / size) | 0]!;
    const step = tried.d * scale;
    const a = scale * levels.nearest(step === 0 ? 0 : x[from + i]! / step);
    aa += weights[i]! * a * a;
    ax += weights[i]! * a * x[from + i]!;
  }
  if (aa > 0) tried.d = asHalf(ax / aa);
}

/** The layouts are those of host/quantize/decode.ts. */
export const SCALED: Record<'Q3_K' | 'Q6_K' | 'IQ4_NL' | 'IQ4_XS', EncodeBlock> = {
  Q3_K: (x, from, block, at) => {
    divide(x, from, Q3);
    for (let i = 0; i < 256; i++) {
      const code = chosen[i]! + 4;
      block[at + (i & 31)]! |= (code >> 2) << (i >> 5);
      block[at + 32 + 32 * (i >> 7) + (i & 31)]! |= (code & 3) << (2 * ((i >> 5) & 3));
    }
    packK3(best.scales, block, at + 96);
    writeU16(block, at + 108, f16Bits(best.d));
  },
  Q6_K: (x, from, block, at) => {
    divide(x, from, Q6);
    for (let i = 0; i < 256; i++) {
      const code = chosen[i]! + 32;
      block[at + 64 * (i >> 7) + (i & 63)]! |= (code & 15) << (4 * ((i >> 6) & 1));
      block[at + 128 + 32 * (i >> 7) + (i & 31)]! |= (code >> 4) << (2 * ((i >> 5) & 3));
    }
    block.set(new Uint8Array(best.scales.buffer), at + 192);
    writeU16(block, at + 208, f16Bits(best.d));
  },
  IQ4_NL: (x, from, block, at) => {
    divide(x, from, NL);
    writeU16(block, at, f16Bits(best.d));
    writeLevels(block, at + 2, 0);
  },
  IQ4_XS: (x, from, block, at) => {
    divide(x, from, XS);
    writeU16(block, at, f16Bits(best.d));
    packXs(best.scales, block, at + 2);
    for (let j = 0; j < 8; j++) writeLevels(block, at + 8 + 16 * j, 32 * j);
  },
};

/** The nibbles of 32 levels. */
function writeLevels(block: Uint8Array, at: number, first: number): void {
  for (let i = 0; i < 32; i++) {
    block[at + (i & 15)]! |= IQ4_LEVELS.indexOf(chosen[first + i]!) << (4 * (i >> 4));
  }
}
