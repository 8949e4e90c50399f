import { type GgufValue, writeGguf } from '../../gguf-write.ts';
import type { Vocabulary } from '../../model-file.ts';

/** A vocabulary as GGUF keys (ggml, docs/gguf.md, "Tokenizer"). */
export function* vocabularyMetadata(vocabulary: Vocabulary): Generator<[key: string, value: GgufValue]> {
  const { pieces, scores, types, bos, eos, unknown, addBos, addEos, addSpacePrefix } = vocabulary;
  const key = (name: string): string => `tokenizer.ggml.${name}`;
  yield [key('model'), { type: 'string', value: 'llama' }];
  yield [key('pre'), { type: 'string', value: 'default' }];
  yield [key('tokens'), { type: 'array', of: 'string', value: pieces }];
  yield [key('scores'), { type: 'array', of: 'f32', value: scores }];
  yield [key('token_type'), { type: 'array', of: 'i32', value: types }];
  for (const [name, id] of [
    ['bos', bos],
    ['eos', eos],
    ['unknown', unknown],
  ] as const) {
    if (id >= 0) yield [key(`${name}_token_id`), { type: 'u32', value: id }];
  }
  yield [key('add_bos_token'), { type: 'bool', value: addBos }];
  yield [key('add_eos_token'), { type: 'bool', value: addEos }];
  yield [key('add_space_prefix'), { type: 'bool', value: addSpacePrefix }];
}

/** A GGUF file that holds a vocabulary and no tensors. */
export function writeVocabularyGguf(vocabulary: Vocabulary): Uint8Array {
  const head: [string, GgufValue][] = [
    ['general.architecture', { type: 'string', value: 'llama' }],
    ['llama.vocab_size', { type: 'u32', value: vocabulary.pieces.length }],
  ];
  return writeGguf([...head, ...vocabularyMetadata(vocabulary)], []);
}
