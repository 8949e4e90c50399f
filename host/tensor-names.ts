/** How the tensors of a Llama are called by GGUF, by Hugging Face and by Meta; N is the number of a layer. */
const NAMES: readonly (readonly [gguf: string, huggingFace: string, meta: string])[] = [
  ['token_embd', 'model.embed_tokens', 'tok_embeddings'],
  ['blk.N.attn_norm', 'model.layers.N.input_layernorm', 'layers.N.attention_norm'],
  ['blk.N.attn_q', 'model.layers.N.self_attn.q_proj', 'layers.N.attention.wq'],
  ['blk.N.attn_k', 'model.layers.N.self_attn.k_proj', 'layers.N.attention.wk'],
  ['blk.N.attn_v', 'model.layers.N.self_attn.v_proj', 'layers.N.attention.wv'],
  ['blk.N.attn_output', 'model.layers.N.self_attn.o_proj', 'layers.N.attention.wo'],
  ['blk.N.ffn_norm', 'model.layers.N.post_attention_layernorm', 'layers.N.ffn_norm'],
  ['blk.N.ffn_gate', 'model.layers.N.mlp.gate_proj', 'layers.N.feed_forward.w1'],
  ['blk.N.ffn_up', 'model.layers.N.mlp.up_proj', 'layers.N.feed_forward.w3'],
  ['blk.N.ffn_down', 'model.layers.N.mlp.down_proj', 'layers.N.feed_forward.w2'],
  ['output_norm', 'model.norm', 'norm'],
  ['output', 'lm_head', 'output'],
];

const SPELLINGS = { gguf: 0, huggingFace: 1, meta: 2 } as const;
export type Spelling = keyof typeof SPELLINGS;

/** A name in another spelling; undefined for one that no Llama has. */
export function renamed(name: string, from: Spelling, to: Spelling): string | undefined {
  const stem = /^(.*)\.weight$/.exec(name)?.[1];
  if (stem === undefined) return undefined;
  const layer = /(?<=\.)\d+(?=\.)/.exec(stem)?.[0];
  const pattern = layer === undefined ? stem : stem.replace(`.${layer}.`, '.N.');
  const row = NAMES.find(names => names[SPELLINGS[from]] === pattern);
  return row && `${row[SPELLINGS[to]].replace('.N.', `.${layer}.`)}.weight`;
}

/**
 * Hugging Face rotates the halves of a head, GGUF and Meta pairs of neighbours: row i of a head of wq and wk in GGUF's
 * order is this row in Hugging Face's.
 */
export function halfSplitRow(row: number, headDim: number): number {
  const inside = row % headDim;
  return row - inside + (inside % 2) * (headDim / 2) + Math.floor(inside / 2);
}
