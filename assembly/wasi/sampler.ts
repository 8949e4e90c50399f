// Draws tokens as host/sampler.ts does, from the same random numbers as host/random.ts.

import { penalize, sample } from '../sample';
import { vocabSize } from './config';
import { at, fail } from './errors';
import { alloc } from './memory';
import {
  frequencyPenalty, minP, presencePenalty, repeatLastN, repeatPenalty, seed, temperature, topK, topP,
} from './options';

/** xoshiro128** (Blackman and Vigna 2018). */
let s0: u32 = 0;
let s1: u32 = 0;
let s2: u32 = 0;
let s3: u32 = 0;

const ID = memory.data(4, 4);
let work: usize = 0; // (vocabSize)
/** The ids that are penalised, how often each occurs, and by id where it stands among them, + 1. */
let recent: usize = 0; // (vocabSize)
let counts: usize = 0; // (vocabSize)
let places: usize = 0; // (vocabSize)

/** The finaliser of MurmurHash3. */
function mix(h: u32): u32 {
  h = (h ^ (h >>> 16)) * 0x85ebca6b;
  h = (h ^ (h >>> 13)) * 0xc2b2ae35;
  return h ^ (h >>> 16);
}

export function planSampler(): void {
  const bytes = <u64>vocabSize * 4;
  work = alloc(bytes);
  recent = alloc(bytes);
  counts = alloc(bytes);
  places = alloc(bytes);
  const high = mix(<u32>(seed >> 32) + 0x85ebca6b);
  let low = <u32>seed;
  s0 = mix((low += 0x9e3779b9) ^ high);
  s1 = mix((low += 0x9e3779b9) ^ high);
  s2 = mix((low += 0x9e3779b9) ^ high);
  s3 = mix((low += 0x9e3779b9) ^ high);
}

/** Uniform in [0, 1), a multiple of 2^−24. */
function random(): f32 {
  const bits = rotl<u32>(s1 * 5, 7) * 9;
  const t = s1 << 9;
  s2 ^= s0;
  s3 ^= s1;
  s1 ^= s2;
  s0 ^= s3;
  s2 ^= t;
  s3 = rotl<u32>(s3, 11);
  return <f32>(bits >>> 8) / 16777216;
}

/** Draws the token that follows `history` (length) from `logits` (vocabSize), which it changes. */
export function draw(logits: usize, history: usize, length: i32): i32 {
  if (repeatPenalty != 1 || frequencyPenalty != 0 || presencePenalty != 0) {
    const distinct = count(history, length);
    penalize(logits, recent, counts, distinct, repeatPenalty, frequencyPenalty, presencePenalty);
  }
  // one draw a token, used or not, so that a seed's later tokens do not depend on how earlier ones were cut
  const u = random();
  sample(ID, logits, work, vocabSize, temperature, topK, topP, minP, u);
  const id = load<i32>(ID);
  if (id < 0) {
    at('logits');
    const hint = 'The weights are damaged or too large for f32; take another checkpoint.';
    fail('non-finite-results', 'finite numbers from the model', 'NaN or an infinity', hint);
  }
  return id;
}

/** Counts the ids among the last `repeatLastN`, −1 for all; returns how many are distinct. */
function count(history: usize, length: i32): i32 {
  let distinct = 0;
  memory.fill(places, 0, <usize>vocabSize << 2);
  for (let i = repeatLastN < 0 ? 0 : max(0, length - repeatLastN); i < length; i++) {
    const id = load<i32>(history + (<usize>i << 2));
    const place = load<i32>(places + (<usize>id << 2)) - 1;
    if (place >= 0) {
      const seen = counts + (<usize>place << 2);
      store<i32>(seen, load<i32>(seen) + 1);
      continue;
    }
    store<i32>(recent + (<usize>distinct << 2), id);
    store<i32>(counts + (<usize>distinct << 2), 1);
    store<i32>(places + (<usize>id << 2), ++distinct);
  }
  return distinct;
}
