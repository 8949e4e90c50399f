import { OptionError } from '../../errors.ts';
import type { LlamaConfig, Vocabulary } from '../../model-file.ts';
import type { Checkpoint } from '../checkpoint-file.ts';
import { Parameters } from '../parameters.ts';

/** A model that has been trained, ready to be written. */
export interface Trained {
  llama: LlamaConfig;
  tied: boolean;
  parameters: Parameters;
  /** A buffer of parameters. */
  weights: Float32Array;
  vocabulary: Vocabulary;
}

/** @throws OptionError 'option-range' for the vocabulary of another model */
export function trainedModel({ config, llama, state }: Checkpoint, vocabulary: Vocabulary): Trained {
  if (vocabulary.types.length !== llama.vocabSize) {
    throw new OptionError('option-range', {
      where: 'export: tokenizer',
      expected: `a vocabulary of ${llama.vocabSize} pieces, as the model has`,
      got: `one of ${vocabulary.types.length}`,
      hint: 'Take the vocabulary that the model was trained with.',
    });
  }
  const { tied } = config;
  return { llama, tied, parameters: new Parameters(llama, tied), weights: state.weights, vocabulary };
}
