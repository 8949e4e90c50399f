// No kernel reads or writes outside its operands: every memory access of all builds is checked, on random shapes.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Random } from '../host/random.ts';
import { hasRelaxedDot } from '../host/relaxed.ts';
import { type Build, widened } from './support/forms.ts';
import { ops, randomCase, trainOps } from './support/op-cases.ts';
import { compile, type Planted } from './support/planted.ts';
import { type Layout, layOut, type Outcome, RedZones } from './support/red-zones.ts';
import { projectRoot } from './support/shared.ts';

/** Different shapes of all kernels together. */
const SHAPES = process.env['CRIA_FULL'] ? 100_000 : 10_000;
/** Violations that a failing test shows. */
const SHOWN = 10;

const wasm = (name: string) => readFileSync(join(projectRoot, 'dist/wasm', name));
const simd = new RedZones(wasm('simd.wasm'), 'release');
const train = new RedZones(wasm('train.wasm'), 'release');
const debug = new RedZones(wasm('debug.wasm'), 'debug');
const relaxed = hasRelaxedDot() ? new RedZones(wasm('relaxed.wasm'), 'release') : undefined;
if (!relaxed) console.log('skipped: the red zones of the relaxed build (this engine has no relaxed SIMD)');

/** The call that a seed stands for, with its operands in the form of the build. */
function callOf(op: string, seed: number, build: Build): Layout {
  const random = Random.seeded(seed);
  return layOut(randomCase(op, random, build), random);
}

/** Outputs of the relaxed build as the simd build writes them; what relayout_* writes is known byte for byte. */
function comparable(op: string, { outputs }: Outcome): Uint8Array | undefined {
  if (op.startsWith('relayout')) return undefined;
  return op.startsWith('activations') ? widened(outputs) : outputs;
}

test('every kernel has cases', () => {
  const kernels = ({ exports }: RedZones) =>
    exports.filter(name => !['heapBase', 'useFours'].includes(name)).sort();
  const where = 'test/support/op-cases.ts must make calls of each export of';
  assert.equal(ops, kernels(simd), `${where} assembly/index.ts`);
  assert.equal([...ops, ...trainOps].sort(), kernels(train), `${where} assembly/train.ts`);
});

test(`no access outside the operands, every output written, the same bits: ${SHAPES} shapes`, () => {
  const random = Random.seeded(1);
  const shapes = new Set<string>();
  const violations: string[] = [];
  let calls = 0;
  while (shapes.size < SHAPES && calls < 10 * SHAPES && violations.length < SHOWN) {
    for (const op of [...ops, ...trainOps]) {
      const seed = random.bits();
      const layout = callOf(op, seed, 'simd');
      const shape = JSON.stringify([op, layout.shape]);
      shapes.add(shape);
      calls++;
      const inference = ops.includes(op);
      // each of the two ways to multiply int8 weights, and the engine's own choice
      relaxed?.useFours((seed % 3) - 1);
      const expected = debug.run(layout);
      const runs: Record<string, Outcome | undefined> = {
        debug: expected,
        train: train.run(layout),
        simd: inference ? simd.run(layout) : undefined,
        relaxed: inference ? relaxed?.run(callOf(op, seed, 'relaxed')) : undefined,
      };
      const found = Object.entries(runs).filter(([, run]) => run?.violation);
      violations.push(...found.map(([build, run]) => `${build}: ${run!.violation}`));
      if (found.length > 0) continue;
      for (const [build, run] of Object.entries(runs)) {
        const outputs = build === 'relaxed' && run ? comparable(op, run) : run?.outputs;
        const differ = outputs && Buffer.compare(outputs, expected.outputs) !== 0;
        if (run && (differ || run.result !== expected.result)) {
          violations.push(`${shape}: ${build} and debug differ`);
        }
      }
    }
  }
  assert.is(violations.slice(0, SHOWN).join('\n'), '');
  assert.ok(shapes.size >= SHAPES, `only ${shapes.size} different shapes`);
  console.log(`figures: ${calls} calls on each build, ${shapes.size} different shapes`);
});

test('the calls reached every memory access of the kernels', () => {
  const missed = (build: RedZones) => build.sites.filter((_, i) => !build.reached[i]);
  for (const build of [simd, relaxed, train]) if (build) assert.equal(missed(build), []);
  // of the debug build, what writes the message of a failed assertion is left over, and where formats share a function,
  // the branches of others: only the optimiser drops these
  const kernels = missed(debug).filter(site =>
    /^\$assembly\/(?!debug\/|piece-q8\/|[a-z]+-blocks\/)/.test(site.function),
  );
  assert.equal(kernels, []);
});

/** Bugs of the kinds that kernels have, and what the check says of them. */
const PLANTED: (Planted & { op: string; says: RegExp })[] = [
  {
    op: 'matmulForward',
    file: 'gemm.ts',
    replace: 'if (i + ROWS <= rows && j + COLS <= cols)',
    by: 'if (true)',
    says: /v128\.store of 16 bytes outside every operand, at \((out|work)/,
  },
  {
    op: 'matmulBackwardW',
    file: 'pack.ts',
    replace: 'left > 0 ? loadPart(from, left) : f32x4.splat(0)',
    by: 'v128.load(from)',
    says: /v128\.load of 16 bytes outside every operand, at \((x|dOut)/,
  },
  {
    op: 'attentionForward',
    file: 'attention-train.ts',
    replace: '(QUERIES * 4, 16)',
    by: '(QUERIES * 2, 16)',
    says: /f32\.(load|store) of 4 bytes (outside every operand|to read-only memory), at \(static/,
  },
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
    replace: '; g < last; g++',
    by: '; g <= last; g++',
    says: /v128\.(load|store) of 16 bytes outside every operand, at \((w|out)/,
  },
  {
    op: 'matmul_q8_0',
    file: 'matmul-quantized.ts',
    replace: 'storePart(out + <usize>t * outStride + (<usize>groups << 4), v128.load(LAST), rest)',
    by: 'v128.store(out + <usize>t * outStride + (<usize>groups << 4), v128.load(LAST))',
    says: /v128\.store of 16 bytes outside every operand, at \(out/,
  },
  {
    op: 'matmul_q8_f32',
    file: 'matmul-quantized.ts',
    replace: 'v128.load(LAST), rest)',
    by: 'v128.load(LAST), 1)',
    says: /never stored: \(out/,
  },
  {
    op: 'activations7',
    file: 'activations.ts',
    replace: 'x + (i << 6)',
    by: 'x + (i << 7)',
    says: /v128\.load of 16 bytes outside every operand, at \(x/,
  },
  {
    op: 'embedding_q4_k',
    file: 'embedding-blocks.ts',
    replace: 'p += headBytes(format);',
    by: 'p += headBytes(format) + 16;',
    says: /outside every operand, at \(table/,
  },
  {
    op: 'embedding_q8_0',
    file: 'embedding.ts',
    replace: '(k >> 1) << 3',
    by: '(k >> 1) << 2',
    says: /i32\.load8_s of 1 bytes outside every operand, at \(table/,
  },
  {
    op: 'relayout_q8_0',
    file: 'relayout.ts',
    replace: 'if (left < 2)',
    by: 'if (left < 1)',
    says: /outside every operand, at \(rows|not what it must be/,
  },
  {
    op: 'relayout_q8_f32',
    file: 'relayout.ts',
    replace: '0, 1, 4, 5, 8, 9',
    by: '0, 1, 5, 4, 8, 9',
    says: /not what it must be/,
  },
  {
    op: 'relayout_q4_0',
    file: 'relayout.ts',
    replace: '(a, b, 2, 6, 3, 7)',
    by: '(a, b, 2, 6, 7, 3)',
    says: /not what it must be/,
  },
  {
    op: 'relayout_q6_k',
    file: 'relayout-blocks.ts',
    replace: 'left > 3 ? bytes : 0',
    by: 'bytes',
    says: /outside every operand|not what it must be/,
  },
  {
    op: 'matmul_q6_k',
    file: 'block-formats.ts',
    replace: '? 16 : 8',
    by: '? 16 : 24',
    says: /outside every operand, at \(w/,
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
    op: 'attention_f32',
    file: 'attention-block.ts',
    replace: 'k6 = min(k5 + stride, last)',
    by: 'k6 = k5 + stride',
    says: /outside every operand, at \((kCache|work)|of an output, before it was written, at \(work/,
  },
  {
    op: 'attention_f32',
    file: 'attention-block.ts',
    replace: 'memory.fill(out, 0, <usize>headDim << 2);',
    by: '',
    says: /of an output, before it was written, at \(out/,
  },
  {
    op: 'attention_f16',
    file: 'attention-block.ts',
    replace: 'SCORES_A = memory.data(BLOCK * 4,',
    by: 'SCORES_A = memory.data(BLOCK * 4 - 8,',
    says: /v128\.(load|store) of 16 bytes outside every operand, at \(static/,
  },
  {
    op: 'attention_q8_0',
    file: 'attention.ts',
    replace: 'count = min(BLOCK, longest - j)',
    by: 'count = BLOCK',
    says: /outside every operand, at \([kv]Cache/,
  },
  {
    op: 'attention_f16',
    file: 'cache.ts',
    replace: 'if (rest > 1) h = i32x4.replace_lane(h, 1, load<u16>(row, 2));',
    by: 'h = i32x4.replace_lane(h, 1, load<u16>(row, 2));',
    says: /i32\.load16_u of 2 bytes outside every operand, at \([kv]Cache/,
  },
  {
    op: 'takeRows',
    file: 'rows.ts',
    replace: '* bytes, bytes)',
    by: '* bytes, bytes + 4)',
    says: /memory\.copy of \d+ bytes outside every operand/,
  },
  {
    op: 'append_f32',
    file: 'cache.ts',
    replace: '+ position) * bytes',
    by: '+ position + 1) * bytes',
    says: /memory\.copy of \d+ bytes outside every operand, at \(cache/,
  },
  {
    op: 'append_f16',
    file: 'half.ts',
    replace: 'i32x4.splat(0xfff)), odd)',
    by: 'i32x4.splat(0xfff)), i32x4.splat(1))',
    says: /not what it must be/,
  },
  {
    op: 'append_q8_0',
    file: 'cache.ts',
    replace: 'largest / 127',
    by: 'largest / 128',
    says: /not what it must be/,
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
    const kernels = new RedZones(await compile(planted, [planted.op]), 'debug');
    const random = Random.seeded(2);
    for (let i = 0; i < 500; i++) {
      const { violation } = kernels.run(callOf(planted.op, random.bits(), 'simd'));
      if (!violation) continue;
      assert.match(violation, planted.says);
      return;
    }
    assert.unreachable('500 calls without a violation');
  });
}

test('without a bug the same calls pass', async () => {
  const sound = { file: 'attention-block.ts', replace: 'BLOCK = 32', by: 'BLOCK = 32' };
  const kernels = new RedZones(await compile(sound, ['attention_q8_0']), 'debug');
  const random = Random.seeded(2);
  for (let i = 0; i < 500; i++) {
    assert.is(kernels.run(callOf('attention_q8_0', random.bits(), 'simd')).violation, undefined);
  }
});

test.run();
