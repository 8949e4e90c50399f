import type { EncodeBlock } from './encode-simple.ts';
import { type Affine, asHalf, fitAffine, nearestCode } from './fit.ts';
import { f16Bits, writeU16 } from './floats.ts';
import { packK4 } from './packed-scales.ts';

/** How a K-quant with mins divides its 256 values: y = (d·scale)·q − dmin·min, where scale and min are small integers. */
interface Division {
  /** Values a sub-block. */
  size: number;
  /** The largest q, and the largest scale and min. */
  lastCode: number;
  lastScale: number;
  /** Numbers of steps that the range of a sub-block is tried with. */
  steps: readonly number[];
}

/** From one step less than there are codes for to one more. (measured: at half the distance, errors are 0.1 % smaller) */
const stepsAround = (last: number): number[] => Array.from({ length: 11 }, (_, i) => last - 1 + 0.2 * i);

const Q2: Division = { size: 16, lastCode: 3, lastScale: 15, steps: stepsAround(3) };
const Q4: Division = { size: 32, lastCode: 15, lastScale: 63, steps: stepsAround(15) };
const Q5: Division = { size: 32, lastCode: 31, lastScale: 63, steps: stepsAround(31) };

/** Rounds of choosing integers for d and dmin, and d and dmin for the integers. (measured: the second and third gain 0.5 %) */
const ROUNDS = 3;

/** Integers and steps of a block. */
interface Choice {
  d: number;
  dmin: number;
  scales: Uint8Array;
  mins: Uint8Array;
}
const choice = (): Choice => ({ d: 0, dmin: 0, scales: new Uint8Array(16), mins: new Uint8Array(16) });

// One block is encoded at a time; these hold what is known of it.
const codes = new Uint8Array(256);
const weights = new Float64Array(256);
const fit: Affine = { scale: 0, min: 0 };
const fits = { scales: new Float64Array(16), mins: new Float64Array(16) };
const tried: Choice = choice();
const best: Choice = choice();

/**
 * Chooses `best` and `codes` for 256 values. First each sub-block by itself; then d and dmin so that the largest scale
 * and min have the largest integers; then in turn the best of the neighbouring integers of every sub-block, and d and
 * dmin by least squares over the whole block. All squares are weighted.
 */
function divide(x: Float32Array, from: number, division: Division): void {
  fitSubBlocks(x, from, division);
  const { lastScale } = division;
  tried.d = asHalf(Math.max(...fits.scales) / lastScale);
  tried.dmin = asHalf(Math.max(...fits.mins) / lastScale);
  for (let j = 0; j < 256 / division.size; j++) {
    tried.scales[j] = nearestCode(fits.scales[j]! / (tried.d || 1), lastScale);
    tried.mins[j] = nearestCode(fits.mins[j]! / (tried.dmin || 1), lastScale);
  }
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const error = moveToNeighbours(x, from, division);
    if (error >= least) break;
    least = error;
    best.d = tried.d;
    best.dmin = tried.dmin;
    best.scales.set(tried.scales);
    best.mins.set(tried.mins);
    refit(x, from, division);
  }
  for (let i = 0; i < 256; i++) {
    const j = (i / division.size) | 0;
    codes[i] = codeOf(x[from + i]!, best.d * best.scales[j]!, best.dmin * best.mins[j]!, division.lastCode);
  }
}

/**
 * A value's weight is the root mean square of its sub-block plus its own magnitude: without an importance matrix large
 * weights count for more, as in ggml.
 */
function fitSubBlocks(x: Float32Array, from: number, { size, lastCode, steps }: Division): void {
  fits.scales.fill(0);
  fits.mins.fill(0);
  for (let start = 0; start < 256; start += size) {
    let squares = 0;
    for (let i = start; i < start + size; i++) squares += x[from + i]! * x[from + i]!;
    const rms = Math.sqrt(squares / size);
    for (let i = start; i < start + size; i++) weights[i] = rms + Math.abs(x[from + i]!);
    fitAffine(x, from + start, weights, start, size, lastCode, steps, fit);
    fits.scales[start / size] = fit.scale;
    fits.mins[start / size] = fit.min;
  }
}

function codeOf(value: number, scale: number, min: number, last: number): number {
  return scale === 0 ? 0 : nearestCode((value + min) / scale, last);
}

/** Moves every scale and min of `tried` to the best of the 9 neighbouring pairs, and gives the block's error. */
function moveToNeighbours(x: Float32Array, from: number, division: Division): number {
  let total = 0;
  for (let j = 0; j < 256 / division.size; j++) {
    const { scales, mins } = tried;
    const [scale, min] = [scales[j]!, mins[j]!];
    let least = Number.POSITIVE_INFINITY;
    for (let s = Math.max(0, scale - 1); s <= Math.min(division.lastScale, scale + 1); s++) {
      for (let m = Math.max(0, min - 1); m <= Math.min(division.lastScale, min + 1); m++) {
        const error = subBlockError(x, from, j, tried.d * s, tried.dmin * m, division);
        if (error >= least) continue;
        least = error;
        scales[j] = s;
        mins[j] = m;
      }
    }
    total += least;
  }
  return total;
}

function subBlockError(
  x: Float32Array,
  from: number,
  j: number,
  scale: number,
  min: number,
  { size, lastCode }: Division,
): number {
  const inverse = scale === 0 ? 0 : 1 / scale;
  let error = 0;
  for (let i = j * size; i < j * size + size; i++) {
    const shifted = x[from + i]! + min;
    const rest = shifted - scale * nearestCode(shifted * inverse, lastCode);
    error += weights[i]! * rest * rest;
  }
  return error;
}

/** The d and dmin that are best for the integers of `tried`: x ≈ d·a − dmin·b with a = scale·q, b = min. */
function refit(x: Float32Array, from: number, { size, lastCode }: Division): void {
  let [aa, ab, bb, ax, bx] = [0, 0, 0, 0, 0];
  for (let i = 0; i < 256; i++) {
    const j = (i / size) | 0;
    const value = x[from + i]!;
    const b = tried.mins[j]!;
    const a = tried.scales[j]! * codeOf(value, tried.d * tried.scales[j]!, tried.dmin * b, lastCode);
    const w = weights[i]!;
    aa += w * a * a;
    ab += w * a * b;
    bb += w * b * b;
    ax += w * a * value;
    bx += w * b * value;
  }
  const determinant = aa * bb - ab * ab;
  if (determinant > 1e-6 * aa * bb) {
    tried.d = asHalf(Math.max(0, ax * bb - bx * ab) / determinant);
    tried.dmin = asHalf(Math.max(0, ax * ab - bx * aa) / determinant);
  } else if (aa > 0) {
    tried.d = asHalf(Math.max(0, ax + tried.dmin * ab) / aa);
  }
}

/** The layouts are those of host/quantize/decode.ts. */
export const AFFINE: Record<'Q2_K' | 'Q4_K' | 'Q5_K', EncodeBlock> = {
  Q2_K: (x, from, block, at) => {
    divide(x, from, Q2);
    for (let j = 0; j < 16; j++) block[at + j] = best.scales[j]! | (best.mins[j]! << 4);
    for (let i = 0; i < 256; i++) {
      block[at + 16 + 32 * (i >> 7) + (i & 31)]! |= codes[i]! << (2 * ((i >> 5) & 3));
    }
    writeU16(block, at + 80, f16Bits(best.d));
    writeU16(block, at + 82, f16Bits(best.dmin));
  },
  Q4_K: (x, from, block, at) => {
    divide(x, from, Q4);
    writeSteps(block, at);
    writeNibbles(block, at + 16);
  },
  Q5_K: (x, from, block, at) => {
    divide(x, from, Q5);
    writeSteps(block, at);
    for (let i = 0; i < 256; i++) block[at + 16 + (i & 31)]! |= (codes[i]! >> 4) << (i >> 5);
    writeNibbles(block, at + 48);
  },
};

/** f16 d; f16 dmin; u8 scalesAndMins[12] */
function writeSteps(block: Uint8Array, at: number): void {
  writeU16(block, at, f16Bits(best.d));
  writeU16(block, at + 2, f16Bits(best.dmin));
  packK4(best.scales, best.mins, block, at + 4);
}

function writeNibbles(block: Uint8Array, at: number): void {
  for (let i = 0; i < 256; i++) {
    block[at + 32 * (i >> 6) + (i & 31)]! |= (codes[i]! & 15) << (4 * ((i >> 5) & 1));
  }
}
