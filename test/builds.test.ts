// Every build of the kernels gives the same bits of a quantised matmul, whatever the batch, and the bits are right.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Backend } from '../host/backend.ts';
import { BLOCK, GROUPED, rowBytes } from '../host/dtype.ts';
import { compileBuild } from '../host/inlined.ts';
import { Reference } from '../host/reference.ts';
import { hasRelaxedDot } from '../host/relaxed.ts';
import { Wasm } from '../host/wasm.ts';
import { instantiate, type Kernels } from '../host/wasm-kernels.ts';
import { BACKENDS } from './support/backends.ts';
import { halvesOf } from './support/contents.ts';
import type { Build, Quantized } from './support/forms.ts';
import { nmse } from './support/numbers.ts';
import { compile, type Planted } from './support/planted.ts';
import { f16Bits } from './support/quantize.ts';
import { projectRoot } from './support/shared.ts';
import { uniform } from './support/tiny-model.ts';

const DTYPES = Object.keys(GROUPED) as Quantized[];
const TOKENS = 18;
/** Batches: one token, the tail of a tile, a tile, a tile and its tail, two tiles, as many as are worth unpacking. */
const BATCHES = [1, 3, 4, 5, 8, 16];
const ROWS = [1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 15, 16, 17, 39];
/** Blocks in a row, of 32 columns and of 256. */
const BLOCKS = { 32: [1, 2, 3, 5, 6], 256: [1, 2] };
const MOST_COLS = 512;
/** Largest normalised mean squared error of a token's result. */
const BOUND = 1e-10;

/** What stands in the blocks of the weights: a scale, and values from −1 to 1 as a fraction of the format's range. */
const WEIGHTS: Record<string, (random: () => number, block: number) => { d: number; value: () => number }> = {
  ordinary: random => ({ d: 0.05 * random(), value: random }),
  'the most negative': () => ({ d: 1, value: () => -1 }),
  'the most positive': () => ({ d: 1, value: () => 1 }),
  'zero in every other block': (random, block) => ({ d: block % 2, value: block % 2 ? random : () => 0 }),
  'zero in scale alone': random => ({ d: 0, value: random }),
  // with products of scales that are subnormal, but of enough digits for the bound
  tiny: random => ({ d: 1e-37, value: random }),
  large: random => ({ d: 1e3, value: random }),
  extremes: random => ({ d: 0.05 * random(), value: () => Math.sign(random()) }),
};

/** Stored rows of a format; the scale of a half float is at least its smallest, 2^−24, unless it is 0. */
function stored(dtype: Quantized, weights: string, rows: number, cols: number): Uint8Array {
  const random = uniform(rows * 1000 + cols);
  const { bytes } = BLOCK[dtype];
  const out = new Uint8Array(rows * rowBytes(dtype, cols));
  const view = new DataView(out.buffer);
  for (let block = 0; block * bytes < out.length; block++) {
    const { d, value } = WEIGHTS[weights]!(random, block);
    const start = block * bytes;
    const byte = () => Math.min(127, Math.floor(128 * value()));
    const nibble = () => Math.min(15, Math.floor(8 * value() + 8));
    const int8 = dtype.startsWith('q8');
    for (let i = start; i < start + bytes; i++) out[i] = int8 ? byte() : nibble() | (nibble() << 4);
    if (dtype === 'q8_f32') view.setFloat32(start, d, true);
    else {
      const scale = f16Bits(Math.sign(d) * Math.max(2 ** -24, Math.abs(d)));
      for (const at of halvesOf(dtype)) view.setUint16(start + at, scale, true);
    }
  }
  return out;
}

/** Nine tokens with activations of nine kinds, and these again. */
function activations(cols: number): Float32Array {
  const random = uniform(cols);
  const kinds: ((i: number) => number)[] = [
    () => 3 * random(),
    () => Math.abs(random()),
    () => -Math.abs(random()),
    () => 0,
    i => (i & 32 ? 0 : i % 32 === 5 ? 100 : 0.01 * random()),
    () => 1e-38 * random(),
    () => 1e30 * random(),
    () => (cols % 64 ? 2.5 : -2.5),
    i => (i % 2 ? 1 : -1),
  ];
  const count = kinds.length * cols;
  const values = Float32Array.from({ length: count }, (_, i) => kinds[Math.floor(i / cols)]!(i % cols));
  return Float32Array.from({ length: TOKENS * cols }, (_, i) => values[i % count]!);
}

interface Case {
  dtype: Quantized;
  weights: string;
  rows: number;
  cols: number;
}

const show = ({ dtype, weights, rows, cols }: Case) => `${dtype}, ${weights}, ${rows} rows of ${cols}`;

const colsOf = (dtype: Quantized): number[] => {
  const values = BLOCK[dtype].values as keyof typeof BLOCKS;
  return BLOCKS[values].map(blocks => blocks * values);
};

function* cases(): Generator<Case> {
  for (const dtype of DTYPES) {
    for (const weights of Object.keys(WEIGHTS)) {
      for (const rows of ROWS) for (const cols of colsOf(dtype)) yield { dtype, weights, rows, cols };
    }
  }
}

/** One backend with room for every case, used again for each. */
class Bench {
  readonly #backend: Backend;
  readonly #x: number;
  readonly #out: number;

  constructor(backend: Backend) {
    this.#backend = backend;
    this.#x = backend.allocF32(TOKENS * MOST_COLS);
    this.#out = backend.allocF32(TOKENS * Math.max(...ROWS));
  }

  /** The results of the tokens `first` … `first + n − 1`, for each [first, n]. */
  async run({ dtype, weights, rows, cols }: Case, batches: [number, number][]): Promise<Float32Array[]> {
    const b = this.#backend;
    const w = b.allocTensor(dtype, rows, cols);
    await b.fill(w, 0, rows, async view => view.set(stored(dtype, weights, rows, cols)));
    const x = activations(cols);
    const results: Float32Array[] = [];
    for (const [first, n] of batches) {
      b.writeF32(this.#x, x.subarray(first * cols, (first + n) * cols));
      b.matmul(this.#out, this.#x, w, n);
      results.push(await b.readF32(this.#out, n * rows));
    }
    return results;
  }
}

const bitsOf = (values: Float32Array) => Buffer.from(values.buffer, values.byteOffset, values.byteLength);

const ALL: [number, number] = [0, TOKENS];
const PARTS: [number, number][] = [
  ...BATCHES.map((n): [number, number] => [0, n]),
  ...Array.from({ length: TOKENS }, (_, t): [number, number] => [t, 1]),
];

/** What is wrong with a token's results, or undefined. */
function wrong(c: Case, actual: Float32Array, expected: Float32Array): string | undefined {
  for (let t = 0; t < TOKENS; t++) {
    const [from, to] = [t * c.rows, (t + 1) * c.rows];
    const error = nmse(actual.subarray(from, to), expected.subarray(from, to));
    if (!(error <= BOUND)) return `${show(c)}, token ${t}: NMSE ${error} over ${BOUND}`;
  }
  return undefined;
}

/** The first case in which the backend is not right, or a token's bits depend on its company. */
async function fault(backend: Backend, some: Iterable<Case>): Promise<string | undefined> {
  const bench = new Bench(backend);
  for (const c of some) {
    const [together, ...apart] = await bench.run(c, [ALL, ...PARTS]);
    for (const [i, [first, n]] of PARTS.entries()) {
      const same = together!.subarray(first * c.rows, (first + n) * c.rows);
      if (!bitsOf(apart[i]!).equals(bitsOf(same))) return `${show(c)}: ${n} from token ${first} on differ`;
    }
    const [expected] = await new Bench(new Reference({ roundActivations: true })).run(c, [ALL]);
    const error = wrong(c, together!, expected!);
    if (error) return error;
  }
  return undefined;
}

/** The relaxed build, told by which of its two ways to multiply int8 weights. */
async function relaxedBy(fours: boolean): Promise<Backend> {
  const kernels = instantiate(await compileBuild('relaxed'));
  kernels.useFours(fours ? 1 : 0);
  return new Wasm(kernels);
}

/** A module that is not one of the two that are inlined; no assertion fails in it. */
function backendOf(binary: Uint8Array<ArrayBuffer>): Backend {
  const imports = { wasi_snapshot_preview1: { fd_write: () => assert.unreachable('an assertion failed') } };
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(binary), imports);
  return new Wasm(exports as unknown as Kernels);
}

const debug = () => backendOf(new Uint8Array(readFileSync(join(projectRoot, 'dist/wasm/debug.wasm'))));

const MAKERS: typeof BACKENDS = {
  simd: BACKENDS['simd']!,
  ...(hasRelaxedDot() && {
    'relaxed by fours': () => relaxedBy(true),
    'relaxed by pairs': () => relaxedBy(false),
  }),
  debug: async () => debug(),
};

for (const [name, make] of Object.entries(MAKERS)) {
  test(`${name}: right, and a token's bits do not depend on the batch`, async () => {
    assert.is(await fault(await make(), cases()), undefined);
  });

  if (name === 'simd') continue;
  test(`${name} gives the bits of simd`, async () => {
    const [simd, other] = [new Bench(await BACKENDS['simd']!()), new Bench(await make())];
    let compared = 0;
    for (const c of cases()) {
      const [[a], [b]] = [await simd.run(c, [ALL]), await other.run(c, [ALL])];
      assert.ok(bitsOf(a!).equals(bitsOf(b!)), show(c));
      compared++;
    }
    const shapes = DTYPES.reduce((sum, dtype) => sum + ROWS.length * colsOf(dtype).length, 0);
    assert.is(compared, Object.keys(WEIGHTS).length * shapes);
  });
}

/** Bugs in the kernels, each of which `fault` finds; in both builds where none is named. */
const PLANTED: (Planted & { build?: Build; says: RegExp })[] = [
  { file: 'relayout.ts', replace: '(a, b, 0, 4, 1, 5)', by: '(a, b, 0, 4, 5, 1)', says: /NMSE/ },
  {
    file: 'piece-q8.ts',
    replace: 'i32x4.dot_i16x8_s(sums, v128.load32_splat(x, X_OFFSET))',
    by: 'i32x4.splat(0)',
    says: /q8_0.*NMSE/,
  },
  {
    file: 'piece-blocks.ts',
    replace: 'i32x4.dot_i16x8_s(offset, v128.load16_splat(POWERS + (<usize>centre(format) << 1)))',
    by: 'i32x4.splat(0)',
    says: /q4_0.* differ/,
  },
  { file: 'piece-q8.ts', replace: 'load32_splat(x2)', by: 'load32_splat(x1)', says: /q8_0.* differ/ },
  { file: 'tile-blocks.ts', replace: 'load32_splat(x2)', by: 'load32_splat(x1)', says: /q4_0.* differ/ },
  { file: 'piece-q8.ts', replace: 'c3, d, x3 -', by: 'c3, d, x2 -', says: /q8_0.* differ/ },
  { file: 'tile-blocks.ts', replace: 'f3, d, t, y3', by: 'f3, d, t, y2', says: /q4_0.* differ/ },
  { file: 'unpack-blocks.ts', replace: '<usize>q *', by: '<usize>(q & 2) *', says: /q4_0.* differ/ },
  {
    build: 'relaxed',
    file: 'piece-q8.ts',
    replace: 'load(p3, 112)',
    by: 'load(p2, 112)',
    says: /q8_0.*(NMSE|differ)/,
  },
  {
    build: 'simd',
    file: 'piece-q8.ts',
    replace: 'load(p3 + k)',
    by: 'load(p2 + k)',
    says: /q8_0.*(NMSE|differ)/,
  },
  { file: 'matmul-quantized.ts', replace: 's3, w + far3', by: 's3, w + far2', says: /q4_0.*(NMSE|differ)/ },
  { file: 'piece-blocks.ts', replace: 'f32x4.neg(min)', by: 'min', says: /q4_k.*NMSE/ },
  {
    file: 'piece-blocks.ts',
    replace: 'halfScale(format, w, half)',
    by: 'halfScale(format, w, 0)',
    says: /q6_k.* differ/,
  },
  { file: 'piece-blocks.ts', replace: 'i32x4.mul(least, offset)', by: 'least', says: /iq4_xs.* differ/ },
  {
    file: 'codes.ts',
    replace: 'lowBits(format) - i * highBits(format)',
    by: 'lowBits(format)',
    says: /q6_k.*NMSE/,
  },
  { file: 'relayout-blocks.ts', replace: '(first >> 6) << 4', by: '(first >> 6) << 3', says: /q4_k.*NMSE/ },
  { file: 'activations.ts', replace: 'f32x4.nearest(', by: 'f32x4.ceil(', says: /NMSE/ },
  // the relaxed build's narrowing to bytes does the same
  { build: 'simd', file: 'activations.ts', replace: 'i32x4.min_s(most, ', by: '(', says: /q8_0.*NMSE/ },
  {
    build: 'relaxed',
    file: 'piece-blocks.ts',
    replace: 'extadd_pairwise_i16x8_s',
    by: 'extadd_pairwise_i16x8_u',
    says: /q4_0.*(NMSE|differ)/,
  },
];

const PLANTED_IN: Quantized[] = ['q8_0', 'q4_0', 'q4_k', 'q6_k', 'iq4_xs'];
const FEW = [...cases()].filter(({ dtype, rows, cols }) => {
  return PLANTED_IN.includes(dtype) && rows > 12 && (cols === 96 || cols === 256);
});

/** The planted kernels behind the backend. */
async function planted(bug: Planted, build: Build): Promise<Backend> {
  const named = ['relayout', 'matmul'].flatMap(name => PLANTED_IN.map(dtype => `${name}_${dtype}`));
  const ops = ['activations7', 'activations8', 'finite_q8_0', 'finite_halves', ...named];
  return backendOf(await compile(bug, ops, build));
}

const BUILDS: Build[] = hasRelaxedDot() ? ['simd', 'relaxed'] : ['simd'];
if (!hasRelaxedDot()) console.log('skipped: the relaxed build (this engine has no relaxed SIMD)');

for (const { build: only, says, ...bug } of PLANTED) {
  for (const build of BUILDS.filter(build => !only || build === only)) {
    test(`a planted bug is caught: ${build} with "${bug.by}" for "${bug.replace}" in ${bug.file}`, async () => {
      assert.match((await fault(await planted(bug, build), FEW)) ?? 'nothing', says);
    });
  }
}

/** V8 has the instructions from 11.4 on; Node 20 is at 11.3. */
const major = Number(process.versions.node.split('.')[0]);

test('the relaxed build runs where its instructions exist and are right', () => {
  assert.is(hasRelaxedDot(), major > 20);
});

const FLAG = '--experimental-wasm-relaxed-simd';
const flagged = 'not on Node 20 with its flag, where they are wrong';
if (major === 20) {
  test(flagged, () => {
    const module = new URL('../host/relaxed.js', import.meta.url).href;
    const code = `import { hasRelaxedDot } from '${module}'; console.log(hasRelaxedDot());`;
    const { stdout, stderr } = spawnSync(process.execPath, [FLAG, '--input-type=module', '--eval', code]);
    assert.is(`${stdout}${stderr}`.trim(), 'false');
  });
} else console.log(`skipped: ${flagged} (this is Node ${major})`);

test.run();
