/**
 * Malformed files, one for each way in which a loader was broken before (CVE-2024-21802 and its siblings, CVE-2025-53630,
 * CVE-2026-27940, CVE-2026-7482, GHSA-96jg-mvhq-q7q7, llama.cpp #24263, gguf-tools #25) and each rule of the format, with
 * the error code that it must give. The host and the WASI command refuse them alike.
 */
import type { ErrorCode } from '../../host/errors.ts';
import { type GgufTensorData, type GgufValue, writeGguf } from '../../host/gguf-write.ts';
import { array, cat, f32, info, key, type RawFile, rawGguf, str, T, u8, u32, u64 } from './raw-gguf.ts';
import { type TinyModelOptions, tinyModel } from './tiny-model.ts';

export type Case = [name: string, bytes: () => Uint8Array, code: ErrorCode];

const raw = (file: RawFile) => () => rawGguf(file);
const oneKey = (type: number, value: Uint8Array) => raw({ keys: [key('a', type, value)] });
const oneTensor = (tensor: Uint8Array, data = 4096) => raw({ tensors: [tensor], data });
export const twice = (name: string): Uint8Array[] => [key(name, T.u8, u8(1)), key(name, T.u8, u8(1))];
export const nestedArrays = (depth: number): Uint8Array =>
  depth === 1 ? array(T.u8, 1, u8(7)) : array(T.arr, 1, nestedArrays(depth - 1));
const align = (value: Uint8Array, type = T.u32) => raw({ keys: [key('general.alignment', type, value)] });
/** A file that opens. */
export const whole = (): Uint8Array => tinyModel(SMALL);
const cut = (keep: (bytes: Uint8Array) => number) => () => {
  const bytes = whole();
  return bytes.slice(0, keep(bytes));
};

/** What is wrong with the container. */
export const CONTAINER: Case[] = [
  // magic and version
  ['empty file', () => new Uint8Array(0), 'file-empty'],
  ['3 bytes', () => u8(0x47, 0x47, 0x55), 'file-truncated'],
  ['magic only', () => u8(0x47, 0x47, 0x55, 0x46), 'file-truncated'],
  ['another magic', raw({ magic: 'GGML' }), 'bad-magic'],
  ['an HTML page', () => new TextEncoder().encode('<html>404 not found</html>'), 'bad-magic'],
  ['a zip archive', () => cat(u8(0x50, 0x4b, 3, 4), new Uint8Array(100)), 'bad-magic'],
  ['zeros', () => new Uint8Array(1000), 'bad-magic'],
  ['version 0', raw({ version: 0 }), 'bad-version'],
  ['version 1', raw({ version: 1 }), 'bad-version'],
  ['version 4', raw({ version: 4 }), 'bad-version'],
  ['version 2^32 − 1', raw({ version: 0xffffffff }), 'bad-version'],
  ['big-endian version', raw({ version: 0x03000000 }), 'bad-version'],
  ['big-endian magic', raw({ magic: 'FUGG', version: 0x03000000 }), 'bad-version'],
  // counts that would wrap or exhaust (CVE-2024-23605: n_kv)
  ['2^64 − 1 keys', raw({ nKeys: 2n ** 64n - 1n }), 'bad-count'],
  ['2^63 keys', raw({ nKeys: 2n ** 63n }), 'bad-count'],
  ['2^53 keys', raw({ nKeys: 2n ** 53n }), 'bad-count'],
  ['2^32 keys', raw({ nKeys: 2n ** 32n }), 'bad-count'],
  ['keys × entry size = 2^64 + 8', raw({ nKeys: 2n ** 64n / 24n + 1n }), 'bad-count'],
  ['65,537 keys in a file of 1 MB', () => cat(rawGguf({ nKeys: 65537 }), new Uint8Array(1e6)), 'bad-count'],
  ['one key more than there is', raw({ nKeys: 2, keys: [key('a', T.u8, u8(1))] }), 'file-truncated'],
  ['2^64 − 1 tensors', raw({ nTensors: 2n ** 64n - 1n }), 'bad-count'],
  ['2^61 tensors', raw({ nTensors: 2n ** 61n }), 'bad-count'],
  ['1,000 tensors in 24 bytes', raw({ nTensors: 1000 }), 'bad-count'],
  [
    '65,537 tensors in a file of 3 MB',
    () => cat(rawGguf({ nTensors: 65537 }), new Uint8Array(3e6)),
    'bad-count',
  ],
  ['no counts', () => rawGguf().slice(0, 12), 'file-truncated'],
  // keys (llama.cpp #24263: empty key)
  ['empty key', raw({ keys: [key('', T.u8, u8(1))] }), 'bad-key'],
  ['key of 65,536 bytes', raw({ keys: [key('k'.repeat(65536), T.u8, u8(1))] }), 'bad-key'],
  ['key of 70,000 bytes', raw({ keys: [key('k'.repeat(70000), T.u8, u8(1))] }), 'bad-key'],
  ['key of 2^63 bytes', raw({ keys: [cat(str('abc', 2n ** 63n), new Uint8Array(20))] }), 'bad-string'],
  [
    'key of 2^64 − 1 bytes',
    raw({ keys: [cat(str('abc', 2n ** 64n - 1n), new Uint8Array(20))] }),
    'bad-string',
  ],
  ['key longer than the file', raw({ keys: [cat(str('abc', 1e6), new Uint8Array(20))] }), 'bad-string'],
  ['key past the end', raw({ keys: [cat(str('abc', 30), new Uint8Array(12))] }), 'file-truncated'],
  ['key that is not UTF-8', raw({ keys: [key(u8(0xff, 0xfe), T.u8, u8(1))] }), 'bad-string'],
  ['key twice', raw({ keys: twice('a.b') }), 'duplicate-key'],
  ['__proto__ twice', raw({ keys: twice('__proto__') }), 'duplicate-key'],
  // values
  ['value type 13', oneKey(13, new Uint8Array(64)), 'bad-value-type'],
  ['value type 2^32 − 1', oneKey(0xffffffff, new Uint8Array(64)), 'bad-value-type'],
  ['boolean 2', oneKey(T.bool, u8(2)), 'bad-value'],
  ['boolean 255', oneKey(T.bool, u8(255)), 'bad-value'],
  ['u64 cut off', oneKey(T.u64, u32(1)), 'file-truncated'],
  ['string of 2^63 bytes', oneKey(T.str, str('abc', 2n ** 63n)), 'bad-string'],
  ['string of 2^64 − 8 bytes', oneKey(T.str, str('abc', 2n ** 64n - 8n)), 'bad-string'],
  ['string of 2^32 + 3 bytes', oneKey(T.str, str('abc', 2n ** 32n + 3n)), 'bad-string'],
  ['string past the end', oneKey(T.str, str('abc', 10)), 'file-truncated'],
  ['lone continuation byte', oneKey(T.str, str(u8(0x80))), 'bad-string'],
  ['overlong NUL', oneKey(T.str, str(u8(0xc0, 0x80))), 'bad-string'],
  ['lone surrogate', oneKey(T.str, str(u8(0xed, 0xa0, 0x80))), 'bad-string'],
  ['UTF-8 cut in a character', oneKey(T.str, str(u8(0x61, 0xe2, 0x96))), 'bad-string'],
  ['code point above U+10FFFF', oneKey(T.str, str(u8(0xf4, 0x90, 0x80, 0x80))), 'bad-string'],
  // arrays
  ['array of type 13', oneKey(T.arr, array(13, 1, new Uint8Array(64))), 'bad-value-type'],
  ['2^64 − 1 bytes', oneKey(T.arr, array(T.u8, 2n ** 64n - 1n, u8(1))), 'bad-count'],
  ['2^62 floats: 4 n wraps to 0', oneKey(T.arr, array(T.f32, 2n ** 62n, f32(1))), 'bad-count'],
  ['2^61 + 1 doubles: 8 n wraps to 8', oneKey(T.arr, array(T.f64, 2n ** 61n + 1n, u64(1))), 'bad-count'],
  ['2^60 strings', oneKey(T.arr, array(T.str, 2n ** 60n, str('a'))), 'bad-count'],
  ['2^31 booleans', oneKey(T.arr, array(T.bool, 2 ** 31, u8(1))), 'bad-count'],
  ['2^40 arrays', oneKey(T.arr, array(T.arr, 2 ** 40, array(T.u8, 1, u8(1)))), 'bad-count'],
  ['ten floats in five', oneKey(T.arr, array(T.f32, 10, f32(1, 2, 3, 4, 5))), 'file-truncated'],
  ['a boolean of 7 in an array', oneKey(T.arr, array(T.bool, 2, u8(1, 7))), 'bad-value'],
  ['a string of 2^63 bytes in an array', oneKey(T.arr, array(T.str, 1, str('a', 2n ** 63n))), 'bad-string'],
  ['bad UTF-8 in an array', oneKey(T.arr, array(T.str, 2, cat(str('a'), str(u8(0xff))))), 'bad-string'],
  ['arrays nested 5 deep', oneKey(T.arr, nestedArrays(5)), 'bad-value'],
  ['arrays nested 3,000 deep', oneKey(T.arr, cat(...Array(3000).fill(cat(u32(T.arr), u64(1))))), 'bad-value'],
  [
    '2,000,000 booleans',
    () => rawGguf({ keys: [key('a', T.arr, array(T.bool, 2e6, new Uint8Array(2e6)))] }),
    'bad-count',
  ],
  [
    '100,000 empty arrays',
    () => rawGguf({ keys: [key('a', T.arr, array(T.arr, 1e5, manyEmpty(1e5)))] }),
    'bad-count',
  ],
  // alignment (GHSA-96jg-mvhq-q7q7)
  ['alignment 0', align(u32(0)), 'bad-alignment'],
  ['alignment 1', align(u32(1)), 'bad-alignment'],
  ['alignment 4', align(u32(4)), 'bad-alignment'],
  ['alignment 13', align(u32(13)), 'bad-alignment'],
  ['alignment 48', align(u32(48)), 'bad-alignment'],
  ['alignment 2^17', align(u32(2 ** 17)), 'bad-alignment'],
  ['alignment 2^30', align(u32(2 ** 30)), 'bad-alignment'],
  ['alignment 2^31', align(u32(2 ** 31)), 'bad-alignment'],
  ['alignment as u64', align(u64(32), T.u64), 'bad-alignment'],
  ['alignment as f32', align(f32(32), T.f32), 'bad-alignment'],
  ['alignment as text', align(str('32'), T.str), 'bad-alignment'],
  ['alignment as array', align(array(T.u32, 1, u32(32)), T.arr), 'bad-alignment'],
  // tensor names
  ['tensor without a name', oneTensor(info('', [4])), 'bad-tensor-name'],
  ['tensor name of 65 bytes', oneTensor(info('n'.repeat(65), [4])), 'bad-tensor-name'],
  ['tensor name that is not UTF-8', oneTensor(info(u8(0xc3, 0x28), [4])), 'bad-string'],
  ['tensor name of 2^63 bytes', oneTensor(cat(u64(2n ** 63n), new Uint8Array(40))), 'bad-string'],
  [
    'tensor name twice',
    raw({ tensors: [info('t', [4]), info('t', [4], 0, 32)], data: 64 }),
    'duplicate-tensor',
  ],
  // dimensions (CVE-2024-21802: ne; gguf-tools #25: n_dims; llama.cpp #24263: zero)
  ['0 dimensions', oneTensor(info('t', [])), 'bad-dimensions'],
  ['5 dimensions', oneTensor(info('t', [1, 1, 1, 1, 1])), 'bad-dimensions'],
  ['9 dimensions', oneTensor(info('t', [4], 0, 0, 9)), 'bad-dimensions'],
  ['255 dimensions', oneTensor(info('t', [4], 0, 0, 255)), 'bad-dimensions'],
  ['2^32 − 1 dimensions', oneTensor(info('t', [4], 0, 0, 2 ** 32 - 1)), 'bad-dimensions'],
  ['a dimension of 0', oneTensor(info('t', [0])), 'bad-dimensions'],
  ['a second dimension of 0', oneTensor(info('t', [4, 0])), 'bad-dimensions'],
  ['a dimension of 2^63', oneTensor(info('t', [2n ** 63n])), 'size-overflow'],
  ['a dimension of 2^64 − 1', oneTensor(info('t', [2n ** 64n - 1n])), 'size-overflow'],
  ['a dimension of 2^53', oneTensor(info('t', [2n ** 53n])), 'size-overflow'],
  ['dimensions whose product wraps to 0', oneTensor(info('t', [2 ** 32, 2 ** 32])), 'size-overflow'],
  ['four dimensions of 2^31', oneTensor(info('t', Array(4).fill(2 ** 31))), 'size-overflow'],
  ['bytes that wrap where elements do not', oneTensor(info('t', [2n ** 52n])), 'size-overflow'],
  ['elements above 2^53 in fewer bytes', oneTensor(info('t', [2 ** 27, 3 * 2 ** 25], 2)), 'size-overflow'],
  ['a Q8_0 row of 31', oneTensor(info('t', [31], 8)), 'bad-dimensions'],
  ['a Q4_0 row of 48', oneTensor(info('t', [48, 2], 2)), 'bad-dimensions'],
  ['a Q4_K row of 32', oneTensor(info('t', [32, 8], 12)), 'bad-dimensions'],
  // types
  ['a removed type', oneTensor(info('t', [32], 4)), 'unknown-dtype'],
  ['type 42', oneTensor(info('t', [32], 42)), 'unknown-dtype'],
  ['type −1', oneTensor(info('t', [32], 2 ** 32 - 1)), 'unknown-dtype'],
  // places (CVE-2026-7482: past the end; CVE-2025-53630, CVE-2026-27940: sums)
  ['offset 1', oneTensor(info('t', [4], 0, 1)), 'bad-offset'],
  ['offset 16 at alignment 32', oneTensor(info('t', [4], 0, 16)), 'bad-offset'],
  ['offset 2^64 − 32', oneTensor(info('t', [4], 0, 2n ** 64n - 32n)), 'bad-offset'],
  ['offset 2^53', oneTensor(info('t', [4], 0, 2n ** 53n)), 'bad-offset'],
  ['offset 2^53 − 32', oneTensor(info('t', [4], 0, 2n ** 53n - 32n)), 'tensor-outside-file'],
  ['a byte past the end', oneTensor(info('t', [4]), 15), 'tensor-outside-file'],
  ['offset at the end', oneTensor(info('t', [4], 0, 4096)), 'tensor-outside-file'],
  ['a huge tensor', oneTensor(info('t', [2 ** 40])), 'tensor-outside-file'],
  [
    'two of 2^52 bytes',
    raw({ tensors: [info('a', [2 ** 50]), info('b', [2 ** 50], 0, 2 ** 52)] }),
    'tensor-outside-file',
  ],
  ['no data at all', raw({ tensors: [info('t', [4])] }), 'tensor-outside-file'],
  [
    'two tensors in one place',
    raw({ tensors: [info('a', [4]), info('b', [4])], data: 64 }),
    'tensor-overlap',
  ],
  [
    'a tensor inside another',
    raw({ tensors: [info('a', [64]), info('b', [4], 0, 64)], data: 512 }),
    'tensor-overlap',
  ],
  [
    'tensors that overlap in reverse',
    raw({ tensors: [info('b', [4], 0, 32), info('a', [16])], data: 512 }),
    'tensor-overlap',
  ],
  // truncation
  ['cut in the vocabulary', cut(() => 4000), 'file-truncated'],
  ['a byte less', cut(bytes => bytes.length - 17), 'tensor-outside-file'],
];

const SMALL: TinyModelOptions = { dim: 16, nHeads: 2, nKvHeads: 1, hiddenDim: 32, nLayers: 2 };

/** A tiny Llama with one thing changed. */
const edited = (edit: NonNullable<TinyModelOptions['edit']>) => () => tinyModel({ ...SMALL, edit });
const set = (name: string, value: GgufValue) => edited(keys => keys.set(name, value));
const unset = (name: string) => edited(keys => keys.delete(name));
const u = (value: number): GgufValue => ({ type: 'u32', value });
const f = (value: number): GgufValue => ({ type: 'f32', value });
const s = (value: string): GgufValue => ({ type: 'string', value });
const tensor = (name: string, change: Partial<GgufTensorData>) =>
  edited((_, tensors) => {
    const index = tensors.findIndex(t => t.name === name);
    tensors[index] = { ...tensors[index]!, ...change };
  });
const without = (name: string) =>
  edited((_, tensors) =>
    tensors.splice(
      tensors.findIndex(t => t.name === name),
      1,
    ),
  );
const added = (name: string, dims = [16]) =>
  edited((_, tensors) => tensors.push({ name, dims, ggmlType: 0, data: new Uint8Array(64) }));
const vocabulary = (part: string, of: 'i32' | 'f32' | 'u8' | 'i8', change: (values: number[]) => number[]) =>
  edited(keys => {
    const old = keys.get(`tokenizer.ggml.${part}`);
    if (old?.type !== 'array') throw new Error(`no list ${part}`);
    keys.set(`tokenizer.ggml.${part}`, { type: 'array', of, value: change([...(old.value as number[])]) });
  });
const ARCH = 'llama.attention';

/** What is wrong with the model in it. */
export const MODEL: Case[] = [
  ['no architecture', unset('general.architecture'), 'missing-key'],
  ['falcon', set('general.architecture', s('falcon')), 'unsupported-architecture'],
  ['architecture 7', set('general.architecture', u(7)), 'unsupported-architecture'],
  ['8 experts', set('llama.expert_count', u(8)), 'unsupported-architecture'],
  ['an encoder', set(`${ARCH}.causal`, { type: 'bool', value: false }), 'unsupported-architecture'],
  ['the first of two files', set('split.count', { type: 'u16', value: 2 }), 'missing-tensor'],
  ['a vocabulary without weights', edited((_, tensors) => tensors.splice(0)), 'no-weights'],
  ['nothing but a name', () => writeGguf([['general.architecture', s('llama')]], []), 'no-weights'],
  // hyper-parameters
  ...(
    [
      'llama.embedding_length',
      'llama.block_count',
      'llama.feed_forward_length',
      'llama.context_length',
      `${ARCH}.head_count`,
      `${ARCH}.layer_norm_rms_epsilon`,
    ] as const
  ).map((name): Case => [`no ${name}`, unset(name), 'missing-key']),
  ['block_count as f32', set('llama.block_count', f(2)), 'wrong-key-type'],
  ['block_count as text', set('llama.block_count', s('2')), 'wrong-key-type'],
  ['block_count as bool', set('llama.block_count', { type: 'bool', value: true }), 'wrong-key-type'],
  ['heads a layer', set(`${ARCH}.head_count`, { type: 'array', of: 'u32', value: [2, 2] }), 'wrong-key-type'],
  ['epsilon as u32', set(`${ARCH}.layer_norm_rms_epsilon`, u(1)), 'wrong-key-type'],
  ['0 layers', set('llama.block_count', u(0)), 'bad-hyperparameter'],
  ['−1 layers', set('llama.block_count', { type: 'i32', value: -1 }), 'bad-hyperparameter'],
  ['2^32 − 1 layers', set('llama.block_count', u(2 ** 32 - 1)), 'bad-hyperparameter'],
  ['2^64 − 1 layers', set('llama.block_count', { type: 'u64', value: 2n ** 64n - 1n }), 'bad-hyperparameter'],
  ['a layer more than there is', set('llama.block_count', u(3)), 'missing-tensor'],
  ['a layer less than there is', set('llama.block_count', u(1)), 'unexpected-tensor'],
  ['0 heads', set(`${ARCH}.head_count`, u(0)), 'bad-hyperparameter'],
  ['3 heads of 16', set(`${ARCH}.head_count`, u(3)), 'bad-hyperparameter'],
  ['heads of size 1', set(`${ARCH}.head_count`, u(16)), 'bad-hyperparameter'],
  ['0 kv heads', set(`${ARCH}.head_count_kv`, u(0)), 'bad-hyperparameter'],
  ['more kv heads than heads', set(`${ARCH}.head_count_kv`, u(4)), 'bad-hyperparameter'],
  ['2 kv heads where the matrices have 1', set(`${ARCH}.head_count_kv`, u(2)), 'wrong-shape'],
  ['0 context', set('llama.context_length', u(0)), 'bad-hyperparameter'],
  ['2^32 − 1 context', set('llama.context_length', u(2 ** 32 - 1)), 'bad-hyperparameter'],
  ['embedding length 0', set('llama.embedding_length', u(0)), 'bad-hyperparameter'],
  ['embedding length of another model', set('llama.embedding_length', u(32)), 'bad-hyperparameter'],
  ['hidden size of another model', set('llama.feed_forward_length', u(64)), 'wrong-shape'],
  ['hidden size 2^31', set('llama.feed_forward_length', u(2 ** 31)), 'bad-hyperparameter'],
  ['epsilon 0', set(`${ARCH}.layer_norm_rms_epsilon`, f(0)), 'bad-hyperparameter'],
  ['epsilon NaN', set(`${ARCH}.layer_norm_rms_epsilon`, f(Number.NaN)), 'bad-hyperparameter'],
  ['rope base ∞', set('llama.rope.freq_base', f(Number.POSITIVE_INFINITY)), 'bad-hyperparameter'],
  ['rope base −1', set('llama.rope.freq_base', f(-1)), 'bad-hyperparameter'],
  ['rope over half a head', set('llama.rope.dimension_count', u(4)), 'bad-hyperparameter'],
  ['keys of another size', set(`${ARCH}.key_length`, u(16)), 'bad-hyperparameter'],
  ['values of another size', set(`${ARCH}.value_length`, u(16)), 'bad-hyperparameter'],
  ['vocabulary of another size', set('llama.vocab_size', u(32000)), 'bad-hyperparameter'],
  ['yarn', set('llama.rope.scaling.type', s('yarn')), 'unsupported-rope-scaling'],
  ['longrope', set('llama.rope.scaling.type', s('longrope')), 'unsupported-rope-scaling'],
  ['scaling factor 0', set('llama.rope.scaling.factor', f(0)), 'bad-hyperparameter'],
  ['scaling factor −2, legacy', set('llama.rope.scale_linear', f(-2)), 'bad-hyperparameter'],
  // tensors
  ['no embedding', without('token_embd.weight'), 'missing-tensor'],
  ['no last norm', without('output_norm.weight'), 'missing-tensor'],
  ['no attn_q in layer 1', without('blk.1.attn_q.weight'), 'missing-tensor'],
  ['a bias', added('blk.0.attn_q.bias'), 'unexpected-tensor'],
  ['a layer without number', added('blk.x.attn_norm.weight'), 'unexpected-tensor'],
  ['rope factors of another size', added('rope_freqs.weight'), 'wrong-shape'],
  ['transposed ffn_down', tensor('blk.0.ffn_down.weight', { dims: [16, 32] }), 'wrong-shape'],
  ['a flat matrix', tensor('blk.0.attn_q.weight', { dims: [256] }), 'wrong-shape'],
  ['a matrix of three dimensions', tensor('blk.0.attn_q.weight', { dims: [16, 8, 2] }), 'wrong-shape'],
  [
    'two matrices in one',
    tensor('blk.0.attn_q.weight', { dims: [16, 16, 2], data: new Uint8Array(2048) }),
    'wrong-shape',
  ],
  ['a norm of two rows', tensor('blk.0.attn_norm.weight', { dims: [8, 2] }), 'wrong-shape'],
  [
    'output of another vocabulary',
    tensor('output.weight', { dims: [16, 2], data: new Uint8Array(128) }),
    'wrong-shape',
  ],
  [
    'a Q8_1 matrix',
    tensor('blk.0.ffn_down.weight', { ggmlType: 9, data: new Uint8Array(16 * 36) }),
    'unsupported-dtype',
  ],
  [
    'an i8 matrix',
    tensor('blk.0.attn_q.weight', { ggmlType: 24, data: new Uint8Array(256) }),
    'unsupported-dtype',
  ],
  [
    'an F16 norm',
    tensor('output_norm.weight', { ggmlType: 1, data: new Uint8Array(32) }),
    'unsupported-dtype',
  ],
  // vocabulary
  ['byte-level BPE', set('tokenizer.ggml.model', s('gpt2')), 'unsupported-tokenizer'],
  ['tokenizer model 5', set('tokenizer.ggml.model', u(5)), 'bad-vocabulary'],
  ['tokens that are numbers', vocabulary('tokens', 'i32', t => t.map(() => 1)), 'bad-vocabulary'],
  [
    'no tokens',
    edited(keys => keys.set('tokenizer.ggml.tokens', { type: 'array', of: 'string', value: [] })),
    'bad-vocabulary',
  ],
  ['a token less than rows', edited(shorten), 'bad-vocabulary'],
  ['scores as i8', vocabulary('scores', 'i8', scores => scores), 'bad-vocabulary'],
  ['scores as i32', vocabulary('scores', 'i32', scores => scores), 'bad-vocabulary'],
  ['a score less', vocabulary('scores', 'f32', scores => scores.slice(1)), 'bad-vocabulary'],
  ['a score of NaN', vocabulary('scores', 'f32', scores => scores.with(5, Number.NaN)), 'bad-vocabulary'],
  ['types as f32', vocabulary('token_type', 'f32', types => types), 'bad-vocabulary'],
  ['type 0', vocabulary('token_type', 'i32', types => types.with(300, 0)), 'bad-vocabulary'],
  ['type 7', vocabulary('token_type', 'i32', types => types.with(300, 7)), 'bad-vocabulary'],
  ['a type less', vocabulary('token_type', 'i32', types => types.slice(1)), 'bad-vocabulary'],
  ['a byte that is no byte', vocabulary('token_type', 'i32', types => types.with(300, 6)), 'bad-vocabulary'],
  ['BOS outside', set('tokenizer.ggml.bos_token_id', u(100000)), 'bad-vocabulary'],
  ['BOS as text', set('tokenizer.ggml.bos_token_id', s('<s>')), 'bad-vocabulary'],
  ['add_bos_token as u32', set('tokenizer.ggml.add_bos_token', u(1)), 'bad-vocabulary'],
];

/** `count` arrays without items. */
function manyEmpty(count: number): Uint8Array {
  return new Uint8Array(12 * count);
}

/** Takes the last piece away from all three lists, so that only the embedding disagrees. */
function shorten(keys: Map<string, GgufValue>): void {
  for (const part of ['tokens', 'scores', 'token_type']) {
    const old = keys.get(`tokenizer.ggml.${part}`);
    if (old?.type !== 'array') throw new Error(`no list ${part}`);
    keys.set(`tokenizer.ggml.${part}`, { ...old, value: (old.value as number[]).slice(0, -1) } as GgufValue);
  }
}
