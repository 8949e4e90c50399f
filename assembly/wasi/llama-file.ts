// What the header must say for the kernels to run the model: the rules of host/llama-file.ts, in their order.

import { dim, headDim, hiddenDim, nKvHeads, nLayers, readConfig, vocabSize } from './config';
import { at, fail } from './errors';
import {
  BOOL, FileTensor, aboutTensor, findKey, tensorAt, tensorCount, tensorNames, typeOfKey, valueOfKey,
} from './gguf';
import { alloc, commit } from './memory';
import { DAMAGED } from './reader';
import { Text, isText } from './text';
import { F32, isRunnable } from './types';
import { isNumber, keySays, numberOfKey } from './values';

/** A matrix of the model: `rows` rows of `cols` values. */
@unmanaged
export class Tensor {
  /** Where its values stand in the file, and in memory once there is a place for them. */
  offset: u64;
  buf: usize;
  type: u32;
  rows: i32;
  cols: i32;
  /** In the file's list. */
  index: u32;
}

/** Tensors in the order of the data path: the embedding, each layer's nine, the last norm, the output, factors. */
let tensors: usize = 0;
let taken: u32 = 0;
/** Which entries of the file's list are tensors of a Llama, as bytes. */
let isTaken: usize = 0;
/** −1 where the file has none. */
let outputAt: i32 = -1;
let factorsAt: i32 = -1;

export function modelTensors(): u32 {
  return taken;
}
export function modelTensor(index: u32): Tensor {
  return changetype<Tensor>(tensors + <usize>index * offsetof<Tensor>());
}

/** Parts of a layer, in the order of host/llama-shape.ts. */
export const ATTN_NORM = 0, ATTN_Q = 1, ATTN_K = 2, ATTN_V = 3, ATTN_OUTPUT = 4;
export const FFN_NORM = 5, FFN_GATE = 6, FFN_UP = 7, FFN_DOWN = 8;
const PARTS = 9;

export function tokenEmbd(): Tensor {
  return modelTensor(0);
}
export function layerTensor(layer: i32, part: i32): Tensor {
  return modelTensor(1 + layer * PARTS + part);
}
export function outputNorm(): Tensor {
  return modelTensor(1 + nLayers * PARTS);
}
export function output(): Tensor {
  return outputAt < 0 ? tokenEmbd() : modelTensor(outputAt);
}
/** 0 for none. */
export function ropeFactors(): usize {
  return factorsAt < 0 ? 0 : modelTensor(factorsAt).buf;
}

/** Whether a key is there with a value that is neither of two numbers. */
function saysOther(key: i32, one: f64, other: f64): bool {
  if (key < 0) return false;
  if (!isNumber(typeOfKey(key))) return true;
  const value = numberOfKey(key);
  return value != one && value != other;
}

export function readModel(): void {
  at('general.architecture');
  const architecture = findKey('general.architecture');
  if (architecture < 0) fail('missing-key', '"llama"', 'nothing', 'This is not a model file.');
  if (!keySays(architecture, 'llama')) {
    fail('unsupported-architecture', '"llama"', 'another', 'Cria runs models of the Llama family.');
  }
  refuseVariants();
  at('tensors');
  if (tensorCount == 0) {
    fail('no-weights', 'the weights of a model', 'none', 'Give the file that holds the weights.');
  }
  const embedding = findTensor('token_embd.weight');
  if (embedding < 0) missing();
  const table = tensorAt(embedding);
  readConfig(table.elements / table.dim0);
  takeTensors();
}

function refuseVariants(): void {
  at('llama.expert_count');
  if (saysOther(findKey('llama.expert_count'), 0, 0)) {
    fail('unsupported-architecture', 'a dense model', 'experts', 'Mixtures of experts are not supported.');
  }
  at('llama.attention.causal');
  const causal = findKey('llama.attention.causal');
  if (causal >= 0 && typeOfKey(causal) == BOOL && load<u8>(valueOfKey(causal)) == 0) {
    fail('unsupported-architecture', 'causal attention', 'false', 'Cria runs decoders only.');
  }
  at('split.count');
  if (saysOther(findKey('split.count'), 0, 1)) {
    fail('missing-tensor', 'a whole model', 'a part of one', 'Join the parts with `llama-gguf-split --merge`.');
  }
}

const WANTED = memory.data(64 + 8, 8);

function wanted(): Text {
  return Text.at(WANTED, 64 + 8);
}

function findTensor(name: string): i32 {
  const text = wanted();
  text.say(name);
  return tensorNames.find(text.start, text.length);
}

function missing(): void {
  const name = changetype<Text>(WANTED);
  at('tensor', name.start, name.length);
  fail('missing-tensor', 'all tensors of a Llama', 'a file without this one', DAMAGED);
}

function takeTensors(): void {
  tensors = alloc(<u64>(1 + nLayers * PARTS + 3) * offsetof<Tensor>());
  isTaken = alloc(tensorCount);
  commit();
  const kvDim = nKvHeads * headDim;
  takeTensor(findTensor('token_embd.weight'), vocabSize, dim, false);
  for (let layer = 0; layer < nLayers; layer++) {
    takePart(layer, 'attn_norm', 1, dim, true);
    takePart(layer, 'attn_q', dim, dim, false);
    takePart(layer, 'attn_k', kvDim, dim, false);
    takePart(layer, 'attn_v', kvDim, dim, false);
    takePart(layer, 'attn_output', dim, dim, false);
    takePart(layer, 'ffn_norm', 1, dim, true);
    takePart(layer, 'ffn_gate', hiddenDim, dim, false);
    takePart(layer, 'ffn_up', hiddenDim, dim, false);
    takePart(layer, 'ffn_down', dim, hiddenDim, false);
  }
  takeTensor(findTensor('output_norm.weight'), 1, dim, true);
  // Without an output matrix the embedding serves as one.
  const matrix = findTensor('output.weight');
  if (matrix >= 0) outputAt = takeTensor(matrix, vocabSize, dim, false);
  const factors = findTensor('rope_freqs.weight');
  if (factors >= 0) factorsAt = takeTensor(factors, 1, headDim / 2, true);
  for (let i: u32 = 0; i < tensorCount; i++) {
    if (load<u8>(isTaken + i) || isLeftover(tensorNames.start(i), tensorNames.length(i))) continue;
    aboutTensor(i);
    const hint = 'The model is not a plain Llama; Cria would compute something else than it was trained for.';
    fail('unexpected-tensor', 'only those of a Llama', 'this one', hint);
  }
}

function takePart(layer: i32, part: string, rows: i32, cols: i32, norm: bool): void {
  const name = wanted();
  name.say('blk.');
  name.number(layer);
  name.byte(0x2e);
  name.say(part);
  name.say('.weight');
  takeTensor(tensorNames.find(name.start, name.length), rows, cols, norm);
}

/** Returns its number among the model's tensors. */
function takeTensor(index: i32, rows: i32, cols: i32, norm: bool): u32 {
  if (index < 0) missing();
  const stored = tensorAt(index);
  aboutTensor(index);
  if (!hasShape(stored, rows, cols)) {
    const hint = 'The hyper-parameters and the tensors of the file do not belong together.';
    fail('wrong-shape', 'the shape that follows from the hyper-parameters', 'rows of # values', hint, stored.dim0);
  }
  if (norm ? stored.type != F32 : !isRunnable(stored.type)) {
    const hint = 'Convert the model to a type that Cria runs with `llama-quantize --allow-requantize`.';
    fail('unsupported-dtype', norm ? 'F32' : 'a type that Cria runs', 'type #', hint, stored.type);
  }
  const tensor = modelTensor(taken);
  tensor.offset = stored.offset;
  tensor.type = stored.type;
  tensor.rows = rows;
  tensor.cols = cols;
  tensor.index = index;
  store<u8>(isTaken + index, 1);
  return taken++;
}

function hasShape(tensor: FileTensor, rows: i32, cols: i32): bool {
  if (tensor.dim0 != cols || (tensor.dims > 1 ? tensor.dim1 : 1) != rows) return false;
  return (tensor.dims < 3 || tensor.dim2 == 1) && (tensor.dims < 4 || tensor.dim3 == 1);
}

/** Tensors that old converters wrote and that carry nothing: `rope_freqs` and `blk.N.attn_rot_embd.weight`. */
function isLeftover(name: usize, length: u32): bool {
  if (isText(name, length, 'rope_freqs')) return true;
  if (length < 6 || !isText(name, 4, 'blk.')) return false;
  let end: u32 = 4;
  while (end < length && <u8>(load<u8>(name + end) - 0x30) < 10) end++;
  return end > 4 && isText(name + end, length - end, '.attn_rot_embd.weight');
}
