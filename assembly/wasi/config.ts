// The hyper-parameters and what they must be: the rules of host/llama-file.ts and host/llama-shape.ts, in their order.

import { at, fail } from './errors';
import { F32, F64, findKey, typeOfKey } from './gguf';
import { DAMAGED } from './reader';
import { isNumber, keySays, numberOfKey } from './values';

/** The hyper-parameters (host/model-file.ts). */
export let dim: i32 = 0;
export let hiddenDim: i32 = 0;
export let nLayers: i32 = 0;
export let nHeads: i32 = 0;
export let nKvHeads: i32 = 0;
export let headDim: i32 = 0;
export let vocabSize: i32 = 0;
export let contextLength: i32 = 0;
export let normEps: f32 = 0;
export let ropeTheta: f64 = 0;
export let ropeScale: f64 = 1;

/** The number of a key, `otherwise` if it may be missing and is; floats and integers are not taken for each other. */
function number(key: string, isFloat: bool, mayMiss: bool, otherwise: f64): f64 {
  at(key);
  const index = findKey(key);
  if (index < 0) {
    if (!mayMiss) fail('missing-key', isFloat ? 'a float' : 'an integer', 'nothing', DAMAGED);
    return otherwise;
  }
  const type = typeOfKey(index);
  if (!isNumber(type) || (type == F32 || type == F64) != isFloat) {
    fail('wrong-key-type', isFloat ? 'a float' : 'an integer', 'a value of type #', DAMAGED, type);
  }
  return numberOfKey(index);
}

function integer(key: string): f64 {
  return number(key, false, false, 0);
}
function integerOr(key: string, otherwise: f64): f64 {
  return number(key, false, true, otherwise);
}
function floatOr(key: string, otherwise: f64): f64 {
  return number(key, true, true, otherwise);
}

function wrong(key: string, expected: string, got: f64): void {
  at(key);
  fail('bad-hyperparameter', expected, '#', 'The file is damaged, or its model is not a Llama.', <i64>got);
}

/** A key that is redundant here, and refused where it is not. */
function same(key: string, expected: f64): void {
  const value = integerOr(key, expected);
  if (value != expected) wrong(key, 'the number that follows from the others', value);
}

function checkInteger(key: string, value: f64, most: f64): void {
  if (!(value >= 1 && value <= most)) wrong(key, 'an integer from 1 to what a Llama can be', value);
}

function checkPositive(key: string, value: f64): void {
  if (!(value > 0 && isFinite(value))) wrong(key, 'a finite number above 0', value);
}

const DIM = 'llama.embedding_length', HIDDEN_DIM = 'llama.feed_forward_length', LAYERS = 'llama.block_count';
const HEADS = 'llama.attention.head_count', KV_HEADS = 'llama.attention.head_count_kv';
const CONTEXT = 'llama.context_length', EPSILON = 'llama.attention.layer_norm_rms_epsilon';
const THETA = 'llama.rope.freq_base', SCALE = 'llama.rope.scaling.factor', SCALING = 'llama.rope.scaling.type';

/** @param embeddingRows the vocabulary's size as the embedding has it */
export function readConfig(embeddingRows: u64): void {
  const d = integer(DIM);
  const heads = integer(HEADS);
  const hidden = integer(HIDDEN_DIM);
  const layers = integer(LAYERS);
  const kvHeads = integerOr(KV_HEADS, heads);
  const headSize = d / heads;
  const rows = <f64>embeddingRows;
  const context = integer(CONTEXT);
  const epsilon = number(EPSILON, true, false, 0);
  const theta = floatOr(THETA, 10000);
  let scale: f64 = 1;
  const scaling = findKey(SCALING);
  if (scaling < 0 || keySays(scaling, 'linear')) {
    scale = floatOr(SCALE, floatOr('llama.rope.scale_linear', 1));
  } else if (!keySays(scaling, 'none')) {
    at(SCALING);
    const hint = 'Cria knows linear scaling and the frequency factors of `rope_freqs.weight`.';
    fail('unsupported-rope-scaling', '"linear" or "none"', 'another', hint);
  }
  same('llama.rope.dimension_count', headSize);
  same('llama.attention.key_length', headSize);
  same('llama.attention.value_length', headSize);
  same('llama.vocab_size', rows);

  checkInteger(DIM, d, 1048576);
  checkInteger(HIDDEN_DIM, hidden, 4194304);
  checkInteger(LAYERS, layers, 1024);
  checkInteger(HEADS, heads, 4096);
  checkInteger(KV_HEADS, kvHeads, 4096);
  checkInteger('token_embd.weight', rows, 16777216);
  checkInteger(CONTEXT, context, 1048576);
  if (headSize != Math.floor(headSize) || <i32>headSize % 2 != 0) wrong(HEADS, 'heads of one even size', heads);
  if (<i32>heads % <i32>kvHeads != 0) wrong(KV_HEADS, 'a divisor of the number of heads', kvHeads);
  checkPositive(EPSILON, epsilon);
  checkPositive(THETA, theta);
  checkPositive(SCALE, scale);
  dim = <i32>d;
  hiddenDim = <i32>hidden;
  nLayers = <i32>layers;
  nHeads = <i32>heads;
  nKvHeads = <i32>kvHeads;
  headDim = <i32>headSize;
  vocabSize = <i32>rows;
  contextLength = <i32>context;
  normEps = <f32>epsilon;
  ropeTheta = theta;
  ropeScale = scale;
}
