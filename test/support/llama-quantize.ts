import type { Family, QuantizeType } from '../../host/quantize/recipe.ts';

/** What llama-quantize made of a model: parts of equal types joined by +, types by layer, n equal ones as TYPE*n. */
export interface Recorded {
  shape: string;
  family: Family;
  /** Columns of ffn_down, and of everything else. */
  hiddenDim: number;
  dim: number;
  types: Partial<Record<QuantizeType, string>>;
}

/** Written by the llama_model_quantize of node-llama-cpp 3.22.1, no importance matrix. */
export const RECORDED: readonly Recorded[] = [
  {
    shape: "TinyLlama 1.1B's layers and heads, rows of 256",
    family: { nLayers: 22, gqa: 8, tied: false },
    hiddenDim: 256,
    dim: 256,
    types: {
      Q8_0: 'output+token_embd=Q8_0 attn_k+attn_output+attn_q+attn_v+ffn_down+ffn_gate+ffn_up=Q8_0*22',
      Q4_0: 'output=Q6_K token_embd=Q4_0 attn_k+attn_output+attn_q+attn_v+ffn_down+ffn_gate+ffn_up=Q4_0*22',
      Q4_1: 'output=Q6_K token_embd=Q4_1 attn_k+attn_output+attn_q+attn_v+ffn_down+ffn_gate+ffn_up=Q4_1*22',
      Q5_0: 'output=Q6_K token_embd=Q5_0 attn_k+attn_output+attn_q+attn_v+ffn_down+ffn_gate+ffn_up=Q5_0*22',
      Q5_1: 'output=Q6_K token_embd=Q5_1 attn_k+attn_output+attn_q+attn_v+ffn_down+ffn_gate+ffn_up=Q5_1*22',
      Q2_K: 'output=Q6_K token_embd=Q2_K attn_k+attn_q+ffn_gate+ffn_up=Q2_K*22 attn_output+ffn_down=Q3_K*22 attn_v=Q4_K*22',
      Q3_K_S: 'output=Q6_K token_embd=Q3_K attn_k+attn_output+attn_q+attn_v+ffn_down+ffn_gate+ffn_up=Q3_K*22',
      Q3_K_M:
        'output=Q6_K token_embd=Q3_K attn_k+attn_q+ffn_gate+ffn_up=Q3_K*22 attn_output=Q4_K*22 attn_v=Q5_K*2,Q4_K*20 ffn_down=Q5_K,Q4_K*21',
      Q3_K_L:
        'output=Q6_K token_embd=Q3_K attn_k+attn_q+ffn_gate+ffn_up=Q3_K*22 attn_output+attn_v+ffn_down=Q5_K*22',
      Q4_K_S:
        'output=Q6_K token_embd=Q4_K attn_k+attn_output+attn_q+ffn_gate+ffn_up=Q4_K*22 attn_v=Q5_K*4,Q4_K*18 ffn_down=Q5_K*2,Q4_K*20',
      Q4_K_M:
        'output=Q6_K token_embd=Q4_K attn_k+attn_output+attn_q+ffn_gate+ffn_up=Q4_K*22 attn_v+ffn_down=Q6_K*2,Q4_K*2,Q6_K,Q4_K*2,Q6_K,Q4_K*2,Q6_K,Q4_K*2,Q6_K,Q4_K*2,Q6_K,Q4_K*2,Q6_K*3',
      Q5_K_S: 'output=Q6_K token_embd=Q5_K attn_k+attn_output+attn_q+attn_v+ffn_down+ffn_gate+ffn_up=Q5_K*22',
      Q5_K_M:
        'output=Q6_K token_embd=Q5_K attn_k+attn_output+attn_q+ffn_gate+ffn_up=Q5_K*22 attn_v+ffn_down=Q6_K*2,Q5_K*2,Q6_K,Q5_K*2,Q6_K,Q5_K*2,Q6_K,Q5_K*2,Q6_K,Q5_K*2,Q6_K,Q5_K*2,Q6_K*3',
      Q6_K: 'output+token_embd=Q6_K attn_k+attn_output+attn_q+attn_v+ffn_down+ffn_gate+ffn_up=Q6_K*22',
      IQ4_NL:
        'output=Q6_K token_embd=IQ4_NL attn_k+attn_output+attn_q+ffn_gate+ffn_up=IQ4_NL*22 attn_v=Q5_K*22 ffn_down=Q5_K*2,IQ4_NL*20',
      IQ4_XS:
        'output=Q6_K token_embd=IQ4_XS attn_k+attn_output+attn_q+ffn_gate+ffn_up=IQ4_XS*22 attn_v=Q5_K*22 ffn_down=Q5_K*2,IQ4_XS*20',
    },
  },
  {
    shape: "Llama 2 70B's layers and heads",
    family: { nLayers: 80, gqa: 8, tied: false },
    hiddenDim: 256,
    dim: 256,
    types: {
      Q2_K: 'output=Q6_K token_embd=Q2_K attn_k+attn_q+ffn_gate+ffn_up=Q2_K*80 attn_output+ffn_down=Q3_K*80 attn_v=Q5_K*80',
      Q3_K_S:
        'output=Q6_K token_embd=Q3_K attn_k+attn_output+attn_q+ffn_down+ffn_gate+ffn_up=Q3_K*80 attn_v=Q5_K*80',
      Q3_K_M:
        'output=Q6_K token_embd=Q3_K attn_k+attn_q+ffn_gate+ffn_up=Q3_K*80 attn_output=Q4_K*80 attn_v=Q5_K*80 ffn_down=Q5_K*5,Q4_K*75',
      Q3_K_L:
        'output=Q6_K token_embd=Q3_K attn_k+attn_q+ffn_gate+ffn_up=Q3_K*80 attn_output+attn_v+ffn_down=Q5_K*80',
      Q4_K_S:
        'output=Q6_K token_embd=Q4_K attn_k+attn_output+attn_q+ffn_gate+ffn_up=Q4_K*80 attn_v=Q5_K*80 ffn_down=Q5_K*10,Q4_K*70',
      IQ4_XS:
        'output=Q6_K token_embd=IQ4_XS attn_k+attn_output+attn_q+ffn_gate+ffn_up=IQ4_XS*80 attn_v=Q5_K*80 ffn_down=Q5_K*10,IQ4_XS*70',
    },
  },
  {
    shape: 'rows of 288 and, in ffn_down, 768',
    family: { nLayers: 10, gqa: 1, tied: false },
    hiddenDim: 768,
    dim: 288,
    types: {
      Q8_0: 'output+token_embd=Q8_0 attn_k+attn_output+attn_q+attn_v+ffn_down+ffn_gate+ffn_up=Q8_0*10',
      Q4_0: 'output=Q8_0 token_embd=Q4_0 attn_k+attn_output+attn_q+attn_v+ffn_down+ffn_gate+ffn_up=Q4_0*10',
      Q4_1: 'output=Q8_0 token_embd=Q4_1 attn_k+attn_output+attn_q+attn_v+ffn_down+ffn_gate+ffn_up=Q4_1*10',
      Q5_0: 'output=Q8_0 token_embd=Q5_0 attn_k+attn_output+attn_q+attn_v+ffn_down+ffn_gate+ffn_up=Q5_0*10',
      Q5_1: 'output=Q8_0 token_embd=Q5_1 attn_k+attn_output+attn_q+attn_v+ffn_down+ffn_gate+ffn_up=Q5_1*10',
      Q2_K: 'output=Q8_0 token_embd=Q4_0 attn_k+attn_output+attn_q+attn_v+ffn_gate+ffn_up=Q4_0*10 ffn_down=Q3_K*10',
      Q3_K_S:
        'output=Q8_0 token_embd=Q4_0 attn_k+attn_output+attn_q+attn_v+ffn_gate+ffn_up=Q4_0*10 ffn_down=Q3_K*10',
      Q3_K_M:
        'output=Q8_0 token_embd=Q4_0 attn_k+attn_q+ffn_gate+ffn_up=Q4_0*10 attn_output=Q5_0*10 attn_v=Q5_1*2,Q5_0*8 ffn_down=Q4_K*10',
      Q3_K_L:
        'output=Q8_0 token_embd=Q4_0 attn_k+attn_q+ffn_gate+ffn_up=Q4_0*10 attn_output+attn_v=Q5_1*10 ffn_down=Q5_K*10',
      Q4_K_S:
        'output=Q8_0 token_embd=Q5_0 attn_k+attn_output+attn_q+ffn_gate+ffn_up=Q5_0*10 attn_v=Q5_1*4,Q5_0*6 ffn_down=Q5_K,Q4_K*9',
      Q4_K_M:
        'output=Q8_0 token_embd=Q5_0 attn_k+attn_output+attn_q+ffn_gate+ffn_up=Q5_0*10 attn_v=Q8_0,Q5_0*2,Q8_0,Q5_0*2,Q8_0,Q5_0,Q8_0*2 ffn_down=Q6_K,Q4_K*2,Q6_K,Q4_K*2,Q6_K,Q4_K,Q6_K*2',
      Q5_K_S:
        'output=Q8_0 token_embd=Q5_1 attn_k+attn_output+attn_q+attn_v+ffn_gate+ffn_up=Q5_1*10 ffn_down=Q5_K*10',
      Q5_K_M:
        'output=Q8_0 token_embd=Q5_1 attn_k+attn_output+attn_q+ffn_gate+ffn_up=Q5_1*10 attn_v=Q8_0,Q5_1*2,Q8_0,Q5_1*2,Q8_0,Q5_1,Q8_0*2 ffn_down=Q6_K,Q5_K*2,Q6_K,Q5_K*2,Q6_K,Q5_K,Q6_K*2',
      Q6_K: 'output+token_embd=Q8_0 attn_k+attn_output+attn_q+attn_v+ffn_gate+ffn_up=Q8_0*10 ffn_down=Q6_K*10',
      IQ4_NL:
        'output=Q8_0 token_embd=IQ4_NL attn_k+attn_output+attn_q+attn_v+ffn_gate+ffn_up=IQ4_NL*10 ffn_down=Q5_K,IQ4_NL*9',
      IQ4_XS:
        'output=Q8_0 token_embd=IQ4_NL attn_k+attn_output+attn_q+attn_v+ffn_gate+ffn_up=IQ4_NL*10 ffn_down=Q5_K,IQ4_XS*9',
    },
  },
  {
    shape: 'a tied output matrix, rows of 288 and 512',
    family: { nLayers: 3, gqa: 4, tied: true },
    hiddenDim: 512,
    dim: 288,
    types: {
      Q8_0: 'token_embd=Q8_0 attn_k+attn_output+attn_q+attn_v+ffn_down+ffn_gate+ffn_up=Q8_0*3',
      Q4_0: 'token_embd=Q8_0 attn_k+attn_output+attn_q+attn_v+ffn_down+ffn_gate+ffn_up=Q4_0*3',
      Q4_1: 'token_embd=Q8_0 attn_k+attn_output+attn_q+attn_v+ffn_down+ffn_gate+ffn_up=Q4_1*3',
      Q5_0: 'token_embd=Q8_0 attn_k+attn_output+attn_q+attn_v+ffn_down+ffn_gate+ffn_up=Q5_0*3',
      Q5_1: 'token_embd=Q8_0 attn_k+attn_output+attn_q+attn_v+ffn_down+ffn_gate+ffn_up=Q5_1*3',
      Q2_K: 'token_embd=Q8_0 attn_k+attn_output+attn_q+ffn_gate+ffn_up=Q4_0*3 attn_v=Q5_0*3 ffn_down=Q3_K*3',
      Q3_K_S: 'token_embd=Q8_0 attn_k+attn_output+attn_q+attn_v+ffn_gate+ffn_up=Q4_0*3 ffn_down=Q3_K*3',
      Q3_K_M:
        'token_embd=Q8_0 attn_k+attn_q+ffn_gate+ffn_up=Q4_0*3 attn_output=Q5_0*3 attn_v=Q5_1*2,Q5_0 ffn_down=Q4_K*3',
      Q3_K_L:
        'token_embd=Q8_0 attn_k+attn_q+ffn_gate+ffn_up=Q4_0*3 attn_output+attn_v=Q5_1*3 ffn_down=Q5_K*3',
      Q4_K_S:
        'token_embd=Q8_0 attn_k+attn_output+attn_q+ffn_gate+ffn_up=Q5_0*3 attn_v=Q5_1*3 ffn_down=Q4_K*3',
      Q4_K_M:
        'token_embd=Q8_0 attn_k+attn_output+attn_q+ffn_gate+ffn_up=Q5_0*3 attn_v=Q5_0*2,Q8_0 ffn_down=Q4_K*2,Q6_K',
      Q5_K_S: 'token_embd=Q8_0 attn_k+attn_output+attn_q+attn_v+ffn_gate+ffn_up=Q5_1*3 ffn_down=Q5_K*3',
      Q5_K_M:
        'token_embd=Q8_0 attn_k+attn_output+attn_q+ffn_gate+ffn_up=Q5_1*3 attn_v=Q5_1*2,Q8_0 ffn_down=Q5_K*2,Q6_K',
      Q6_K: 'token_embd=Q8_0 attn_k+attn_output+attn_q+attn_v+ffn_gate+ffn_up=Q8_0*3 ffn_down=Q6_K*3',
      IQ4_NL: 'token_embd=Q8_0 attn_k+attn_output+attn_q+ffn_down+ffn_gate+ffn_up=IQ4_NL*3 attn_v=Q5_1*3',
      IQ4_XS:
        'token_embd=Q8_0 attn_k+attn_output+attn_q+ffn_gate+ffn_up=IQ4_NL*3 attn_v=Q5_1*3 ffn_down=IQ4_XS*3',
    },
  },
];
