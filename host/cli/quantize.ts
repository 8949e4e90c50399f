import { QUANTIZE_TYPES, type QuantizeReport, quantize as quantizeModel } from '../index.ts';
import { type Command, choice, command, flag, UsageError } from './args.ts';
import { bytes, table } from './format.ts';
import { writeNewFile } from './new-file.ts';
import { Progress } from './progress.ts';
import { jsonLine, oneLine, write } from './terminal.ts';

export const quantize: Command = command({
  name: 'cria quantize',
  positionals: ['IN', 'OUT'],
  summary: 'Write a GGUF model with its weights in fewer bits',
  notes:
    `TYPE is ${QUANTIZE_TYPES.join(', ').replace(/(.{60,}?) /g, '$1\n')}:\n` +
    'the mixtures of llama-quantize, of which S, M and L are smaller and larger ones. Rows that a type cannot hold\n' +
    'get another, which is said.\n' +
    'OUT is replaced when the new file is complete; if anything goes wrong it stays as it is.',
  options: {
    type: { ...choice(QUANTIZE_TYPES, 'what to store the weights in'), value: 'TYPE' },
    pure: flag('store every matrix in that type, without the exceptions of the mixture'),
    json: flag('print one JSON object'),
  },
  run: async ({ type, pure = false, json }, [from, to], { signal }) => {
    if (type === undefined) throw new UsageError('--type is missing');
    const progress = new Progress();
    const onProgress = (at: { done: number; total: number; name: string }) =>
      progress.show(`${Math.floor((100 * at.done) / at.total)}% ${oneLine(at.name)}`);
    const report = await writeNewFile(to!, from!, write =>
      quantizeModel(from!, { write }, { type, pure, signal, onProgress }),
    ).finally(() => progress.clear());
    await write(json ? jsonLine(report) : reportText(report));
  },
});

/** The types with what they take, the makeshifts, and both sizes. */
function reportText({ tensors, bytes: size }: QuantizeReport): string {
  const types = new Map<string, { count: number; bytes: number }>();
  for (const { to, bytes } of tensors) {
    const sum = types.get(to) ?? { count: 0, bytes: 0 };
    types.set(to, { count: sum.count + 1, bytes: sum.bytes + bytes });
  }
  const rows = [...types]
    .sort(([, a], [, b]) => b.bytes - a.bytes)
    .map(([name, sum]) => [name, `${sum.count} tensor${sum.count > 1 ? 's' : ''}`, bytes(sum.bytes)]);
  const makeshifts = tensors
    .filter(({ insteadOf }) => insteadOf !== undefined)
    .map(
      ({ name, dims, to, insteadOf }) =>
        `${oneLine(name)}: ${to} instead of ${insteadOf}, whose blocks do not divide rows of ${dims[0]}\n`,
    );
  const weights = tensors.reduce((sum, { dims }) => sum + dims.reduce((product, dim) => product * dim, 1), 0);
  const bits = (8 * tensors.reduce((sum, { bytes }) => sum + bytes, 0)) / weights;
  return [
    ...makeshifts,
    table(rows, [1, 2]),
    `${bytes(size.from)} -> ${bytes(size.to)}, ${bits.toFixed(2)} bits a weight\n`,
  ].join('');
}
