import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Composer, type Entry } from '../host/cli/composer.ts';
import { type ChatMessage, open } from '../host/index.ts';
import { cria, start, temporaryFolder } from './support/cli.ts';
import { tinyModel } from './support/tiny-model.ts';

const files = temporaryFolder();
const MODEL = files.file('tiny.gguf', tinyModel({ contextLength: 400 }));
const OPTIONS = { temperature: 0, maxTokens: 10 };
const GREEDY = ['--temperature', '0', '--max-tokens', '10'];

/** What the composer makes of the lines, nothing left out. */
function compose(...lines: string[]): Entry[] {
  const composer = new Composer();
  return lines.map(line => composer.push(line)).filter(({ kind }) => kind !== 'none');
}

test('lines, blocks and continued lines become messages', () => {
  assert.equal(compose('a', '', '  ', ' b '), [
    { kind: 'message', text: 'a' },
    { kind: 'message', text: ' b ' },
  ]);
  assert.equal(compose('a\\', '/b\\', 'c'), [{ kind: 'message', text: 'a\n/b\nc' }]);
  assert.equal(compose('"""', 'a', '', '/bye', 'b"c\\', '"""'), [
    { kind: 'message', text: 'a\n\n/bye\nb"c\\' },
  ]);
  assert.equal(compose('"""a', 'b"""', 'c'), [
    { kind: 'message', text: 'a\nb' },
    { kind: 'message', text: 'c' },
  ]);
  assert.equal(compose('"""/a""" '), [{ kind: 'message', text: '/a' }]);
  assert.equal(compose('"""', '"""', 'a """'), [{ kind: 'message', text: 'a """' }]);
});

test('commands are lines of their own', () => {
  assert.equal(compose('/system be  brief ', '/bye', '/', 'no /bye'), [
    { kind: 'command', name: 'system', argument: 'be  brief' },
    { kind: 'command', name: 'bye', argument: '' },
    { kind: 'command', name: '', argument: '' },
    { kind: 'message', text: 'no /bye' },
  ]);
});

test('the end of the input ends an open message', () => {
  const composer = new Composer();
  composer.push('"""a');
  composer.push('b');
  assert.ok(composer.isOpen);
  assert.equal(composer.finish(), { kind: 'message', text: 'a\nb' });
  assert.not(composer.isOpen);
  assert.equal(composer.finish(), { kind: 'none' });
});

test('Ctrl-C gives up what is typed; twice in a row on an empty prompt it leaves', () => {
  const composer = new Composer();
  composer.push('a\\');
  assert.is(composer.interrupt(false), 'cleared');
  assert.not(composer.isOpen);
  assert.is(composer.interrupt(true), 'cleared');
  assert.is(composer.interrupt(false), 'warned');
  assert.is(composer.interrupt(true), 'cleared');
  assert.is(composer.interrupt(false), 'warned');
  composer.push('');
  assert.is(composer.interrupt(false), 'warned');
  assert.is(composer.interrupt(false), 'leave');
});

/** The answers that the library gives to these messages, one after another. */
async function answers(questions: string[], system?: string): Promise<string[]> {
  const model = await open(MODEL);
  const messages: ChatMessage[] = system === undefined ? [] : [{ role: 'system', content: system }];
  const given: string[] = [];
  for (const content of questions) {
    messages.push({ role: 'user', content });
    let answer = '';
    for await (const piece of model.chat(messages, OPTIONS)) answer += piece;
    answer = answer.trimStart();
    messages.push({ role: 'assistant', content: answer });
    given.push(answer);
  }
  await model.close();
  return given;
}

const spoken = (texts: string[]) => texts.map(text => `${text}\n`).join('');

test('a conversation through a pipe remembers what was said', async () => {
  const expected = await answers(['the hat', 'a hen\nand a hat']);
  assert.is.not(expected[1], (await answers(['a hen\nand a hat']))[0]);
  const { code, stdout, stderr } = await cria(
    ['chat', MODEL, ...GREEDY],
    'the hat\n\n"""a hen\r\nand a hat\n"""\n/bye\nnever',
  );
  assert.is(stderr, '');
  assert.is(code, 0);
  assert.is(stdout, spoken(expected));
});

test('the end of the input is the end of the last message', async () => {
  const { code, stdout } = await cria(['chat', MODEL, ...GREEDY], '"""the\nhat');
  assert.is(code, 0);
  assert.is(stdout, spoken(await answers(['the\nhat'])));
});

test('/system, /reset and unknown commands', async () => {
  const input = 'the\n/reset\n/system be brief\na hat\n/nope\n/help\n/reset\n/system\na hat\n';
  const { code, stdout, stderr } = await cria(['chat', MODEL, ...GREEDY], input);
  const [first] = await answers(['the']);
  const [brief] = await answers(['a hat'], 'be brief');
  const [plain] = await answers(['a hat']);
  assert.is.not(brief, plain);
  assert.is(stdout, spoken([first!, brief!, plain!]));
  assert.is(code, 0);
  assert.match(stderr, /No command \/nope\. \/help lists/);
  assert.match(stderr, '/system TEXT');
  const option = await cria(['chat', MODEL, '--system', 'be brief', ...GREEDY], 'a hat\n');
  assert.is(option.stdout, spoken([brief!]));
});

test('what cannot be answered is said, and the chat goes on', async () => {
  const input = `${'long '.repeat(200)}\n[INST] mine\nthe hat\n`;
  const { code, stdout, stderr } = await cria(['chat', MODEL, ...GREEDY], input);
  assert.is(code, 0);
  assert.is(stdout, spoken(await answers(['the hat'])));
  const said = stderr.split('\n');
  assert.is(said.length, 3);
  assert.match(said[0]!, /^cria: chat: .*\/reset/);
  assert.match(said[1]!, /\[INST\]/);
});

test('an answer that fills the context says so', async () => {
  const { stdout, stderr } = await cria(
    ['chat', MODEL, '--context', '60', '--seed', '1', '--logit-bias', '2=-1000', '--logit-bias', '1=-1000'],
    'the hat\n',
  );
  assert.is.not(stdout.trim(), '');
  assert.match(stderr, /the context is full; \/reset/);
});

test('Ctrl-C stops the answer and not the program; between answers it ends the program', async () => {
  const slow = files.file(
    'slow.gguf',
    tinyModel({ contextLength: 8192, dim: 128, hiddenDim: 384, nLayers: 4 }),
  );
  const forever = ['--logit-bias', '2=-1000', '--logit-bias', '1=-1000', '--backend', 'reference'];
  const { child, ended, until } = start(['chat', slow, '--seed', '1', ...forever]);
  child.stdin!.write('the hat\n');
  await new Promise(resolve => child.stdout!.once('data', resolve));
  child.kill('SIGINT');
  await until('(stopped)');
  child.stdin!.write('/nope\n');
  await until('No command');
  child.kill('SIGINT');
  const { code, stderr } = await ended;
  assert.is(code, 130);
  assert.not.match(stderr, 'cria:');
});

test.run();
