// `cria train` and `cria export` as processes: kills at random moments, Ctrl-C, a full disk, other people's formats.

import { execFile, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { open, openTokenizer } from '../host/index.ts';
import { latestCheckpoint, runFolder } from '../host/train/index.ts';
import { cria, start } from './support/cli.ts';
import { tinyModel, uniform } from './support/tiny-model.ts';

const folder = mkdtempSync(join(tmpdir(), 'cria-train-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const at = (name: string) => join(folder, name);
const MAIN = fileURLToPath(new URL('../lib/cli.js', import.meta.url));

/** Stories of few words, so that a tiny model learns something at once. */
function stories(seed: number, count: number): string {
  const random = uniform(seed);
  const words = ['the dog', 'a cat', 'saw', 'and', 'ran to', 'the hill', 'one day', 'was sad', 'she'];
  const one = () =>
    Array.from({ length: 30 }, () => words[Math.floor((random() + 1) * 0.5 * words.length)]).join(' ');
  return Array.from({ length: count }, one).join('<|endoftext|>');
}

writeFileSync(at('stories.txt'), stories(1, 60));
writeFileSync(at('tokenizer.gguf'), tinyModel());
const CONFIG = {
  sources: [{ file: 'stories.txt' }],
  tokenizer: 'tokenizer.gguf',
  dim: 16,
  hiddenDim: 32,
  nLayers: 1,
  nHeads: 2,
  nKvHeads: 1,
  contextLength: 16,
  sequences: 2,
  microBatches: 3,
  steps: 1_000_000,
  warmup: 10,
  validateEvery: 0,
  sampleEvery: 0,
  checkpointEvery: 1,
  keep: 2,
  logEvery: 1,
};
writeFileSync(at('config.json'), JSON.stringify(CONFIG));

const run = (out: string, ...rest: string[]) => ['train', at('config.json'), '--out', at(out), ...rest];
const checkpoints = (out: string) => readdirSync(at(out)).filter(name => /^step-.*\.ckpt$/.test(name));
const acknowledged = (stdout: string) =>
  Math.max(0, ...Array.from(stdout.matchAll(/^step (\d+): checkpoint .*$/gm), ([, step]) => Number(step)));

const KILLS = process.env['CRIA_FULL'] ? 500 : 20;

test(`${KILLS} kills at random moments: no checkpoint corrupt, none that was acknowledged lost, the same bits`, async () => {
  const random = uniform(5);
  let last = 0;
  let torn = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const child = spawn(process.execPath, [MAIN, ...run('killed', '--resume')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', text => {
      stdout += text;
    });
    const ended = new Promise(resolve => child.on('close', resolve));
    // every fifth dies while it starts
    if (kill % 5 > 0) await new Promise(resolve => child.stdout.once('data', resolve));
    await new Promise(resolve => setTimeout(resolve, (random() + 1) * 60));
    child.kill('SIGKILL');
    await ended;
    last = Math.max(last, acknowledged(stdout));
    const found = await latestCheckpoint(runFolder(at('killed')));
    torn += found?.torn.length ?? 0;
    const step = found?.checkpoint.state.step ?? 0;
    assert.ok(step >= last, `kill ${kill}: step ${step} is left of ${last}`);
    last = step;
  }
  assert.is(torn, 0);
  assert.ok(last > KILLS, `${last} steps`);
  const whole = await cria(run('whole', '--until', String(last), '--checkpoint-every', '0'));
  assert.is(whole.code, 0, whole.stderr);
  const name = `step-${String(last).padStart(8, '0')}.ckpt`;
  assert.equal(readFileSync(join(at('killed'), name)), readFileSync(join(at('whole'), name)));
  const again = await cria(run('killed', '--resume', '--until', String(last + 1)));
  assert.is(again.code, 0, again.stderr);
  const halves = readdirSync(at('killed')).filter(name => name.startsWith('.'));
  assert.equal(halves, [], 'what was half written is cleared away');
});

test('Ctrl-C saves a checkpoint and exits with 130, SIGTERM with 143', async () => {
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    const { child, until, ended } = start(run(signal, '--checkpoint-every', '0'));
    await until('step 5/');
    child.kill(signal);
    const { code: got, stdout, stderr } = await ended;
    assert.is(got, code, stderr);
    const steps = Math.max(...Array.from(stdout.matchAll(/^step (\d+)\//gm), ([, step]) => Number(step)));
    assert.equal(checkpoints(signal), [`step-${String(steps).padStart(8, '0')}.ckpt`]);
    assert.match(stderr, `stopped after step ${steps}`);
  }
});

test('1, 2 and 3 ranks, stopped and resumed: the same checkpoint', async () => {
  const bytes: Buffer[] = [];
  for (const ranks of ['1', '2', '3']) {
    const out = `ranks${ranks}`;
    for (const until of ['4', '9']) {
      const { code, stderr } = await cria(run(out, '--resume', '--until', until, '--ranks', ranks));
      assert.is(code, 0, stderr);
    }
    bytes.push(readFileSync(join(at(out), 'step-00000009.ckpt')));
    const steps = readFileSync(join(at(out), 'log.jsonl'), 'utf8')
      .trim()
      .split('\n');
    const logged = steps.map(line => JSON.parse(line)).filter(({ kind }) => kind === 'step');
    assert.equal(
      logged.map(({ step }) => step),
      [1, 2, 3, 4, 5, 6, 7, 8, 9],
    );
    const events = readdirSync(at(out)).filter(name => name.includes('tfevents'));
    assert.ok(events.length >= 1, 'for TensorBoard');
  }
  assert.equal(bytes[1], bytes[0]);
  assert.equal(bytes[2], bytes[0]);
});

test('a disk that is full: a typed error, and all that was saved stays', async () => {
  const first = await cria(run('full', '--until', '3'));
  assert.is(first.code, 0, first.stderr);
  const before = checkpoints('full');
  // a file may have 8 blocks of 1024 bytes: a write comes short, the next one fails
  const shell = `ulimit -f 8; exec "$0" "$@"`;
  const args = ['-c', shell, process.execPath, MAIN, ...run('full', '--resume', '--until', '6')];
  const failed = await promisify(execFile)('bash', args).then(
    () => assert.unreachable(),
    error => error,
  );
  assert.is(failed.code, 1);
  assert.match(failed.stderr, /file that can be written or replaced, got EFBIG/);
  assert.equal(checkpoints('full'), before);
  const again = await cria(run('full', '--resume', '--until', '6'));
  assert.is(again.code, 0, again.stderr);
  const straight = await cria(run('straight', '--until', '6'));
  assert.is(straight.code, 0, straight.stderr);
  const name = 'step-00000006.ckpt';
  assert.equal(readFileSync(join(at('full'), name)), readFileSync(join(at('straight'), name)));
});

test('a run is not overwritten, and not resumed by another configuration', async () => {
  const there = await cria(run('straight', '--until', '7'));
  assert.is(there.code, 2);
  assert.match(there.stderr, /--resume/);
  const other = await cria(run('straight', '--resume', '--until', '7', '--learning-rate', '0.5'));
  assert.is(other.code, 1);
  assert.match(other.stderr, /another run/);
});

test('a configuration is checked like the flags', async () => {
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ nLayer: 3 }, /nLayers.*"nLayer"/],
    [{ nLayers: 'three' }, /nLayers: expected an integer/],
    [{ nHeads: 3 }, /nHeads: expected heads of an even size/],
    [{ warmup: 2e6 }, /warmup: expected at most 1000000/],
    [{ dim: undefined }, /dim: expected .* got nothing/],
    [{ sources: [] }, /sources: expected a list/],
  ];
  for (const [change, message] of cases) {
    writeFileSync(at('wrong.json'), JSON.stringify({ ...CONFIG, ...change }));
    const { code, stderr } = await cria(['train', at('wrong.json'), '--out', at('wrong')]);
    assert.ok(code === 1 || code === 2, stderr);
    assert.match(stderr, message);
  }
});

test('a dry run tells the costs and writes nothing', async () => {
  const { code, stdout, stderr } = await cria(run('dry', '--dry-run'));
  assert.is(code, 0, stderr);
  for (const what of ['parameters', 'memory', 'GFLOP', 'time']) assert.match(stdout, what);
  assert.throws(() => readdirSync(at('dry')), /ENOENT/);
});

test('validation, samples and the best checkpoint', async () => {
  const args = ['--validate-every', '10', '--sample-every', '20', '--sample-prompts', 'one', '--steps', '40'];
  const { code, stdout, stderr } = await cria(run('best', ...args, '--learning-rate', '0.01'));
  assert.is(code, 0, stderr);
  assert.is(stdout.match(/validation loss/g)?.length, 4);
  assert.is(stdout.match(/^step \d+: "one/gm)?.length, 2);
  assert.ok(readdirSync(at('best')).includes('best.ckpt'));
});

test('what is exported opens, and writes what the trainer writes', async () => {
  const greedy = await cria(
    run(
      'greedy',
      '--steps',
      '40',
      '--sample-every',
      '40',
      '--sample-temperature',
      '0',
      '--sample-tokens',
      '12',
    ),
  );
  const sample = /^step 40: (".*")$/m.exec(greedy.stdout)?.[1];
  assert.ok(sample, greedy.stdout + greedy.stderr);
  const expected = JSON.parse(sample);
  const kinds: [string, string[]][] = [
    ['model.gguf', ['--type', 'F32']],
    ['model.bin', ['--format', 'llama2.c']],
  ];
  for (const [name, args] of kinds) {
    const { code, stderr } = await cria(['export', at('greedy'), at(name), ...args]);
    assert.is(code, 0, stderr);
    const tokenizer = name.endsWith('bin') ? { tokenizer: at(`${name}.tokenizer.bin`) } : {};
    const model = await open(at(name), { ...tokenizer, threads: 0 });
    let text = '';
    for await (const piece of model.generate('', { temperature: 0, maxTokens: 12 })) text += piece;
    assert.is(text.trimStart(), expected.trimStart(), name);
    await model.close();
  }
  mkdirSync(at('hf'), { recursive: true });
  const { code, stderr } = await cria(['export', at('greedy'), at('hf'), '--format', 'safetensors']);
  assert.is(code, 0, stderr);
  const [own, theirs] = await Promise.all([
    openTokenizer(join(at('hf'), 'tokenizer.model')),
    openTokenizer(at('tokenizer.gguf')),
  ]);
  assert.equal(own.encode('one day the dog'), theirs.encode('one day the dog'));
});

test('a source whose only document is kept for validation is told', async () => {
  writeFileSync(at('one.txt'), stories(2, 1));
  const sources = [{ file: 'stories.txt' }, { file: 'one.txt' }];
  writeFileSync(at('two.json'), JSON.stringify({ ...CONFIG, sources }));
  const seen = new Set<boolean>();
  for (let seed = 0; seen.size < 2 && seed < 20; seed++) {
    const args = ['--validation', '0.5', '--split-seed', String(seed), '--dry-run'];
    const { code, stdout, stderr } = await cria(['train', at('two.json'), '--out', at('two'), ...args]);
    assert.is(code, 0, stderr);
    const kept = /^ *one\.txt +0 tokens, 0 % of a step; [1-9]\d* kept for validation$/m.test(stdout);
    assert.is(stderr.includes('one.txt: nothing to train on, its only document is kept'), kept, stdout);
    seen.add(kept);
  }
  assert.is(seen.size, 2);
});

test('curves are drawn, in a file that needs no other', async () => {
  const { code, stderr } = await cria(['plot', at('best'), at('greedy'), '--out', at('loss.svg')]);
  assert.is(code, 0, stderr);
  const svg = readFileSync(at('loss.svg'), 'utf8');
  assert.match(svg, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
  assert.is(svg.match(/<path /g)?.length, 6, 'losses, validation and rates of two runs');
  assert.match(svg, 'prefers-color-scheme: dark');
  assert.not.match(svg, /NaN|Infinity|undefined|href|src=/);
  const page = await cria(['plot', at('best'), '--out', at('loss.html')]);
  assert.is(page.code, 0, page.stderr);
  assert.match(readFileSync(at('loss.html'), 'utf8'), '<svg');
  const none = await cria(['plot', folder]);
  assert.is(none.code, 1);
  assert.match(none.stderr, 'log.jsonl');
});

test.run();
