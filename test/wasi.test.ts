// The WASI command computes what the JavaScript hosts compute: the same ops, the same logits, the same text.

import { createHash } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Backend, Cache, Tensor } from '../host/backend.ts';
import { manyLines } from '../host/cli/terminal.ts';
import { Composed } from '../host/composed.ts';
import { ggmlTypeNamed } from '../host/ggml-types.ts';
import type { GgufValue } from '../host/gguf-write.ts';
import { type GenerateOptions, open } from '../host/index.ts';
import { compileBuild } from '../host/inlined.ts';
import { Random } from '../host/random.ts';
import { Wasm } from '../host/wasm.ts';
import { instantiate } from '../host/wasm-kernels.ts';
import { GOLDEN, GOLDEN_IDS, sequence } from './support/golden.ts';
import { llamaOf } from './support/models.ts';
import { type TinyModelOptions, tinyModel } from './support/tiny-model.ts';
import { codeOf, type Ended, type Run, runCommand } from './support/wasi.ts';

const run = (file: Uint8Array, args: string[], more: Run = {}): Ended =>
  runCommand({ ...more, args: ['m.gguf', ...args], files: { 'm.gguf': file } });

for (const { options, hash } of GOLDEN.filter(({ cache = 'f32' }) => cache === 'f32')) {
  test(`${options.dtype}: golden bits`, () => {
    const { code, stdout, stderr } = run(tinyModel(options), [GOLDEN_IDS.join(), '--ids', '--logits']);
    assert.is(code, 0, stderr);
    assert.is(createHash('sha256').update(stdout).digest('hex'), hash);
  });
}

/** The shape of each op as the trace build tells it. `gather` is none where there is one rank. */
const SHAPES: { [Op in keyof Backend]?: (...args: never[]) => (number | string)[] } = {
  embedding: (_out: number, _tokens: number, { dtype, cols }: Tensor, n: number) => [typeOf(dtype), n, cols],
  rmsnorm: (_out: number, _x: number, _w: Tensor, n: number, dim: number) => [n, dim],
  matmul: (_out: number, _x: number, { dtype, rows, cols }: Tensor, n: number) => [
    typeOf(dtype),
    n,
    rows,
    cols,
  ],
  ropeTable: (_t: number, _f: Tensor | undefined, first: number, count: number, headDim: number) => [
    first,
    count,
    headDim,
  ],
  rope: (_x: number, _p: number, _t: number, n: number, heads: number, headDim: number) => [
    n,
    heads,
    headDim,
  ],
  append: ({ kvHeads, headDim, capacity }: Cache, _x: number, _s: number, _p: number, n: number) => [
    n,
    kvHeads,
    headDim,
    capacity,
  ],
  attention: (
    _out: number,
    _q: number,
    { kvHeads, headDim, capacity }: Cache,
    _values: Cache,
    _s: number,
    _p: number,
    n: number,
    heads: number,
  ) => [n, heads, kvHeads, headDim, capacity],
  swiglu: (_out: number, _gate: number, _up: number, count: number) => [count],
  add: (_out: number, _a: number, _b: number, count: number) => [count],
  takeRows: (_out: number, _x: number, _rows: number, n: number, dim: number) => [n, dim],
};
const typeOf = (dtype: string) => `type ${ggmlTypeNamed(dtype.toUpperCase()).id}`;

/** A backend that notes the ops that it runs. */
function recording(backend: Backend, ops: string[]): Backend {
  return new Proxy(backend, {
    get(target, name, proxy) {
      const member = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      const shape = SHAPES[name as keyof Backend] as
        | ((...args: unknown[]) => (number | string)[])
        | undefined;
      return (...args: unknown[]) => {
        if (shape) ops.push([name, ...shape(...args)].join(' '));
        // lists of ops call what is noted
        return member.apply(name in Composed.prototype ? proxy : target, args);
      };
    },
  });
}

const TRACED: TinyModelOptions[] = [
  { dtype: 'Q8_0', contextLength: 200, nKvHeads: 1 },
  { dtype: 'F32', contextLength: 140, tied: true, nKvHeads: 4 },
  { dtype: 'Q6_K', contextLength: 131, ropeFactors: Array(32).fill(2) },
];

for (const options of TRACED) {
  test(`${options.dtype}: the ops of host/llama.ts with their shapes, for a prompt and three tokens`, async () => {
    const file = tinyModel(options);
    const ids = sequence(3, 127);
    const ops: string[] = [];
    const backend = recording(new Wasm(instantiate(await compileBuild('simd'))), ops);
    const llama = await llamaOf(backend, file, { batch: 64, outputs: 16 });
    for (let first = 0; first < ids.length; first += 64) {
      const tokens = ids.slice(first, first + 64);
      llama.forward({ tokens, slots: tokens.map(() => 0), positions: tokens.map((_, i) => first + i) });
    }
    llama.logits([62]);
    for (const position of [127, 128]) {
      llama.forward({ tokens: [5], slots: [0], positions: [position] });
      llama.logits([0]);
    }
    const args = ['--ids', ids.join(' '), '--max-tokens', '3', '--seed', '2'];
    const { code, stderr } = runCommand(
      { args: ['m.gguf', ...args], files: { 'm.gguf': file } },
      'cria-trace',
    );
    assert.is(code, 0);
    assert.ok(ops.length > 50);
    assert.equal(stderr.trimEnd().split('\n'), ops);
  });
}

/** An option's flag and its value, as arguments. */
const flags = (options: GenerateOptions) =>
  Object.entries(options).flatMap(([key, value]) => [
    `--${key.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`,
    String(value),
  ]);

/** Sampling options of all kinds. */
function samplings(count: number): GenerateOptions[] {
  const random = Random.seeded(11);
  const pick = <T>(...list: T[]): T => list[random.bits() % list.length]!;
  return Array.from({ length: count }, () => ({
    seed: pick(0, 1, random.bits(), 2 ** 53 - 1, 2 ** 32 + 5),
    temperature: pick(0, 0.3, 0.8, 1, 1.7),
    topK: pick(0, 1, 7, 40, 100000),
    topP: pick(0, 0.3, 0.95, 1),
    minP: pick(0, 0.05, 0.4),
    repeatPenalty: pick(1, 1, 1.1, 0.9),
    frequencyPenalty: pick(0, 0, 0.25, -0.5),
    presencePenalty: pick(0, 0, 1.5),
    repeatLastN: pick(64, -1, 0, 5),
    maxTokens: pick(1, 20, 50, 1000),
  }));
}

const PROMPTS = ['the sand', '', ' ', 'é 🦙 z', 'Once upon a time\n', 'x'.repeat(40)];

test('the text of 64 seeded samples, whatever the options', async () => {
  const models = (['F32', 'Q8_0', 'Q4_0', 'Q4_K'] as const).map(dtype => tinyModel({ dtype }));
  const hosts = await Promise.all(models.map(file => open(file, { threads: 0 })));
  for (const [i, options] of samplings(64).entries()) {
    const prompt = PROMPTS[i % PROMPTS.length]!;
    let expected = '';
    for await (const piece of hosts[i % 4]!.generate(prompt, options)) expected += piece;
    const { code, stdout, stderr } = run(models[i % 4]!, [...flags(options), '--', prompt]);
    assert.is(code, 0, stderr);
    assert.is(stdout.toString(), expected, `${JSON.stringify(prompt)} ${JSON.stringify(options)}`);
  }
});

const TINY = tinyModel();
const GREEDY = ['--temperature', '0', '--max-tokens', '8'];
const greedy = run(TINY, ['the sand', ...GREEDY]).stdout.toString();

test('options come from arguments, after them from the environment; the prompt also from stdin', () => {
  const env = { CRIA_MODEL: 'm.gguf', CRIA_PROMPT: 'the sand', CRIA_TEMPERATURE: '0', CRIA_MAX_TOKENS: '8' };
  const files = { 'm.gguf': TINY };
  const text = (run: Run) => {
    const { code, stdout, stderr } = runCommand({ ...run, files });
    assert.is(`${code} ${stderr}`, '0 ');
    return stdout.toString();
  };
  assert.ok(greedy.length > 5);
  assert.is(text({ env }), greedy);
  assert.is(
    text({ env: { ...env, CRIA_MODEL: 'none.gguf', CRIA_SOMETHING: '1' }, args: ['m.gguf'] }),
    greedy,
  );
  assert.is(text({ env: { ...env, CRIA_MAX_TOKENS: '3' }, args: ['--max-tokens=8'] }), greedy);
  const { CRIA_PROMPT, ...rest } = env;
  assert.is(text({ env: rest, stdin: CRIA_PROMPT }), greedy);
  assert.is(text({ env: rest, stdin: CRIA_PROMPT, piece: 3 }), greedy);
  assert.is(text({ env, folder: '/', args: ['/m.gguf'] }), greedy);
  assert.is(text({ env, folder: '/data/models/', args: ['/data/models/m.gguf'] }), greedy);
  assert.is(text({ env, args: ['./m.gguf'] }), greedy);
  assert.is(text({ env: { ...env, CRIA_MAX_TOKENS: '0' } }), '');
});

test('with --escape a terminal is not steered by what a model says', () => {
  const args = ['a', '--temperature', '3', '--top-k', '0', '--top-p', '1', '--seed', '4'];
  const text = run(TINY, args).stdout.toString();
  assert.match(text, /\p{Cc}/u);
  assert.is(run(TINY, [...args, '--escape']).stdout.toString(), manyLines(text));
  // every character that the tiny vocabulary can be made to say: its pieces are those of bytes
  const pieces = [
    '\r',
    '\t\n',
    '\u009b',
    '\u061c',
    '\u2028',
    '\u202e',
    '\u2066',
    '\u2065',
    'é',
    '🦙',
    '\u200d',
    '\u007f',
  ];
  const edit = (keys: Map<string, GgufValue>) => {
    const { value: tokens } = keys.get('tokenizer.ggml.tokens') as { value: readonly string[] };
    const value = tokens.map((piece, id) => (id < 259 ? piece : `${pieces[id % pieces.length]}${piece}`));
    keys.set('tokenizer.ggml.tokens', { type: 'array', of: 'string', value });
  };
  const odd = tinyModel({ edit });
  let all = '';
  for (let seed = 0; seed < 20; seed++) {
    const more = [...args, '--seed', String(seed)];
    const said = run(odd, more).stdout.toString();
    assert.is(run(odd, [...more, '--escape']).stdout.toString(), manyLines(said));
    all += said;
  }
  for (const piece of pieces) assert.ok(all.includes(piece), JSON.stringify(piece));
});

test('without a seed each run draws its own', () => {
  const texts = new Set(
    Array.from({ length: 5 }, () => run(TINY, ['a', '--temperature', '5']).stdout.toString()),
  );
  assert.ok(texts.size > 1);
});

test('without a vocabulary, ids in and ids out', () => {
  const edit = (keys: Map<string, unknown>) => {
    for (const key of [...keys.keys()]) if (key.startsWith('tokenizer')) keys.delete(key);
  };
  const bare = tinyModel({ edit });
  const { code, stdout } = run(bare, ['--ids', '1 270 280', ...GREEDY]);
  assert.is(code, 0);
  assert.match(stdout.toString(), /^(\d+\n){1,8}$/);
  assert.is(codeOf(run(bare, ['text'])), 'needs-tokenizer');
});

test('failures are one line with the code of the host, and exit code 1', () => {
  const cases: [string, Ended][] = [
    ['file-not-found', runCommand({ args: ['none.gguf', 'x'] })],
    ['file-not-found', runCommand({ args: ['/elsewhere/m.gguf', 'x'], files: { 'm.gguf': TINY } })],
    ['option-range', run(TINY, ['x', '--context', '65'])],
    ['prompt-too-long', run(TINY, ['x'.repeat(100)])],
    ['prompt-too-long', run(TINY, ['x'.repeat(10), '--context', '8'])],
    ['token-out-of-range', run(TINY, ['--ids', '1 100000'])],
    ['option-range', run(TINY, ['--ids', 'none'])],
    ['bad-magic', run(new TextEncoder().encode('not a model, but long enough'), ['x'])],
  ];
  for (const [code, ended] of cases) assert.is(codeOf(ended), code, ended.stderr);
  assert.is(codeOf(runCommand({ args: ['a\n\u001b[31m.gguf', 'x'] })), 'file-not-found');
});

test('weights that are no numbers, and results that are none', () => {
  const damaged = (bits: number) =>
    tinyModel({
      edit: (_, tensors) => {
        const data = (tensors[3]!.data as Uint8Array).slice();
        new DataView(data.buffer).setUint32(400, bits, true);
        tensors[3] = { ...tensors[3]!, data };
      },
    });
  assert.is(codeOf(run(damaged(0x7fc00000), ['x'])), 'non-finite-weights');
  assert.is(codeOf(run(damaged(0x7f7fffff), ['x'])), 'non-finite-results');
});

test('a model that no memory holds is refused before it is read', () => {
  const file = tinyModel({
    nLayers: 1,
    edit: keys => {
      keys.set('llama.context_length', { type: 'u32', value: 2 ** 20 });
      keys.set('llama.block_count', { type: 'u32', value: 1 });
    },
  });
  // 2^20 positions of keys and values: 1 layer · 2 · 32 · 4 bytes each, and their angles: it fits
  assert.is(codeOf(run(file, ['x', '--max-tokens', '1'])), undefined);
  const wide = tinyModel({
    nLayers: 16,
    edit: keys => keys.set('llama.context_length', { type: 'u32', value: 2 ** 20 }),
  });
  const refused = run(wide, ['x']);
  assert.is(codeOf(refused), 'out-of-memory');
  assert.match(refused.stderr, /a need of 4[0-9]{9} bytes/);
});

test('addresses above 2 GiB are addresses like any other', () => {
  // keys and values of 2^20 positions in 14 layers: 3.5 GiB, of which little is touched
  const file = tinyModel({
    nLayers: 14,
    edit: keys => keys.set('llama.context_length', { type: 'u32', value: 2 ** 20 }),
  });
  const args = ['the sand', '--seed', '9', '--max-tokens', '30'];
  const far = run(file, args);
  assert.is(`${far.code} ${far.stderr}`, '0 ');
  assert.is(far.stdout.toString(), run(file, [...args, '--context', '64']).stdout.toString());
});

test('wrong usage is told in two lines, and exit code 2', () => {
  for (const args of [
    [],
    ['m.gguf', 'a', 'b'],
    ['m.gguf', 'a', '--nothing', '1'],
    ['m.gguf', 'a', '--top-k'],
    ['m.gguf', 'a', '--top-k', '1.5'],
    ['m.gguf', 'a', '--top-k', '-1'],
    ['m.gguf', 'a', '--top-p', '1.1'],
    ['m.gguf', 'a', '--temperature', 'warm'],
    ['m.gguf', 'a', '--temperature', '1e'],
    ['m.gguf', 'a', '--temperature', ''],
    ['m.gguf', 'a', '--temperature', '.'],
    ['m.gguf', 'a', '--seed', '9007199254740992'],
    ['m.gguf', 'a', '--seed', '1e3'],
  ]) {
    const { code, stdout, stderr } = runCommand({ args, files: { 'm.gguf': TINY } });
    assert.is(code, 2, `${args}: ${stderr}`);
    assert.match(stderr, /^cria: [^\n]+\nUsage: cria\.wasm MODEL \[PROMPT\] [^\n]+\n$/);
    assert.is(stdout.length, 0);
  }
  const help = runCommand({ args: ['--help'] });
  assert.is(help.code, 0);
  assert.match(help.stdout.toString(), /--max-tokens N/);
});

test('numbers are read as JavaScript reads them', () => {
  for (const text of [
    '0.1',
    '.7',
    '3.',
    '1e-3',
    '12e-1',
    '+0.35',
    '0.123456789012345',
    '1E0',
    '0e-99',
    '100000e-5',
  ]) {
    const args = (value: string) => ['a', '--seed', '3', '--max-tokens', '30', '--temperature', value];
    const plain = String(Number(text));
    assert.is(run(TINY, args(text)).stdout.toString(), run(TINY, args(plain)).stdout.toString(), text);
  }
});

test.run();
