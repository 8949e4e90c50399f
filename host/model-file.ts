import type { DType } from './dtype.ts';
import type { Source } from './source.ts';

/** The hyper-parameters of a Llama (Llama 2 paper, section 2.2; GGUF `llama.*` keys). */
export interface LlamaConfig {
  dim: number;
  hiddenDim: number;
  nLayers: number;
  nHeads: number;
  nKvHeads: number;
  /** dim / nHeads */
  headDim: number;
  vocabSize: number;
  /** The longest sequence that the model was trained for, in tokens. */
  contextLength: number;
  normEps: number;
  /** Base of the rotary frequencies: θᵢ = ropeTheta^(−2i/headDim). */
  ropeTheta: number;
  /** Positions are divided by this (linear rope scaling); 1 without scaling. */
  ropeScale: number;
}

/** Where a tensor lies in the file. Shapes are (rows, cols); a vector is one row. */
export interface StoredTensor {
  /** The GGUF name, whatever the container: `blk.0.attn_q.weight`. */
  name: string;
  dtype: DType;
  rows: number;
  cols: number;
  /** Offset of the first byte in the file. */
  offset: number;
  /** Length in the file in bytes. */
  bytes: number;
  /**
   * Set for llama2.c's int8 tensors, which store all values and then all f32 scales, one scale per `group` values of
   * the flattened tensor. `dtype` is then what it becomes in memory: `q8_f32` for groups of 32 that divide a row, else `f32`.
   */
  int8?: { group: number; scalesOffset: number };
}

/** SentencePiece piece types (sentencepiece_model.proto), as GGUF stores them. */
export const PieceType = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** By native search: a vocabulary is long, has few of the types that are asked for, and a fresh process runs loops slowly. */
export function idsOfType(types: Uint8Array, type: number): number[] {
  const ids: number[] = [];
  for (let id = types.indexOf(type); id >= 0; id = types.indexOf(type, id + 1)) ids.push(id);
  return ids;
}

/** A SentencePiece BPE vocabulary. Indexes are token ids. */
export interface Vocabulary {
  /** Pieces with U+2581 for a space. */
  pieces: string[];
  scores: Float32Array;
  /** A `PieceType` each. */
  types: Uint8Array;
  /** −1 where the vocabulary has none. */
  bos: number;
  eos: number;
  unknown: number;
  /** Whether text is preceded by BOS, followed by EOS, preceded by a space. */
  addBos: boolean;
  addEos: boolean;
  addSpacePrefix: boolean;
}

export type MetadataValue = string | number | bigint | boolean | MetadataArray;
/** Numeric arrays are kept as typed arrays; only strings and booleans become plain arrays. */
export type MetadataArray =
  | string[]
  | boolean[]
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigUint64Array
  | BigInt64Array
  | MetadataArray[];
export type Metadata = Map<string, MetadataValue>;

/** A model file whose header has been read and checked; no weight has been touched. */
export interface ModelFile {
  format: 'gguf' | 'llama2.c' | 'safetensors' | 'pth';
  version: number;
  /** `general.name` */
  name: string | undefined;
  /** A GGUF file's is made when first asked for: its vocabulary is long. */
  readonly metadata: Metadata;
  config: LlamaConfig;
  /** Keyed by GGUF name; holds exactly the tensors that a Llama of this configuration has. */
  tensors: Map<string, StoredTensor>;
  /** Undefined for llama2.c files, whose vocabulary is a file of its own. */
  vocabulary: Vocabulary | undefined;
  /** Where the tensors lie, if not in the file that was read; closing it closes that one too. */
  source?: Source;
}
