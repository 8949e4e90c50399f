import type { LlamaLimits } from '../llama.ts';
import type { LlamaConfig, StoredTensor } from '../model-file.ts';

/** `count` things from `first` on. */
export interface Range {
  first: number;
  count: number;
}

/**
 * What one rank holds of a Llama: rows of its matrices. Query heads are dealt out evenly; a kv head is held by every
 * rank that has a query head of its group, so that attention needs no other rank.
 */
export interface Share {
  rank: number;
  ranks: number;
  heads: Range;
  kvHeads: Range;
  /** Rows of the matrices that give (dim), (hiddenDim) and (vocabSize) numbers. */
  dim: Range;
  hidden: Range;
  vocab: Range;
}

/** Rows that the kernels compute together at best. */
const TOGETHER = 16;

export function shareOf(config: LlamaConfig, rank = 0, ranks = 1): Share {
  const rows = (count: number): Range => {
    const { first, count: groups } = part(Math.ceil(count / TOGETHER), rank, ranks);
    const start = Math.min(count, first * TOGETHER);
    return { first: start, count: Math.min(count, (first + groups) * TOGETHER) - start };
  };
  const heads = part(config.nHeads, rank, ranks);
  const group = config.nHeads / config.nKvHeads;
  const firstKv = Math.floor(heads.first / group);
  const endKv = heads.count === 0 ? firstKv : Math.ceil((heads.first + heads.count) / group);
  return {
    rank,
    ranks,
    heads,
    kvHeads: { first: firstKv, count: endKv - firstKv },
    dim: rows(config.dim),
    hidden: rows(config.hiddenDim),
    vocab: rows(config.vocabSize),
  };
}

/** The rank whose keys and values of a kv head are saved: the first that holds it. */
export function keeperOf(config: LlamaConfig, kvHead: number, ranks: number): number {
  for (let rank = 0; ; rank++) {
    const { first, count } = shareOf(config, rank, ranks).kvHeads;
    if (kvHead >= first && kvHead < first + count) return rank;
  }
}

/** 32-bit numbers that a `Shared` must hold for a Llama. */
export function capacityFor({ dim, hiddenDim, vocabSize }: LlamaConfig, limits: LlamaLimits): number {
  const { batch, outputs } = limits;
  return Math.max(batch * Math.max(dim, hiddenDim, 4), outputs * vocabSize, 2 ** 16);
}

/** Bytes at the beginning of a `Shared` that say who has arrived. */
export const STATE_BYTES = 64;

/** Bytes of a `Shared` of two areas. */
export function sharedBytes(capacity: number): number {
  return STATE_BYTES + 8 * capacity;
}

/** Rows of a stored tensor that a share takes. */
export function rowsOf(share: Share, { name, rows }: StoredTensor, headDim: number): Range {
  switch (name.replace(/^blk\.\d+\./, '')) {
    case 'token_embd.weight':
    case 'output.weight':
      return share.vocab;
    case 'attn_q.weight':
      return times(share.heads, headDim);
    case 'attn_k.weight':
    case 'attn_v.weight':
      return times(share.kvHeads, headDim);
    case 'attn_output.weight':
    case 'ffn_down.weight':
      return share.dim;
    case 'ffn_gate.weight':
    case 'ffn_up.weight':
      return share.hidden;
    default:
      return { first: 0, count: rows };
  }
}

function part(count: number, rank: number, ranks: number): Range {
  const first = Math.floor((count * rank) / ranks);
  return { first, count: Math.floor((count * (rank + 1)) / ranks) - first };
}

function times({ first, count }: Range, factor: number): Range {
  return { first: first * factor, count: count * factor };
}
