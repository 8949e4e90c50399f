// The chat format of Llama 2 (meta-llama/llama, llama/generation.py, `chat_completion`).
import type { ChatMessage } from './api.ts';
import { OptionError, quote } from './errors.ts';
import type { Tokenizer } from './tokenizer.ts';

const [B_INST, E_INST] = ['[INST]', '[/INST]'];
const [B_SYS, E_SYS] = ['<<SYS>>', '<</SYS>>'];
const MARKERS = [B_INST, E_INST, B_SYS, E_SYS] as const;

/** What Python's `str.strip()` removes: unlike `trim`, U+001C..U+001F and U+0085, and not U+FEFF. */
const WHITESPACE = '[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]';
const LEADING = new RegExp(`^${WHITESPACE}+`);
const ONE = new RegExp(WHITESPACE);

/**
 * The ids of a conversation that the model is to answer. With `system` folded into the first user message as
 * `<<SYS>>\n` system `\n<</SYS>>\n\n` user, each turn is encoded on its own:
 *
 *     BOS [INST] user [/INST] answer EOS … BOS [INST] user [/INST]
 *
 * The markers are ordinary text, so no message may contain one; nothing in a message becomes BOS or EOS. Two messages
 * can never spell a marker together: no marker contains whitespace, and whitespace stands between what is the
 * caller's and what is ours, and between any two messages.
 *
 * @throws OptionError 'option-type' for anything but messages; 'chat-format' for a vocabulary without BOS or EOS, or unless the roles are system (optional),
 * then user and assistant by turns, the last a user; 'chat-markers' for a message that contains a marker.
 */
export function encodeChat(tokenizer: Tokenizer, messages: readonly ChatMessage[]): number[] {
  checkMessages(messages);
  if (tokenizer.bos < 0 || tokenizer.eos < 0) {
    throw new OptionError('chat-format', {
      where: 'chat',
      expected: 'a vocabulary with BOS and EOS, which Llama 2 puts around every turn',
      got: 'one without',
      hint: 'Use a chat model, or write the prompt yourself.',
    });
  }
  const system = messages[0]!.role === 'system' ? messages[0]!.content : undefined;
  const turns = system === undefined ? messages : messages.slice(1);

  const ids: number[] = [];
  for (let i = 0; i < turns.length; i += 2) {
    const folded = i === 0 && system !== undefined ? `${B_SYS}\n${system}\n${E_SYS}\n\n` : '';
    const user = strip(folded + turns[i]!.content);
    const answer = turns[i + 1];
    const text =
      answer === undefined
        ? `${B_INST} ${user} ${E_INST}`
        : `${B_INST} ${user} ${E_INST} ${strip(answer.content)} `;
    for (const id of tokenizer.encode(text, { bos: true, eos: answer !== undefined, special: false })) {
      ids.push(id);
    }
  }
  return ids;
}

function checkMessages(messages: readonly ChatMessage[]): void {
  if (!Array.isArray(messages)) {
    throw wrongType('messages', 'an array of { role, content }', messages);
  }
  for (const [i, message] of messages.entries()) {
    const where = `messages[${i}]`;
    if (typeof message !== 'object' || message === null) throw wrongType(where, '{ role, content }', message);
    if (typeof message.role !== 'string') throw wrongType(`${where}.role`, 'a string', message.role);
    if (typeof message.content !== 'string') throw wrongType(`${where}.content`, 'a string', message.content);
    const marker = MARKERS.find(text => message.content.includes(text));
    if (marker !== undefined) {
      throw new OptionError('chat-markers', {
        where: `${where}.content`,
        expected: `text without ${MARKERS.join(' ')}`,
        got: `${quote(marker)} at ${message.content.indexOf(marker)}`,
        hint: 'These mark whose words are whose; remove them from the message.',
      });
    }
  }

  const offset = messages[0]?.role === 'system' ? 1 : 0;
  for (const [i, { role }] of messages.entries()) {
    if (i < offset) continue;
    const expected = (i - offset) % 2 === 0 ? 'user' : 'assistant';
    if (role !== expected) throw wrongFormat(`messages[${i}].role`, quote(expected), quote(role));
  }
  if (messages.length === offset || messages.at(-1)!.role !== 'user') {
    const got = messages.length === 0 ? 'no message' : `the last from ${quote(messages.at(-1)!.role)}`;
    throw wrongFormat('messages', 'the last from "user"', got);
  }
}

/** Without leading and trailing whitespace. The end is scanned by hand: a pattern would take quadratic time. */
function strip(text: string): string {
  const start = text.replace(LEADING, '');
  let end = start.length;
  while (end > 0 && ONE.test(start[end - 1]!)) end--;
  return start.slice(0, end);
}

function wrongFormat(where: string, expected: string, got: string): OptionError {
  return new OptionError('chat-format', {
    where,
    expected,
    got,
    hint: 'A conversation is an optional system message, then user and assistant by turns, ending with the user.',
  });
}

function wrongType(where: string, expected: string, value: unknown): OptionError {
  return new OptionError('option-type', {
    where,
    expected,
    got: value === null ? 'null' : typeof value,
    hint: 'A message is an object with a role and its content, both strings.',
  });
}
