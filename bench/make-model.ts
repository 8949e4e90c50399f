// Writes a synthetic Llama as GGUF: node dist/bench/make-model.js 110M-Q8_0 [1.1B-Q4_0 …] [--out FOLDER]
//
// A Q8_0 file holds what was drawn: random int8 values under a scale per block of 32. The other types of a shape hold
// the same values: F32 exactly, F16 and BF16 rounded, Q4_0 quantised as ggml does it, Q4_K from the least to the largest
// value of every 32. So engines can be compared across types.

import { closeSync, existsSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type GgufTensorData, type GgufValue, ggufChunks } from '../host/gguf-write.ts';
import { halfToNumber } from '../host/half.ts';
import { packK4 } from '../host/quantize/packed-scales.ts';
import { cacheFolder } from './paths.ts';
import { normalTable, randomBits, seedOf } from './random.ts';
import type { Shape, SyntheticTensor, WeightType } from './synthetic.ts';
import * as synthetic from './synthetic.ts';

const BLOCK = 32;
const NORMAL = normalTable();

/** A tensor as drawn: int8 values, and for each block of 32 an index into 256 half-precision scales. */
export interface Draw {
  values: Int8Array;
  scaleOf: Uint8Array;
  /** The scales as half-precision bits and as numbers. */
  halves: Uint16Array;
  scales: Float64Array;
}

/** The nearest half float, ties to even, of 0 ≤ x < 65504. */
export function toHalf(x: number): number {
  if (x === 0) return 0;
  const exponent = Math.max(-14, Math.floor(Math.log2(x))); // off by one only at powers of 2: harmless, see below
  const steps = x / 2 ** (exponent - 10);
  const floor = Math.floor(steps);
  const rest = steps - floor;
  const rounded = floor + (rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? 1 : 0);
  // `rounded` is 1024..2048 for normal numbers: 2048 carries into the exponent, less than 1024 is subnormal
  return (exponent + 14) * 1024 + rounded;
}

/** Draws a tensor; the same for every weight type. Scales vary by ±15 % from block to block. */
export function draw(shape: Shape, { name, rows, cols, deviation }: SyntheticTensor): Draw {
  const next = randomBits(seedOf(`${shape.name} ${name}`));
  const halves = new Uint16Array(256);
  for (let i = 0; i < 256; i++) {
    halves[i] = toHalf((deviation / NORMAL.deviation) * (0.85 + (0.3 * i) / 255));
  }
  const values = new Int8Array(rows * cols);
  const scaleOf = new Uint8Array(values.length / BLOCK);
  const table = NORMAL.values;
  for (let block = 0, at = 0; block < scaleOf.length; block++) {
    scaleOf[block] = next();
    for (let k = 0; k < BLOCK; k += 4, at += 4) {
      const bits = next();
      values[at] = table[bits & 255]!;
      values[at + 1] = table[(bits >>> 8) & 255]!;
      values[at + 2] = table[(bits >>> 16) & 255]!;
      values[at + 3] = table[bits >>> 24]!;
    }
  }
  return { values, scaleOf, halves, scales: Float64Array.from(halves, halfToNumber) };
}

function toQ8({ values, scaleOf, halves }: Draw): Uint8Array {
  const out = new Uint8Array(scaleOf.length * 34);
  const bytes = new Uint8Array(values.buffer);
  for (let block = 0, at = 0; block < scaleOf.length; block++, at += 34) {
    const half = halves[scaleOf[block]!]!;
    out[at] = half;
    out[at + 1] = half >>> 8;
    for (let k = 0; k < BLOCK; k++) out[at + 2 + k] = bytes[block * BLOCK + k]!;
  }
  return out;
}

/** ggml's quantize_row_q4_0: the value of the largest magnitude becomes −8. */
function toQ4({ values, scaleOf, scales }: Draw): Uint8Array {
  const out = new Uint8Array(scaleOf.length * 18);
  const nibbles = new Uint8Array(1 << 16); // by extreme and value
  for (let extreme = -128; extreme < 128; extreme++) {
    for (let value = -128; value < 128; value++) {
      const nibble = extreme === 0 ? 8 : Math.min(15, Math.trunc((-8 * value) / extreme + 8.5));
      nibbles[((extreme + 128) << 8) | (value + 128)] = nibble;
    }
  }
  for (let block = 0, at = 0; block < scaleOf.length; block++, at += 18) {
    const from = block * BLOCK;
    let extreme = 0;
    for (let k = from; k < from + BLOCK; k++) {
      if (Math.abs(values[k]!) > Math.abs(extreme)) extreme = values[k]!;
    }
    const half = toHalf((Math.abs(extreme) / 8) * scales[scaleOf[block]!]!) | (extreme > 0 ? 0x8000 : 0);
    out[at] = half;
    out[at + 1] = half >>> 8;
    const row = (extreme + 128) << 8;
    for (let k = 0; k < BLOCK / 2; k++) {
      const low = nibbles[row | (values[from + k]! + 128)]!;
      out[at + 2 + k] = low | (nibbles[row | (values[from + BLOCK / 2 + k]! + 128)]! << 4);
    }
  }
  return out;
}

/** Superblocks of 256: value = d · scale · q − dmin · min, with 6 bits of scale and min for every 32 values. */
function toQ4K({ values, scaleOf, scales }: Draw): Uint8Array {
  const superblocks = values.length / 256;
  const out = new Uint8Array(superblocks * 144);
  const steps = new Float64Array(8);
  const leasts = new Float64Array(8);
  const codes = { scales: new Uint8Array(8), mins: new Uint8Array(8) };
  for (let s = 0, at = 0; s < superblocks; s++, at += 144) {
    for (let j = 0; j < 8; j++) {
      const from = s * 256 + j * BLOCK;
      let least = 0;
      let largest = 0;
      for (let k = from; k < from + BLOCK; k++) {
        if (values[k]! < least) least = values[k]!;
        if (values[k]! > largest) largest = values[k]!;
      }
      const scale = scales[scaleOf[from >> 5]!]!;
      steps[j] = ((largest - least) / 15) * scale;
      leasts[j] = -least * scale;
    }
    const halves = [Math.max(...steps) / 63, Math.max(...leasts) / 63].map(toHalf);
    const [d, dmin] = halves.map(halfToNumber) as [number, number];
    new Uint16Array(out.buffer, at, 2).set(halves);
    for (let j = 0; j < 8; j++) {
      codes.scales[j] = d === 0 ? 0 : Math.min(63, Math.round(steps[j]! / d));
      codes.mins[j] = dmin === 0 ? 0 : Math.min(63, Math.round(leasts[j]! / dmin));
    }
    packK4(codes.scales, codes.mins, out, at + 4);
    for (let j = 0; j < 8; j++) {
      const from = s * 256 + j * BLOCK;
      const scale = scales[scaleOf[from >> 5]!]!;
      const step = d * codes.scales[j]!;
      const least = dmin * codes.mins[j]!;
      for (let k = 0; k < BLOCK; k++) {
        const q = step === 0 ? 0 : Math.round((values[from + k]! * scale + least) / step);
        out[at + 16 + (j >> 1) * BLOCK + k]! |= Math.max(0, Math.min(15, q)) << ((j & 1) * 4);
      }
    }
  }
  return out;
}

function toF32({ values, scaleOf, scales }: Draw): Uint8Array {
  const out = new Float32Array(values.length);
  for (let i = 0; i < out.length; i++) out[i] = values[i]! * scales[scaleOf[i >> 5]!]!;
  return new Uint8Array(out.buffer);
}

function toF16({ values, scaleOf, scales }: Draw): Uint8Array {
  const out = new Uint16Array(values.length);
  const halves = new Uint16Array(256 * 128); // by scale and magnitude
  for (let i = 0; i < halves.length; i++) halves[i] = toHalf((i & 127) * scales[i >> 7]!);
  for (let i = 0; i < out.length; i++) {
    const half = halves[(scaleOf[i >> 5]! << 7) | Math.abs(values[i]!)]!;
    out[i] = values[i]! < 0 ? half | 0x8000 : half;
  }
  return new Uint8Array(out.buffer);
}

/** To the nearest, ties to even; the values are finite. */
function toBF16(drawn: Draw): Uint8Array {
  const floats = new Uint32Array(toF32(drawn).buffer);
  const out = new Uint16Array(floats.length);
  for (let i = 0; i < out.length; i++) out[i] = (floats[i]! + 0x7fff + ((floats[i]! >>> 16) & 1)) >>> 16;
  return new Uint8Array(out.buffer);
}

const ENCODE: Record<WeightType, (drawn: Draw) => Uint8Array> = {
  F32: toF32,
  F16: toF16,
  BF16: toBF16,
  Q8_0: toQ8,
  Q4_0: toQ4,
  Q4_K: toQ4K,
};

function metadata(shape: Shape, type: WeightType): [string, GgufValue][] {
  const u32 = (value: number): GgufValue => ({ type: 'u32', value });
  const text = (value: string): GgufValue => ({ type: 'string', value });
  const yes: GgufValue = { type: 'bool', value: true };
  const pieces = synthetic.makePieces();
  const ids = pieces.map((_, id) => id);
  return [
    ['general.architecture', text('llama')],
    ['general.name', text(`synthetic-llama-${shape.name}`)],
    ['general.file_type', u32(synthetic.WEIGHT_TYPES[type].fileType)],
    ['general.quantization_version', u32(2)],
    ['llama.context_length', u32(shape.contextLength ?? synthetic.CONTEXT_LENGTH)],
    ['llama.embedding_length', u32(shape.dim)],
    ['llama.block_count', u32(shape.nLayers)],
    ['llama.feed_forward_length', u32(shape.hiddenDim)],
    ['llama.attention.head_count', u32(shape.nHeads)],
    ['llama.attention.head_count_kv', u32(shape.nKvHeads)],
    ['llama.attention.layer_norm_rms_epsilon', { type: 'f32', value: 1e-5 }],
    ['llama.rope.dimension_count', u32(shape.dim / shape.nHeads)],
    ['llama.rope.freq_base', { type: 'f32', value: 10000 }],
    ['llama.vocab_size', u32(synthetic.VOCAB_SIZE)],
    ['tokenizer.ggml.model', text('llama')],
    ['tokenizer.ggml.tokens', { type: 'array', of: 'string', value: pieces }],
    ['tokenizer.ggml.scores', { type: 'array', of: 'f32', value: ids.map(synthetic.scoreOf) }],
    ['tokenizer.ggml.token_type', { type: 'array', of: 'i32', value: ids.map(synthetic.typeOf) }],
    ['tokenizer.ggml.bos_token_id', u32(synthetic.BOS)],
    ['tokenizer.ggml.eos_token_id', u32(synthetic.EOS)],
    ['tokenizer.ggml.unknown_token_id', u32(0)],
    ['tokenizer.ggml.add_bos_token', yes],
    ['tokenizer.ggml.add_eos_token', { type: 'bool', value: false }],
    ['tokenizer.ggml.add_space_prefix', yes],
  ];
}

/** A model's name is its shape and weight type: `110M-Q8_0`. @throws RangeError for any other name */
export function parseName(model: string): { shape: Shape; type: WeightType } {
  const [shapeName = '', type = ''] = model.split('-');
  const shape = synthetic.SHAPES[shapeName];
  if (shape === undefined || !Object.hasOwn(synthetic.WEIGHT_TYPES, type)) {
    const shapes = Object.keys(synthetic.SHAPES).join(', ');
    const types = Object.keys(synthetic.WEIGHT_TYPES).join(', ');
    throw new RangeError(`${model}: expected SHAPE-TYPE with a shape of ${shapes} and a type of ${types}`);
  }
  return { shape, type: type as WeightType };
}

/** The bytes of a model's file, one piece after the other: one tensor at a time is in memory, or, where they are alike, one of each size. */
export function* modelChunks(model: string): Generator<Uint8Array> {
  const { shape, type } = parseName(model);
  const alike = new Map<string, Uint8Array>();
  const tensors = synthetic.tensorsOf(shape).map((tensor): GgufTensorData => {
    const { name, rows, cols, deviation } = tensor;
    if (rows === 1) {
      return { name, dims: [cols], ggmlType: 0, data: new Uint8Array(new Float32Array(cols).fill(1).buffer) };
    }
    const size = `${rows} ${cols} ${deviation}`;
    const data = (): Uint8Array => {
      const made = alike.get(size) ?? ENCODE[type](draw(shape, tensor));
      if (shape.alike) alike.set(size, made);
      return made;
    };
    return { name, dims: [cols, rows], ggmlType: synthetic.WEIGHT_TYPES[type].ggml, data };
  });
  yield* ggufChunks(metadata(shape, type), tensors);
}

/** Path of the model's file, written first if it is not there. */
export function makeModel(model: string, folder: string = join(cacheFolder(), 'models')): string {
  const chunks = modelChunks(model);
  const path = join(folder, `${model}.gguf`);
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  const file = openSync(`${path}.part`, 'w');
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length; ) at += writeSync(file, chunk, at);
  }
  closeSync(file);
  renameSync(`${path}.part`, path); // a file under its own name is complete
  return path;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const words = process.argv.slice(2);
  const out = words.indexOf('--out');
  const folder = out < 0 ? undefined : words.splice(out, 2)[1];
  for (const model of words) {
    const start = performance.now();
    const path = makeModel(model, folder);
    console.log(`${path} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
  }
}
