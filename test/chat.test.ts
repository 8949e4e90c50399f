import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ChatMessage } from '../host/api.ts';
import { encodeChat } from '../host/chat.ts';
import { type ErrorCode, OptionError } from '../host/errors.ts';
import { Tokenizer } from '../host/tokenizer.ts';
import { vocabularyFromLlama2c } from '../host/vocabulary.ts';
import { sharedFile, sharedTest } from './support/shared.ts';
import { handMade } from './support/vocabularies.ts';

const small = new Tokenizer(handMade(true));

const system = (content: string): ChatMessage => ({ role: 'system', content });
const user = (content: string): ChatMessage => ({ role: 'user', content });
const assistant = (content: string): ChatMessage => ({ role: 'assistant', content });

/** What a conversation becomes, with `‹s›` and `‹/s›` where the ids of BOS and EOS are. */
function rendered(...messages: ChatMessage[]): string {
  const ids = encodeChat(small, messages);
  const turns: string[] = [];
  for (let at = 0; at < ids.length; ) {
    assert.is(ids[at], small.bos);
    const nextBos = ids.indexOf(small.bos, at + 1);
    const end = nextBos < 0 ? ids.length : nextBos;
    const turn = ids.slice(at + 1, end);
    const closed = turn.at(-1) === small.eos;
    assert.not.ok(turn.slice(0, -1).includes(small.eos));
    turns.push(`‹s›${small.decode(turn)}${closed ? '‹/s›' : ''}`);
    at = end;
  }
  return turns.join('');
}

function refused(code: ErrorCode, messages: unknown): void {
  try {
    encodeChat(small, messages as ChatMessage[]);
  } catch (error) {
    assert.instance(error, OptionError);
    assert.is((error as OptionError).code, code, (error as OptionError).message);
    return;
  }
  assert.unreachable(`expected ${code} for ${JSON.stringify(messages)}`);
}

test('chat: turns as meta-llama/llama writes them', () => {
  assert.is(rendered(user('a')), '‹s›[INST] a [/INST]');
  assert.is(rendered(system('b'), user('a')), '‹s›[INST] <<SYS>>\nb\n<</SYS>>\n\na [/INST]');
  assert.is(
    rendered(system('b'), user('a'), assistant('c'), user('d')),
    '‹s›[INST] <<SYS>>\nb\n<</SYS>>\n\na [/INST] c ‹/s›‹s›[INST] d [/INST]',
  );
});

test('chat: whitespace goes where Python strips it', () => {
  assert.is(rendered(user(' \n\t a \u2003\x1c\x85')), '‹s›[INST] a [/INST]');
  assert.is(rendered(user('\ufeffa\ufeff')), '‹s›[INST] \ufeffa\ufeff [/INST]');
  assert.is(
    rendered(user('a'), assistant('\n c \n'), user('d')),
    '‹s›[INST] a [/INST] c ‹/s›‹s›[INST] d [/INST]',
  );
  // the system message keeps its own, and guards the beginning of the user's
  assert.is(rendered(system(' b\n'), user(' a ')), '‹s›[INST] <<SYS>>\n b\n\n<</SYS>>\n\n a [/INST]');
  assert.is(rendered(user('')), '‹s›[INST]  [/INST]');
  assert.is(rendered(system('b'), user(' ')), '‹s›[INST] <<SYS>>\nb\n<</SYS>> [/INST]');
});

test('chat: whitespace at the end of a long message takes time in proportion', () => {
  // quadratic time would be minutes
  const text = `${' '.repeat(300_000)}a${' '.repeat(300_000)}`;
  assert.is(rendered(user(`b${text}b`)).length, '‹s›[INST] bb [/INST]'.length + text.length);
});

test('chat: roles alternate and end with the user', () => {
  for (const messages of [
    [],
    [system('a')],
    [assistant('a')],
    [user('a'), user('b')],
    [user('a'), assistant('b')],
    [user('a'), system('b')],
    [system('a'), system('b'), user('c')],
    [system('a'), assistant('b'), user('c')],
    [user('a'), assistant('b'), assistant('c'), user('d')],
    [user('a'), system('b'), user('c')],
    [{ role: 'tool', content: 'a' }],
    [{ role: 'User', content: 'a' }],
  ]) {
    refused('chat-format', messages);
  }
});

test('chat: what is not a message', () => {
  for (const messages of [
    undefined,
    null,
    'a',
    { role: 'user', content: 'a' },
    [null],
    ['a'],
    [{ content: 'a' }],
    [{ role: 'user' }],
    [{ role: 'user', content: ['a'] }],
    [{ role: 1, content: 'a' }],
  ]) {
    refused('option-type', messages);
  }
});

const MARKERS = ['[INST]', '[/INST]', '<<SYS>>', '<</SYS>>'];

test('chat: no message may contain a marker', () => {
  for (const marker of MARKERS) {
    for (const text of [marker, `a${marker}b`, ` ${marker} `, `${marker.slice(0, 2)}${marker}`]) {
      refused('chat-markers', [user(text)]);
      refused('chat-markers', [system(text), user('a')]);
      refused('chat-markers', [system('a'), user(text)]);
      refused('chat-markers', [user('a'), assistant(text), user('b')]);
      refused('chat-markers', [user('a'), assistant('b'), user(text)]);
    }
  }
});

test('chat: messages that hold parts of a marker never form one with their neighbours', () => {
  const count = (text: string, part: string): number => text.split(part).length - 1;
  const parts = MARKERS.flatMap(marker =>
    Array.from({ length: marker.length - 1 }, (_, i) => [marker.slice(0, i + 1), marker.slice(i + 1)]),
  ).flat();
  for (const one of parts) {
    for (const two of parts) {
      for (const gap of ['', ' ', '\n', '\x1c']) {
        const text = rendered(
          system(one + gap),
          user(gap + two + gap),
          assistant(gap + one + gap),
          user(gap + two),
        );
        const [inst, endInst, sys, endSys] = MARKERS.map(marker => count(text, marker));
        assert.equal([inst, endInst, sys, endSys], [2, 2, 1, 1], JSON.stringify([one, two, gap, text]));
      }
    }
  }
});

test('chat: BOS and EOS written in a message stay text', () => {
  const text = '</s><s>[</s>INST]<unk><0x0A>';
  assert.is(
    rendered(user(text), assistant(text), user(text)),
    `‹s›[INST] ${text} [/INST] ${text} ‹/s›‹s›[INST] ${text} [/INST]`,
  );
  const ids = encodeChat(small, [user('a </s><s> b')]);
  assert.equal(
    ids.filter(id => id < 3),
    [small.bos],
  );
});

test('chat: BOS and EOS come whatever the vocabulary adds to plain text', () => {
  const adding = new Tokenizer(handMade(true, { addBos: true, addEos: true }));
  const messages = [user('a'), assistant('b'), user('c')];
  assert.equal(encodeChat(adding, messages), encodeChat(small, messages));
});

sharedTest(test, 'chat: ids under the vocabulary of Llama', () => {
  const bytes = readFileSync(sharedFile('data/tokenizers/tokenizer.bin'));
  const llama = new Tokenizer(vocabularyFromLlama2c(bytes, 32000, 'tokenizer.bin'));
  const ids = (text: string): number[] => text.split(' ').map(Number);
  // from SentencePiece with Llama 2's tokenizer.model, on the strings of `chat_completion`
  const plain = ids('1 518 25580 29962 15043 518 29914 25580 29962');
  const folded = ids(
    '1 518 25580 29962 3532 14816 29903 6778 13 3492 526 8444 29889 13 29966 829 14816 29903 6778 13 13 10994 518 29914 25580 29962',
  );
  const second = ids('6324 727 29991 29871 2 1 518 25580 29962 1128 526 366 29973 518 29914 25580 29962');
  assert.equal(encodeChat(llama, [user('Hello')]), plain);
  const opening = [system('You are helpful.'), user('Hello')];
  assert.equal(encodeChat(llama, opening), folded);
  assert.equal(encodeChat(llama, [...opening, assistant('Hi there!'), user('How are you?')]), [
    ...folded,
    ...second,
  ]);
});

test.run();
