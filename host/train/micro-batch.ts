import { OptionError } from '../errors.ts';

/** B sequences of T tokens, one after the other. */
export interface MicroBatch {
  tokens: ArrayLike<number>;
  /** What follows each token. */
  targets: ArrayLike<number>;
  /**
   * What each token's loss counts: 1 / tokens of the whole batch in pretraining, 0 where a target is not learned.
   * The gradient is that of Σ coef · loss.
   */
  coef: ArrayLike<number>;
}

/**
 * @param n tokens of a micro-batch
 * @throws OptionError 'option-range' for another number of them or a coefficient that is not finite, 'token-out-of-range'
 */
export function checkMicroBatch(batch: Partial<MicroBatch>, n: number, vocabSize: number): void {
  const fail = (
    code: 'option-range' | 'token-out-of-range',
    what: string,
    expected: string,
    got: unknown,
  ) => {
    const hint = 'Check the micro-batch: B sequences of T tokens of the model’s vocabulary.';
    throw new OptionError(code, { where: `micro-batch: ${what}`, expected, got: String(got), hint });
  };
  for (const [what, values] of Object.entries(batch)) {
    if (values.length !== n) fail('option-range', what, `${n} numbers, B · T`, values.length);
    const numbers = Array.from(values);
    if (what === 'coef') {
      const bad = numbers.find(value => !Number.isFinite(value));
      if (bad !== undefined) fail('option-range', what, 'finite numbers', bad);
    } else {
      const bad = numbers.find(id => !(Number.isInteger(id) && id >= 0 && id < vocabSize));
      if (bad !== undefined) fail('token-out-of-range', what, `integers in 0 .. ${vocabSize - 1}`, bad);
    }
  }
}
