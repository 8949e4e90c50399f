// The WASI command refuses the files that the host refuses, with the same codes, and no file makes it trap or hang.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CriaError } from '../host/errors.ts';
import { parseGguf } from '../host/gguf.ts';
import { modelFromGguf } from '../host/llama-file.ts';
import { CONTAINER, MODEL, whole } from './support/corpus.ts';
import { seeds, wholeNumbers } from './support/mutant-seeds.ts';
import { type Mutant, Mutator } from './support/mutate.ts';
import { codeOf, type File, runCommand } from './support/wasi.ts';

/** CRIA_MUTANTS asks for more. */
const COUNT = Number(process.env['CRIA_MUTANTS'] ?? 3_000);

/** The code with which the command refuses a file; undefined for one that it runs. */
function refusal(file: Uint8Array | File): string | undefined {
  const args = ['--ids', '--max-tokens', '1', '--temperature', '0', 'm.gguf', '0'];
  return codeOf(runCommand({ args, files: { 'm.gguf': file } }));
}

for (const [title, cases] of [
  ['container', CONTAINER],
  ['model', MODEL],
] as const) {
  test(`${title}: ${cases.length} malformed files are refused as the host refuses them`, () => {
    for (const [name, bytes, code] of cases) assert.is(refusal(bytes()), code, name);
  });
}

test('the unchanged model runs', () => {
  assert.is(refusal(whole()), undefined);
});

/** What the host says of a header: the zeros that follow are read where it asks for more. */
function hostRefusal({ header, fileSize }: Mutant): string | undefined {
  let bytes = header;
  try {
    for (;;) {
      const result = parseGguf(bytes, fileSize, 'mutant');
      if (typeof result !== 'number') {
        modelFromGguf(result, fileSize, 'mutant');
        return undefined;
      }
      const longer = new Uint8Array(Math.min(fileSize, Math.max(result, 2 * bytes.length)));
      longer.set(bytes);
      bytes = longer;
    }
  } catch (error) {
    if (error instanceof CriaError) return error.code;
    throw error;
  }
}

/** What may still be wrong with a file whose header is right; the host's loader finds the same later. */
const LATER = ['out-of-memory', 'non-finite-weights', 'non-finite-results'];

test(`${COUNT} mutants of GGUF files: the host's code, or none`, () => {
  const mutator = new Mutator(seeds(), wholeNumbers(777));
  const codes = new Map<string, number>();
  let slowest = 0;
  for (let i = 0; i < COUNT; i++) {
    const mutant = mutator.next();
    const expected = hostRefusal(mutant);
    const started = performance.now();
    const actual = refusal({ bytes: mutant.header, size: mutant.fileSize });
    slowest = Math.max(slowest, performance.now() - started);
    if (expected !== undefined || !LATER.includes(actual ?? 'none'))
      assert.is(actual, expected, `mutant ${i}`);
    codes.set(actual ?? 'none', (codes.get(actual ?? 'none') ?? 0) + 1);
  }
  const told = [...codes].sort((a, b) => b[1] - a[1]).map(([code, n]) => `${code} ${n}`);
  console.log(`slowest ${slowest.toFixed(0)} ms; ${told.join(', ')}`);
  assert.ok(codes.get('none')! > COUNT / 100 && codes.size >= 20, 'the mutants get far enough');
});

test.run();
