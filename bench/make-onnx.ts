// Writes a synthetic Llama as ONNX with int8 weights, for onnxruntime-web: the same weights as the GGUF of that shape,
// rounded once more to 8 bits under one scale per matrix, as onnxruntime's own dynamic quantisation does it.
//
// The graph is the one that onnxruntime-genai builds: GroupQueryAttention with rotary embeddings inside, and
// DynamicQuantizeLinear + MatMulInteger for every matrix. Messages are built by hand after onnx.proto3: the field
// numbers below are its.

import { closeSync, existsSync, mkdirSync, openSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { draw, parseName } from './make-model.ts';
import { cacheFolder } from './paths.ts';
import { CONTEXT_LENGTH, type Shape, type SyntheticTensor, tensorsOf, VOCAB_SIZE } from './synthetic.ts';

// Protocol buffers: a message is a run of fields, each a number, a wire type and a value.

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}
const int = (field: number, value: number): Buffer => Buffer.concat([varint(field * 8), varint(value)]);
function float(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return Buffer.concat([varint(field * 8 + 5), bytes]);
}
function bytes(field: number, ...parts: (Buffer | string)[]): Buffer {
  const body = Buffer.concat(parts.map(part => (typeof part === 'string' ? Buffer.from(part) : part)));
  return Buffer.concat([varint(field * 8 + 2), varint(body.length), body]);
}

const FLOAT = 1;
const UINT8 = 2;
const INT32 = 6;
const INT64 = 7;
const MICROSOFT = 'com.microsoft';

/** An attribute: floats are those that are marked, other numbers are integers. */
type Attribute = number | { float: number };

class Graph {
  readonly nodes: Buffer[] = [];
  readonly initializers: Buffer[] = [];
  readonly quantised: Set<string> = new Set();
  readonly #dataName: string;
  readonly #file: number;
  #offset = 0;

  constructor(dataName: string, file: number) {
    this.#dataName = dataName;
    this.#file = file;
  }

  /** An unnamed output is one that is not wanted. */
  node(
    op: string,
    inputs: string[],
    outputs: string[],
    attributes: Record<string, Attribute> = {},
    domain = '',
  ): void {
    const body = [
      ...inputs.map(name => bytes(1, name)),
      ...outputs.map(name => bytes(2, name)),
      bytes(4, op),
    ];
    for (const [name, value] of Object.entries(attributes)) {
      const typed =
        typeof value === 'number' ? [int(3, value), int(20, 2)] : [float(2, value.float), int(20, 1)];
      body.push(bytes(5, bytes(1, name), ...typed));
    }
    if (domain !== '') body.push(bytes(7, domain));
    this.nodes.push(bytes(1, ...body));
  }

  /** A constant; above 1 KiB it goes to the data file. */
  constant(name: string, type: number, dims: number[], data: ArrayBufferView): void {
    const raw = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    const head = [...dims.map(dim => int(1, dim)), int(2, type), bytes(8, name)];
    if (raw.length <= 1024) {
      this.initializers.push(bytes(5, ...head, bytes(9, raw)));
      return;
    }
    const entry = (key: string, value: string): Buffer => bytes(13, bytes(1, key), bytes(2, value));
    const place = [
      entry('location', this.#dataName),
      entry('offset', `${this.#offset}`),
      entry('length', `${raw.length}`),
    ];
    this.initializers.push(bytes(5, ...head, ...place, int(14, 1)));
    const padded = Buffer.alloc(Math.ceil(raw.length / 64) * 64);
    raw.copy(padded);
    for (let at = 0; at < padded.length; ) at += writeSync(this.#file, padded, at);
    this.#offset += padded.length;
  }

  floats(name: string, dims: number[], values: Float32Array): void {
    this.constant(name, FLOAT, dims, values);
  }

  /** The tensor's weights as `name`.q (u8, zero point 128) and `name`.s; (cols, rows) if transposed, as MatMul wants. */
  weights(name: string, shape: Shape, tensor: SyntheticTensor, transposed: boolean): void {
    const { rows, cols } = tensor;
    const { values, scaleOf, scales } = draw(shape, tensor);
    const scale = scales.at(-1)!; // the largest block scale holds ±127 exactly: nothing is clipped
    const out = new Uint8Array(values.length);
    for (let row = 0, at = 0; row < rows; row++) {
      for (let col = 0; col < cols; col++, at++) {
        const value = Math.round((values[at]! * scales[scaleOf[at >> 5]!]!) / scale) + 128;
        out[transposed ? col * rows + row : at] = value;
      }
    }
    this.constant(`${name}.q`, UINT8, transposed ? [cols, rows] : [rows, cols], out);
    this.floats(`${name}.s`, [], Float32Array.of(scale));
  }

  /** output = input · tensorᵀ in 8-bit integers; an input is quantised once for all its matrices. */
  linear(shape: Shape, tensor: SyntheticTensor, input: string, output: string): void {
    this.weights(tensor.name, shape, tensor, true);
    if (!this.quantised.has(input)) {
      this.node('DynamicQuantizeLinear', [input], [`${input}.q`, `${input}.s`, `${input}.z`]);
      this.quantised.add(input);
    }
    this.node('MatMulInteger', [`${input}.q`, `${tensor.name}.q`, `${input}.z`, 'zero'], [`${output}.i`]);
    this.node('Cast', [`${output}.i`], [`${output}.f`], { to: FLOAT });
    this.node('Mul', [`${input}.s`, `${tensor.name}.s`], [`${output}.s`]);
    this.node('Mul', [`${output}.f`, `${output}.s`], [output]);
  }
}

/** Input or output of the graph: a number fixes a dimension, a name leaves it open. */
function value(field: number, name: string, type: number, dims: (number | string)[]): Buffer {
  const shape = dims.map(dim => bytes(1, typeof dim === 'number' ? int(1, dim) : bytes(2, dim)));
  return bytes(field, bytes(1, name), bytes(2, bytes(1, int(1, type), bytes(2, ...shape))));
}

function buildGraph(graph: Graph, shape: Shape): void {
  const { dim, nHeads, nLayers } = shape;
  const headDim = dim / nHeads;
  const tensors = new Map(tensorsOf(shape).map(tensor => [tensor.name, tensor]));
  const tensor = (name: string): SyntheticTensor => tensors.get(`${name}.weight`)!;
  const epsilon = { float: 1e-5 };

  graph.constant('zero', UINT8, [], Uint8Array.of(128));
  graph.constant('one', INT64, [1], BigInt64Array.of(1n));
  graph.constant('index', INT64, [], BigInt64Array.of(1n));
  graph.floats('ones', [dim], new Float32Array(dim).fill(1)); // every norm's weight
  const angles = Array.from({ length: (CONTEXT_LENGTH * headDim) / 2 }, (_, i) => {
    const pair = i % (headDim / 2);
    return Math.floor(i / (headDim / 2)) * 10000 ** ((-2 * pair) / headDim);
  });
  graph.floats('cos', [CONTEXT_LENGTH, headDim / 2], Float32Array.from(angles, Math.cos));
  graph.floats('sin', [CONTEXT_LENGTH, headDim / 2], Float32Array.from(angles, Math.sin));

  // GroupQueryAttention wants the index of the last token and the length, both as i32.
  graph.node('ReduceSum', ['attention_mask', 'one'], ['length'], { keepdims: 1 });
  graph.node('Sub', ['length', 'one'], ['last64']);
  graph.node('Cast', ['last64'], ['last'], { to: INT32 });
  graph.node('Shape', ['attention_mask'], ['mask_shape']);
  graph.node('Gather', ['mask_shape', 'index'], ['total64'], { axis: 0 });
  graph.node('Cast', ['total64'], ['total'], { to: INT32 });

  graph.weights('embedding', shape, tensor('token_embd'), false);
  graph.node('Gather', ['embedding.q', 'input_ids'], ['rows'], { axis: 0 });
  graph.node('DequantizeLinear', ['rows', 'embedding.s', 'zero'], ['x0']);
  graph.node('SimplifiedLayerNormalization', ['x0', 'ones'], ['h0'], { epsilon, axis: 2, stash_type: 1 }); // (batch, n, dim)
  for (let i = 0; i < nLayers; i++) {
    const linear = (name: string, input: string, output: string): void =>
      graph.linear(shape, tensor(`blk.${i}.${name}`), input, output);
    for (const name of ['q', 'k', 'v']) linear(`attn_${name}`, `h${i}`, `${name}${i}`);
    graph.node(
      'GroupQueryAttention',
      [`q${i}`, `k${i}`, `v${i}`, `past_key.${i}`, `past_value.${i}`, 'last', 'total', 'cos', 'sin'],
      [`attention${i}`, `present_key.${i}`, `present_value.${i}`],
      { num_heads: nHeads, kv_num_heads: shape.nKvHeads, do_rotary: 1, rotary_interleaved: 1 },
      MICROSOFT,
    );
    linear('attn_output', `attention${i}`, `o${i}`);
    const addNorm = (x: string, y: string, norm: string, sum: string): void =>
      graph.node(
        'SkipSimplifiedLayerNormalization',
        [x, y, 'ones'],
        [norm, '', '', sum],
        { epsilon },
        MICROSOFT,
      );
    addNorm(`x${i}`, `o${i}`, `f${i}`, `y${i}`);
    linear('ffn_gate', `f${i}`, `gate${i}`);
    linear('ffn_up', `f${i}`, `up${i}`);
    graph.node('Sigmoid', [`gate${i}`], [`sigmoid${i}`]);
    graph.node('Mul', [`gate${i}`, `sigmoid${i}`], [`silu${i}`]);
    graph.node('Mul', [`silu${i}`, `up${i}`], [`m${i}`]);
    linear('ffn_down', `m${i}`, `d${i}`);
    addNorm(`y${i}`, `d${i}`, `h${i + 1}`, `x${i + 1}`);
  }
  graph.linear(shape, tensor(shape.tied ? 'token_embd' : 'output'), `h${nLayers}`, 'logits');
}

/** Writes SHAPE-int8.onnx, .data and .json beside the GGUF files, if they are not there. */
export function makeOnnx(model: string): void {
  const { shape } = parseName(model);
  const { dim, nHeads, nKvHeads, nLayers } = shape;
  const headDim = dim / nHeads;
  const folder = join(cacheFolder(), 'models');
  const base = join(folder, `${shape.name}-int8`);
  if (existsSync(`${base}.onnx`)) return;
  mkdirSync(folder, { recursive: true });
  const file = openSync(`${base}.data`, 'w');
  const graph = new Graph(`${shape.name}-int8.data`, file);
  buildGraph(graph, shape);
  closeSync(file);

  const caches = Array.from({ length: nLayers }, (_, i) => [`key.${i}`, `value.${i}`]).flat();
  const body = [...graph.nodes, bytes(2, 'llama'), ...graph.initializers];
  body.push(
    value(11, 'input_ids', INT64, ['batch', 'n']),
    value(11, 'attention_mask', INT64, ['batch', 'total']),
  );
  body.push(value(12, 'logits', FLOAT, ['batch', 'n', VOCAB_SIZE]));
  for (const name of caches) {
    body.push(value(11, `past_${name}`, FLOAT, ['batch', nKvHeads, 'past', headDim]));
    body.push(value(12, `present_${name}`, FLOAT, ['batch', nKvHeads, 'total', headDim]));
  }
  const operators = [bytes(8, bytes(1, ''), int(2, 21)), bytes(8, bytes(1, MICROSOFT), int(2, 1))];
  writeFileSync(
    `${base}.json`,
    JSON.stringify({ nKvHeads, headDim, caches, data: `${shape.name}-int8.data` }),
  );
  writeFileSync(
    `${base}.part`,
    Buffer.concat([int(1, 10), bytes(2, 'cria'), bytes(7, ...body), ...operators]),
  );
  renameSync(`${base}.part`, `${base}.onnx`);
}
