import { ggmlTypeNamed } from '../ggml-types.ts';
import type { StoredType } from './decode.ts';

/** What a file may be quantised to, as llama-quantize calls it. */
export type QuantizeType =
  | Exclude<StoredType, 'Q3_K' | 'Q4_K' | 'Q5_K'>
  | `${'Q4_K' | 'Q5_K'}_${'S' | 'M'}`
  | `Q3_K_${'S' | 'M' | 'L'}`;

/** The number that `general.file_type` says it with (llama.h, `llama_ftype`), and the type where no exception is made. */
const FILE_TYPES: Record<QuantizeType, readonly [id: number, base: StoredType]> = {
  F32: [0, 'F32'],
  F16: [1, 'F16'],
  BF16: [32, 'BF16'],
  Q8_0: [7, 'Q8_0'],
  Q4_0: [2, 'Q4_0'],
  Q4_1: [3, 'Q4_1'],
  Q5_0: [8, 'Q5_0'],
  Q5_1: [9, 'Q5_1'],
  Q2_K: [10, 'Q2_K'],
  Q3_K_S: [11, 'Q3_K'],
  Q3_K_M: [12, 'Q3_K'],
  Q3_K_L: [13, 'Q3_K'],
  Q4_K_S: [14, 'Q4_K'],
  Q4_K_M: [15, 'Q4_K'],
  Q5_K_S: [16, 'Q5_K'],
  Q5_K_M: [17, 'Q5_K'],
  Q6_K: [18, 'Q6_K'],
  IQ4_NL: [25, 'IQ4_NL'],
  IQ4_XS: [30, 'IQ4_XS'],
};
export const QUANTIZE_TYPES: readonly QuantizeType[] = Object.keys(FILE_TYPES) as QuantizeType[];

/** The number of `type` in `general.file_type`. @internal */
export function fileTypeId(type: QuantizeType): number {
  return FILE_TYPES[type][0];
}

/** What the rules look at beside a tensor's name. @internal */
export interface Family {
  nLayers: number;
  /** Query heads for each key-value head. */
  gqa: number;
  /** The embedding also serves as the output matrix. */
  tied: boolean;
}

/** @internal */
export interface Target {
  type: StoredType;
  /** What the tensor would be if `type`, which its rows can be divided into, were not a makeshift. */
  wanted: StoredType;
}

/**
 * The type that a tensor gets in a file of `fileType`: what llama-quantize chooses without an importance matrix
 * (llama.cpp, src/llama-quant.cpp), for models of the Llama family.
 *
 * @param pure give every matrix the file's own type
 * @returns undefined for what stays as it is: norms and other vectors
 * @internal
 */
export function targetOf(
  fileType: QuantizeType,
  name: string,
  dims: readonly number[],
  family: Family,
  pure: boolean,
): Target | undefined {
  const isMatrix = dims.slice(1).some(dim => dim > 1);
  if (!isMatrix || !name.endsWith('weight') || name.includes('_norm.weight')) return undefined;
  const base = FILE_TYPES[fileType][1];
  if (base === 'F32' || base === 'F16' || base === 'BF16') return { type: base, wanted: base };
  const wanted = pure ? base : (exception(fileType, name, dims[0]!, family) ?? base);
  return { type: holds(wanted, dims[0]!) ? wanted : makeshift(wanted, dims[0]!), wanted };
}

const holds = (type: StoredType, cols: number): boolean => cols % ggmlTypeNamed(type).values === 0;

/** For rows that are no multiple of 256 the next larger type with blocks of 32, and F16 where that does not fit either. */
const SMALLER_BLOCKS: Partial<Record<StoredType, StoredType>> = {
  Q2_K: 'Q4_0',
  Q3_K: 'Q4_0',
  Q4_K: 'Q5_0',
  Q5_K: 'Q5_1',
  Q6_K: 'Q8_0',
  IQ4_XS: 'IQ4_NL',
};

function makeshift(type: StoredType, cols: number): StoredType {
  const smaller = SMALLER_BLOCKS[type];
  return smaller !== undefined && holds(smaller, cols) ? smaller : 'F16';
}

/** The first and last eighth of the layers, and every third between: where errors hurt most (llama.cpp, `use_more_bits`). */
function isSensitive(layer: number, nLayers: number): boolean {
  const eighth = Math.trunc(nLayers / 8);
  return layer < eighth || layer >= Math.trunc((7 * nLayers) / 8) || (layer - eighth) % 3 === 2;
}

function exception(
  fileType: QuantizeType,
  name: string,
  cols: number,
  family: Family,
): StoredType | undefined {
  if (name === 'output.weight' || (family.tied && name === 'token_embd.weight')) {
    return holds(FILE_TYPES[fileType][1], cols) && fileType !== 'Q8_0' ? 'Q6_K' : 'Q8_0';
  }
  const [, layer, part] = /^blk\.(\d+)\.(.*)\.weight$/.exec(name) ?? [];
  if (part === 'attn_v') return attnV(fileType, Number(layer), family);
  if (part === 'ffn_down') return ffnDown(fileType, Number(layer), family.nLayers);
  if (part === 'attn_output') return ATTN_OUTPUT[fileType];
  return undefined;
}

const ATTN_OUTPUT: Partial<Record<QuantizeType, StoredType>> = {
  Q2_K: 'Q3_K',
  Q3_K_M: 'Q4_K',
  Q3_K_L: 'Q5_K',
};

function attnV(fileType: QuantizeType, layer: number, family: Family): StoredType | undefined {
  const type = attnVOfAnySize(fileType, layer, family);
  // Llama 2 70B: eight query heads share what this matrix makes, so it is small and its errors spread.
  const is70B = family.nLayers === 80 && family.gqa > 1;
  const chosen = type ?? FILE_TYPES[fileType][1];
  return is70B && (chosen === 'Q3_K' || chosen === 'Q4_K') ? 'Q5_K' : type;
}

function attnVOfAnySize(
  fileType: QuantizeType,
  layer: number,
  { nLayers, gqa }: Family,
): StoredType | undefined {
  switch (fileType) {
    case 'Q2_K':
      return gqa >= 4 ? 'Q4_K' : 'Q3_K';
    case 'Q3_K_M':
      return layer < 2 ? 'Q5_K' : 'Q4_K';
    case 'Q3_K_L':
      return 'Q5_K';
    case 'Q4_K_S':
      return layer < 4 ? 'Q5_K' : undefined;
    case 'Q4_K_M':
    case 'Q5_K_M':
      return isSensitive(layer, nLayers) ? 'Q6_K' : undefined;
    case 'IQ4_NL':
    case 'IQ4_XS':
      return gqa >= 4 ? 'Q5_K' : undefined;
    default:
      return undefined;
  }
}

function ffnDown(fileType: QuantizeType, layer: number, nLayers: number): StoredType | undefined {
  const isEarly = layer < Math.trunc(nLayers / 8);
  switch (fileType) {
    case 'Q2_K':
      return 'Q3_K';
    case 'Q3_K_M':
      return layer < Math.trunc(nLayers / 16) ? 'Q5_K' : 'Q4_K';
    case 'Q3_K_L':
      return 'Q5_K';
    case 'Q4_K_S':
    case 'IQ4_NL':
    case 'IQ4_XS':
      return isEarly ? 'Q5_K' : undefined;
    case 'Q4_K_M':
    case 'Q5_K_M':
      return isSensitive(layer, nLayers) ? 'Q6_K' : undefined;
    default:
      return undefined;
  }
}
