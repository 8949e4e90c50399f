// No kernel reads or writes outside its operands: every memory access of both builds is checked, on random shapes.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Random } from '../host/random.ts';
import { ops, randomCase } from './support/op-cases.ts';
import { compile, type Planted } from './support/planted.ts';
import { layOut, RedZones } from './support/red-zones.ts';
import { projectRoot } from './support/shared.ts';

/** Different shapes of all kernels together. */
const SHAPES = process.env['CRIA_FULL'] ? 100_000 : 10_000;
/** Violations that a failing test shows. */
const SHOWN = 10;

const wasm = (name: string) => readFileSync(join(projectRoot, 'dist/wasm', name));
const release = new RedZones(wasm('simd.wasm'), 'release');
const debug = new RedZones(wasm('debug.wasm'), 'debug');

test('every kernel has cases', () => {
  const kernels = release.exports.filter(name => name !== 'heapBase').sort();
  assert.equal(ops, kernels, 'test/support/op-cases.ts must make calls of each export of assembly/index.ts');
});

test(`no access outside the operands, every output written, the same bits: ${SHAPES} shapes`, () => {
  const random = Random.seeded(1);
  const shapes = new Set<string>();
  const violations: string[] = [];
  let calls = 0;
  while (shapes.size < SHAPES && calls < 10 * SHAPES && violations.length < SHOWN) {
    for (const op of ops) {
      const layout = layOut(randomCase(op, random), random);
      shapes.add(JSON.stringify([op, layout.shape]));
      calls++;
      const [a, b] = [release.run(layout), debug.run(layout)];
      if (a.violation) violations.push(`release: ${a.violation}`);
      if (b.violation) violations.push(`debug: ${b.violation}`);
      if (a.violation || b.violation) continue;
      if (a.result !== b.result || Buffer.compare(a.outputs, b.outputs) !== 0) {
        violations.push(`${op} ${JSON.stringify(layout.shape)}: the builds differ`);
      }
    }
  }
  assert.is(violations.slice(0, SHOWN).join('\n'), '');
  assert.ok(shapes.size >= SHAPES, `only ${shapes.size} different shapes`);
  console.log(`figures: ${calls} calls on each build, ${shapes.size} different shapes`);
});

test('the calls reached every memory access of the kernels', () => {
  const missed = (build: RedZones) => build.sites.filter((_, i) => !build.reached[i]);
  assert.equal(missed(release), []);
  // of the debug build, what writes the message of a failed assertion is left over
  const kernels = missed(debug).filter(site => /^\$assembly\/(?!debug\/)/.test(site.function));
  assert.equal(kernels, []);
});

/** Bugs of the kinds that kernels have, and what the check says of them. */
const PLANTED: (Planted & { says: RegExp })[] = [
  {
    op: 'rmsnorm',
    file: 'rmsnorm.ts',
    replace: 'loadPart(x + bytes, rest)',
    by: 'v128.load(x + bytes)',
    says: /v128\.load of 16 bytes outside every operand, at \(x/,
  },
  {
    op: 'matmul_f32',
    file: 'matmul.ts',
    replace: 'if (left >= 4)',
    by: 'if (true)',
    says: /v128\.store of 16 bytes outside every operand, at \(out/,
  },
  {
    op: 'matmul_f16',
    file: 'matmul.ts',
    replace: 'left > 3 ? w2 + stride : w',
    by: 'w2 + stride',
    says: /outside every operand, at \(w/,
  },
  {
    op: 'matmul_q4_0',
    file: 'matmul-quantized.ts',
    replace: 'v128.load(w, 2)',
    by: 'v128.load(w, 4)',
    says: /v128\.load of 16 bytes outside every operand, at \(w/,
  },
  {
    op: 'add',
    file: 'add.ts',
    replace: 'if (rest)',
    by: 'if (rest > 9)',
    says: /never stored: \((out|a|b) \+/,
  },
  {
    op: 'swiglu',
    file: 'swiglu.ts',
    replace: 'i + 4 <= count',
    by: 'i < count',
    says: /outside every operand/,
  },
  {
    op: 'attention',
    file: 'attention.ts',
    replace: 'left > 3 ? k2 + row : k',
    by: 'k2 + row',
    says: /outside every operand, at \(kCache/,
  },
  {
    op: 'attention',
    file: 'attention.ts',
    replace: 'memory.fill(out, 0, row);',
    by: '',
    says: /of an output, before it was written, at \(out/,
  },
  {
    op: 'attention',
    file: 'attention.ts',
    replace: 'j < <usize>BLOCK * 4',
    by: 'j <= <usize>BLOCK * 4',
    says: /outside every operand, at \(static/,
  },
  {
    op: 'takeRows',
    file: 'rows.ts',
    replace: '* bytes, bytes)',
    by: '* bytes, bytes + 4)',
    says: /memory\.copy of \d+ bytes outside every operand/,
  },
  {
    op: 'append',
    file: 'rows.ts',
    replace: '+ position) * bytes',
    by: '+ position + 1) * bytes',
    says: /memory\.copy of \d+ bytes outside every operand, at \(cache/,
  },
  {
    op: 'rope',
    file: 'rope.ts',
    replace: 'v128.store(x + i',
    by: 'v128.store(angles + i',
    says: /v128\.store of 16 bytes to read-only memory, at \(table/,
  },
  {
    op: 'sample',
    file: 'candidates.ts',
    replace: 'child >= count',
    by: 'child > count',
    says: /i32\.load of 4 bytes outside every operand, at \((work|id) \+/,
  },
];

for (const planted of PLANTED) {
  test(`a planted bug is caught: ${planted.op} with "${planted.by}" for "${planted.replace}"`, async () => {
    const kernels = new RedZones(await compile(planted), 'debug');
    const random = Random.seeded(2);
    for (let i = 0; i < 500; i++) {
      const { violation } = kernels.run(layOut(randomCase(planted.op, random), random));
      if (!violation) continue;
      assert.match(violation, planted.says);
      return;
    }
    assert.unreachable('500 calls without a violation');
  });
}

test('without a bug the same calls pass', async () => {
  const sound = { op: 'attention', file: 'attention.ts', replace: 'BLOCK = 32', by: 'BLOCK = 32' };
  const kernels = new RedZones(await compile(sound), 'debug');
  const random = Random.seeded(2);
  for (let i = 0; i < 500; i++) {
    assert.is(kernels.run(layOut(randomCase('attention', random), random)).violation, undefined);
  }
});

test.run();
