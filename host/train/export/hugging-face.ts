import { encode } from '../../quantize/encode.ts';
import { writeSentencePiece } from '../../sentencepiece.ts';
import { halfSplitRow, renamed } from '../../tensor-names.ts';
import type { Parameter } from '../parameters.ts';
import type { Trained } from './trained.ts';

const TYPES = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' } as const;
export type SafetensorsType = keyof typeof TYPES;

/**
 * The files of a model in Hugging Face's layout, by their names: `model.safetensors` (huggingface/safetensors, README),
 * `config.json`, `tokenizer.model` and what transformers wants to know of it.
 */
export function huggingFaceFiles(trained: Trained, type: SafetensorsType): Map<string, Uint8Array> {
  const { llama, tied, vocabulary } = trained;
  const { bos, eos, unknown, addBos, addEos } = vocabulary;
  const piece = (id: number) => (id < 0 ? null : vocabulary.pieces[id]!);
  const config = {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_size: llama.dim,
    intermediate_size: llama.hiddenDim,
    num_hidden_layers: llama.nLayers,
    num_attention_heads: llama.nHeads,
    num_key_value_heads: llama.nKvHeads,
    head_dim: llama.headDim,
    vocab_size: llama.vocabSize,
    max_position_embeddings: llama.contextLength,
    rms_norm_eps: llama.normEps,
    rope_theta: llama.ropeTheta,
    rope_scaling: null,
    hidden_act: 'silu',
    attention_bias: false,
    mlp_bias: false,
    tie_word_embeddings: tied,
    bos_token_id: bos < 0 ? null : bos,
    eos_token_id: eos < 0 ? null : eos,
    initializer_range: 0.02,
    torch_dtype: TYPES[type],
  };
  const tokenizer = {
    tokenizer_class: 'LlamaTokenizer',
    legacy: true,
    add_bos_token: addBos,
    add_eos_token: addEos,
    bos_token: piece(bos),
    eos_token: piece(eos),
    unk_token: piece(unknown),
    model_max_length: llama.contextLength,
    clean_up_tokenization_spaces: false,
  };
  return new Map([
    ['config.json', json(config)],
    ['model.safetensors', safetensors(trained, type)],
    ['tokenizer.model', writeSentencePiece(vocabulary)],
    ['tokenizer_config.json', json(tokenizer)],
  ]);
}

function safetensors({ parameters, weights, llama }: Trained, type: SafetensorsType): Uint8Array {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (const parameter of parameters.list) {
    const { name, rows, cols, norm } = parameter;
    const bytes = encode(type, inHalves(parameter, weights, llama.headDim));
    const shape = norm ? [cols] : [rows, cols];
    const spelt = renamed(name, 'gguf', 'huggingFace')!;
    header[spelt] = { dtype: type, shape, data_offsets: [at, (at += bytes.length)] };
    pieces.push(bytes);
  }
  const text = JSON.stringify(header);
  const head = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 8) * 8));
  const file = new Uint8Array(8 + head.length + at);
  new DataView(file.buffer).setBigUint64(0, BigInt(head.length), true);
  file.set(head, 8);
  let end = 8 + head.length;
  for (const bytes of pieces) {
    file.set(bytes, end);
    end += bytes.length;
  }
  return file;
}

/** A parameter's values; rows of wq and wk in Hugging Face's order. */
function inHalves(
  { name, first, rows, cols }: Parameter,
  weights: Float32Array,
  headDim: number,
): Float32Array {
  const values = weights.slice(first, first + rows * cols);
  if (!/\.attn_[qk]\.weight$/.test(name)) return values;
  for (let row = 0; row < rows; row++) {
    values.set(
      weights.subarray(first + row * cols, first + (row + 1) * cols),
      halfSplitRow(row, headDim) * cols,
    );
  }
  return values;
}

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value, undefined, 2)}\n`);
}
