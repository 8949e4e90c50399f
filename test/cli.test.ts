import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Completion, open, openTokenizer } from '../host/index.ts';
import { cria, type Ended, START, start, temporaryFolder } from './support/cli.ts';
import { projectRoot, sharedFile, sharedTest } from './support/shared.ts';
import { tinyModel } from './support/tiny-model.ts';

const files = temporaryFolder();
const MODEL = files.file('tiny.gguf', tinyModel());
const LONG_MODEL = files.file('long.gguf', tinyModel({ contextLength: 8192 }));
const GREEDY = ['--temperature', '0', '--max-tokens', '12'];

const lines = (text: string) => text.split('\n').slice(0, -1);

function succeeded({ code, stdout, stderr }: Ended): string {
  assert.is(stderr, '');
  assert.is(code, 0);
  return stdout;
}

async function greedy(prompt: string, maxTokens = 12): Promise<{ text: string; completion: Completion }> {
  const model = await open(MODEL);
  const generation = model.generate(prompt, { temperature: 0, maxTokens });
  let text = '';
  for (;;) {
    const step = await generation.next();
    if (!step.done) {
      text += step.value;
      continue;
    }
    await model.close();
    return { text, completion: step.value };
  }
}

const greedyText = async (prompt: string, maxTokens?: number) => (await greedy(prompt, maxTokens)).text;

test('run prints the generated text and nothing else', async () => {
  const text = await greedyText('the hat');
  assert.not.equal(text, '');
  assert.is(succeeded(await cria(['run', MODEL, 'the hat', ...GREEDY])), text);
  assert.is(succeeded(await cria(['run', ...GREEDY, '--backend=wasm', '--', MODEL, 'the hat'])), text);
});

test('run takes the prompt from stdin only where the argument is absent', async () => {
  assert.is(succeeded(await cria(['run', MODEL, ...GREEDY], 'the hat\n')), await greedyText('the hat\n'));
  // stdin stays open here: reading it would never end
  const { ended, child } = start(['run', MODEL, '', ...GREEDY]);
  assert.is(succeeded(await ended), await greedyText(''));
  child.stdin!.destroy();
});

test('a prompt after -- may look like an option', async () => {
  assert.is(succeeded(await cria(['run', MODEL, ...GREEDY, '--', '--json'])), await greedyText('--json'));
});

test('run --json prints a line a token and how it ended', async () => {
  const out = lines(succeeded(await cria(['run', MODEL, 'the hat', '--json', ...GREEDY])));
  const tokens = out.slice(0, -1).map(line => JSON.parse(line));
  const last = JSON.parse(out.at(-1)!);
  for (const token of tokens) assert.equal(Object.keys(token), ['id', 'piece']);
  const { text, completion } = await greedy('the hat');
  assert.is(tokens.map(({ piece }) => piece).join(''), text);
  assert.equal(Object.keys(last), ['done', 'usage', 'timing']);
  assert.is(last.done, completion.done);
  assert.equal(last.usage, completion.usage);
  assert.is(tokens.length, completion.usage.completionTokens);
  assert.equal(Object.keys(last.timing).sort(), [
    'decodeMs',
    'decodeTokensPerSecond',
    'loadMs',
    'peakMemoryBytes',
    'promptMs',
    'promptTokensPerSecond',
    'timeToFirstTokenMs',
  ]);
  assert.ok(last.timing.peakMemoryBytes > 10e6 && last.timing.peakMemoryBytes < 1e9);
});

test('run --logprobs reports the best tokens', async () => {
  const out = succeeded(await cria(['run', MODEL, 'a', '--json', '--logprobs', '3', ...GREEDY]));
  const first = JSON.parse(lines(out)[0]!);
  assert.is(first.top.length, 3);
  assert.equal(first.top[0], { id: first.id, logprob: first.logprob });
});

test('the sampling options reach the sampler', async () => {
  const sample = async (...args: string[]) =>
    succeeded(await cria(['run', MODEL, 'the', '--max-tokens', '20', ...args]));
  const [text, same, other] = await Promise.all([
    sample('--seed', '7'),
    sample('--seed', '7'),
    sample('--seed', '8'),
  ]);
  assert.is(same, text);
  assert.is.not(other, text);
  const best = await greedyText('the', 20);
  assert.is(await sample('--seed', '8', '--top-k', '1'), best);
  assert.is.not(text, best);
  const a = (await openTokenizer(MODEL)).encode('a', { bos: false }).at(-1)!;
  const biased = await sample('--logit-bias', `${a}=1000`, '--temperature=0');
  assert.match(biased, /^ ?(a|the)?( ?a){19,}/);
  const stop = best.slice(3, 6);
  assert.is(await sample('--temperature=0', '--stop', 'never so', '--stop', stop), best.split(stop)[0]);
  assert.is.not(await sample('--temperature=0', '--repeat-penalty', '3', '--repeat-last-n', '-1'), best);
});

test('run --verbose reports on stderr', async () => {
  const { stdout, stderr, code } = await cria(['run', MODEL, 'a', '--seed=5', '--max-tokens=3', '--verbose']);
  assert.is(code, 0);
  assert.is.not(stdout, '');
  for (const said of [/prompt .* tok\/s/, /decode .* tok\/s/, /first token/, /peak memory/, /seed +5\n/]) {
    assert.match(stderr, said);
  }
});

const WRONG: [args: string[], said: RegExp][] = [
  [[], /a command is missing/],
  [['jog'], /unknown command "jog"/],
  [['help', 'jog'], /unknown command "jog"/],
  [['run'], /MODEL is missing/],
  [['perplexity', 'm'], /FILE is missing/],
  [['run', 'm', 'two', 'words'], /"words"/],
  [['run', 'm', '--top-k', '1e1000'], /--top-k: expected an integer from 0 .*"1e1000"/],
  [['run', 'm', '--top-k', '-1'], /--top-k: .*"-1"/],
  [['run', 'm', '--temperature', 'abc'], /--temperature: expected a number .*"abc"/],
  [['run', 'm', '--temperature', ''], /--temperature/],
  [['run', 'm', '--temperature', 'NaN'], /--temperature/],
  [['run', 'm', '--temperature', '0x10'], /--temperature/],
  [['run', 'm', '--temperature', '1e400'], /--temperature/],
  [['run', 'm', '--top-p', '1.01'], /--top-p: expected a number from 0 to 1/],
  [['run', 'm', '--seed', '1.5'], /--seed: expected an integer/],
  [['run', 'm', '--seed', '9007199254740993'], /--seed/],
  [['run', 'm', '--seed'], /--seed/],
  [['run', 'm', '--logit-bias', '3'], /--logit-bias: expected ID=VALUE/],
  [['run', 'm', '--logit-bias', '3=x'], /--logit-bias: expected ID=VALUE/],
  [['run', 'm', '--stop', ''], /--stop/],
  [['run', 'm', '--backend', 'gpu'], /--backend: expected auto or wasm or cuda or reference/],
  [['run', 'm', '--context', '0'], /--context/],
  [['run', 'm', '--bogus'], /--bogus/],
  [['run', 'm', '--json=1'], /--json/],
  [['run', 'm', 'x', '--logprobs', '1'], /--logprobs needs --json/],
  [['tokenize', 'm', 'x', '--lines'], /--lines/],
  [['show', 'm', '--seed', '1'], /--seed/],
];
test('wrong usage is told with the usage line', async () => {
  const ended = await Promise.all(WRONG.map(([args]) => cria(args)));
  for (const [i, { code, stdout, stderr }] of ended.entries()) {
    const [args, said] = WRONG[i]!;
    const call = `cria ${args.join(' ')}: ${stderr}`;
    assert.is(code, 2, call);
    assert.is(stdout, '', call);
    const [message, usage, ...more] = lines(stderr);
    assert.match(message!, said, call);
    assert.match(message!, /^cria: /, call);
    assert.match(usage!, /^Usage: cria /, call);
    assert.is(more.length, 0, call);
  }
});

test('a failure is one line on stderr that cannot steer the terminal', async () => {
  const notModel = files.file('text\x1b[31m.txt', 'not a model');
  const failures: [args: string[], said: RegExp][] = [
    [['run', 'no/such\x1b[2J\nfile', ''], /no such file/],
    [['run', notModel, ''], /text\\u001b\[31m/],
    [['show', notModel], /text\\u001b\[31m/],
    [['tokenize', 'no/such', 'x'], /no such file/],
    [['perplexity', MODEL, 'no/such'], /no such file/],
    [['perplexity', MODEL, files.file('empty.txt', '')], /expected at least two tokens/],
    [['run', MODEL, 'a', '--logit-bias', '99999=1'], /99999/],
    [['run', MODEL, 'a', '--context', '99999'], /99999/],
    [['run', MODEL, 'long '.repeat(100)], /tokens/],
  ];
  const ended = await Promise.all(failures.map(([args]) => cria(args)));
  for (const [i, { code, stdout, stderr }] of ended.entries()) {
    const [args, said] = failures[i]!;
    assert.is(code, 1, args.join(' '));
    assert.is(stdout, '');
    assert.match(stderr, said);
    assert.match(stderr, /^cria: [^\p{Cc}]*\n$/u);
  }
});

test('help and version', async () => {
  const { version } = JSON.parse(readFileSync(`${projectRoot}/package.json`, 'utf8'));
  assert.is(succeeded(await cria(['--version'])), `${version}\n`);
  const overview = succeeded(await cria(['--help']));
  for (const name of ['run', 'chat', 'show', 'tokenize', 'perplexity']) {
    assert.match(overview, `cria ${name} MODEL`);
    const help = succeeded(await cria(['help', name]));
    assert.match(help, `Usage: cria ${name} MODEL`);
    assert.is(succeeded(await cria([name, 'm', '--help', '--bogus'])), help);
  }
  const runHelp = succeeded(await cria(['run', '-h']));
  for (const flag of [
    '--frequency-penalty X',
    '--logit-bias ID=VALUE',
    '--max-tokens N',
    '--tokenizer FILE',
  ]) {
    assert.match(runHelp, flag);
  }
});

test('show prints metadata, tensors and memory, and escapes what the file says', async () => {
  const hostile = tinyModel({
    edit: metadata => {
      metadata.set('evil\x1b[31m', { type: 'string', value: '\x1b]0;owned\x07\x9b2J\u202e' });
    },
  });
  const path = files.file('hostile.gguf', hostile);
  const text = succeeded(await cria(['show', path]));
  assert.not.match(text, /[^\P{Cc}\n]|\u202e/u);
  assert.match(text, 'evil\\u001b[31m');
  assert.match(text, 'owned\\u0007\\u009b2J\\u202e');
  assert.match(text, /tokenizer\.ggml\.tokens +\[\d+\] "<unk>", "<s>", .*, \.\.\.\n/);
  assert.match(text, /layer_norm_rms_epsilon +0\.00001\n/);
  assert.match(text, /blk\.0\.attn_q\.weight +F32 +64 x 64 +16384 /);
  assert.match(text, /Memory at a context of 64 tokens\n {2}weights/);
  assert.match(succeeded(await cria(['show', path, '--context', '32'])), 'Memory at a context of 32 tokens');

  const json = succeeded(await cria(['show', path, '--json']));
  assert.not.match(json.slice(0, -1), /\p{Cc}|\u202e/u);
  const report = JSON.parse(json);
  assert.is(report.format, 'gguf');
  assert.is(report.metadata['evil\x1b[31m'], '\x1b]0;owned\x07\x9b2J\u202e');
  assert.is(report.metadata['llama.block_count'], 2);
  assert.ok(report.metadata['tokenizer.ggml.tokens'].length > 256);
  assert.equal(report.metadata['tokenizer.ggml.tokens'].first.slice(0, 3), ['<unk>', '<s>', '</s>']);
  assert.equal(
    report.tensors.find(({ name }: { name: string }) => name === 'blk.0.attn_k.weight').dims,
    [64, 32],
  );
  const { weights, cache, activations, kernels, total } = report.runnable.memory;
  assert.is(total, weights + cache + activations + kernels);

  const small = succeeded(
    await cria(['show', path, '--memory', '8MB', '--kv-cache', 'f16', '--threads', '1']),
  );
  assert.not.match(small, 'Does not fit');
  assert.match(
    succeeded(await cria(['show', path, '--memory', '1MB'])),
    '\nDoes not fit: no context would\n',
  );
});

test('show of a file that cannot be run says why; its vocabulary still works', async () => {
  const path = files.file('vocabulary.gguf', tinyModel({ edit: (_, tensors) => tensors.splice(0) }));
  assert.match(succeeded(await cria(['show', path])), /\nTensors \(0\)\n\nCannot be run: .*weights/);
  assert.is(JSON.parse(succeeded(await cria(['show', path, '--json']))).runnable.error.code, 'no-weights');
  assert.is(succeeded(await cria(['tokenize', path, 'the hat'])), await idsLine('the hat'));
});

async function idsLine(text: string, options = {}): Promise<string> {
  const tokenizer = await openTokenizer(MODEL);
  return `${JSON.stringify(tokenizer.encode(text, { bos: false, eos: false, ...options }))}\n`;
}

test('tokenize prints one array on one line', async () => {
  const text = 'the </s> hat\r\n';
  assert.is(succeeded(await cria(['tokenize', MODEL, text])), await idsLine(text));
  assert.is(succeeded(await cria(['tokenize', MODEL], text)), await idsLine(text));
  assert.is(succeeded(await cria(['tokenize', MODEL, text, '--bos'])), await idsLine(text, { bos: true }));
  const special = succeeded(await cria(['tokenize', MODEL, text, '--special']));
  assert.is(special, await idsLine(text, { special: true }));
  assert.ok(JSON.parse(special).includes(2) && !(await idsLine(text)).includes(',2,'));
  const { ended, child } = start(['tokenize', MODEL, '']);
  assert.is(succeeded(await ended), '[]\n');
  child.stdin!.destroy();
});

test('tokenize --lines splits at \\n alone', async () => {
  const texts = ['the\r', '', 'a\u2028b\u0085c', '\ufeffhé', 'last'];
  const expected = (await Promise.all(texts.map(text => idsLine(text)))).join('');
  for (const input of [texts.join('\n'), `${texts.join('\n')}\n`]) {
    assert.is(succeeded(await cria(['tokenize', MODEL, '--lines'], input)), expected);
  }
  assert.is(succeeded(await cria(['tokenize', MODEL, '--lines'], '')), '');
  assert.is(succeeded(await cria(['tokenize', MODEL, '--lines'], '\n\n')), '[]\n[]\n');
});

test('characters that arrive in two parts stay whole', async () => {
  const { child, ended } = start(['tokenize', MODEL, '--lines']);
  const bytes = new TextEncoder().encode('hé\nthe');
  child.stdin!.write(bytes.subarray(0, 2));
  await new Promise(resolve => setTimeout(resolve, 300));
  child.stdin!.end(bytes.subarray(2));
  assert.is(succeeded(await ended), (await idsLine('hé')) + (await idsLine('the')));
});

test('perplexity of a file and of stdin', async () => {
  const text = 'the hat and the hen on a shed '.repeat(9);
  const model = await open(MODEL);
  const expected = await model.perplexity(text, { window: 16, windows: 2 });
  await model.close();
  const args = ['--window', '16', '--windows', '2'];
  const file = files.file('text.txt', text);
  const json = JSON.parse(succeeded(await cria(['perplexity', MODEL, file, '--json', ...args])));
  assert.equal(json, expected);
  assert.equal(Object.keys(json), ['perplexity', 'nll', 'tokens', 'windows']);
  assert.is(json.windows, 2);
  const plain = succeeded(await cria(['perplexity', MODEL, '-', ...args], text));
  assert.match(
    plain,
    `perplexity ${expected.perplexity.toFixed(4)}, nll ${expected.nll.toFixed(4)}, 32 tokens`,
  );
});

test('a slow reader gets all of a long output', async () => {
  const text = 'the hat. '.repeat(100_000);
  const { child, ended } = start(['tokenize', MODEL]);
  child.stdout!.pause();
  child.stdin!.end(text);
  await new Promise(resolve => setTimeout(resolve, 1500));
  child.stdout!.resume();
  assert.is(succeeded(await ended), await idsLine(text));
});

// Neither EOS nor BOS may end it: thousands of tokens, seconds of work.
const NO_END = ['--logit-bias', '1=-1000', '--logit-bias', '2=-1000'];
const ENDLESS = ['run', LONG_MODEL, 'the', '--json', '--verbose', ...NO_END];

test('a reader that goes away ends the program quietly and early', async () => {
  const { child, until, ended } = start(ENDLESS);
  await until('"id"');
  child.stdout!.destroy();
  const { code, stderr } = await ended;
  assert.is(stderr, '', 'with --verbose a text that came to its end is reported');
  assert.is(code, 0);
});

test('output that cannot be written is a failure', async () => {
  if (!existsSync('/dev/full')) return;
  const full = openSync('/dev/full', 'w');
  const { ended } = start(['tokenize', MODEL, 'the'], {}, undefined, full);
  const { code, stderr } = await ended;
  closeSync(full);
  assert.is(code, 1);
  assert.match(stderr, /^cria: .*no space left.*\n$/);
});

for (const [signal, expected] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  test(`${signal} ends a running text with exit code ${expected}`, async () => {
    const { child, until, ended } = start(ENDLESS);
    await until('"id"');
    child.kill(signal);
    const { code, stdout, stderr } = await ended;
    assert.is(code, expected);
    assert.is(stderr, '');
    assert.not.match(stdout, '"done"');
  });
}

test('npm start runs the model that it is given, or the one that ships', async () => {
  const shipped = start(['Once upon', '--seed', '1', '--max-tokens', '20'], { CRIA_MODEL: '' }, START);
  const model = await open(join(projectRoot, 'models', 'stories.gguf'));
  let story = '';
  for await (const piece of model.generate('Once upon', { seed: 1, maxTokens: 20 })) story += piece;
  await model.close();
  assert.is(succeeded(await shipped.ended), story);
  const text = await greedyText('the hat');
  const given = start(['the hat', '--model', MODEL, ...GREEDY], { CRIA_MODEL: 'no/such' }, START);
  assert.is(succeeded(await given.ended), text);
  const fromEnvironment = start(['the hat', ...GREEDY], { CRIA_MODEL: MODEL }, START);
  assert.is(succeeded(await fromEnvironment.ended), text);
});

sharedTest(test, 'the 200 greedy tokens of llama2.c, from both containers', async () => {
  const expected = readFileSync(
    sharedFile('data/fixtures/llama2.c-test_all/expected_stdout.stories260K.t0.n200.txt'),
    'utf8',
  );
  const args = ['', '--temperature', '0', '--max-tokens', '200'];
  assert.is(succeeded(await cria(['run', sharedFile('data/models/stories260K.gguf'), ...args])), expected);
  const bin = sharedFile('data/models/stories260K.bin');
  const tokenizer = sharedFile('data/tokenizers/tok512.bin');
  assert.is(succeeded(await cria(['run', bin, '--tokenizer', tokenizer, ...args])), expected);
  const without = await cria(['run', bin, ...args]);
  assert.is(without.code, 1);
  assert.match(without.stderr, /--tokenizer FILE/);
});

sharedTest(test, "perplexity of run.c's text, ids of the Llama vocabulary", async () => {
  const text = sharedFile('data/fixtures/llama2c-run.c/nll_text.txt');
  const model = sharedFile('data/models/stories260K.gguf');
  const args = ['perplexity', model, text, '--window', '256', '--windows', '64', '--json'];
  const result = JSON.parse(succeeded(await cria(args)));
  assert.ok(Math.abs(result.perplexity - 6.149858) < 0.001, `perplexity ${result.perplexity}`);
  assert.is(result.tokens, 64 * 256);
  const vocabulary = sharedFile('data/tokenizers/ggml-vocab-llama-spm.gguf');
  assert.is(succeeded(await cria(['tokenize', vocabulary, 'Hello world'])), '[15043,3186]\n');
});

test.run();
