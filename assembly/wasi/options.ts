// What is asked for: the arguments, and for what they leave open the environment (`--top-k 5` is CRIA_TOP_K=5).

import { failUsage } from './errors';
import { take } from './memory';
import { line, writeAll } from './output';
import { STDOUT, args_get, args_sizes_get, environ_get, environ_sizes_get, proc_exit, random_get } from './preview1';
import { isText, lengthOf } from './text';

/** 0 where none is given. */
export let model: usize = 0;
export let prompt: usize = 0;
/** −1: to the end of the context. */
export let maxTokens: i64 = -1;
/** −1: the model's. */
export let context: i64 = -1;
export let temperature: f32 = 0.8;
export let topK: i32 = 40;
export let topP: f32 = 0.95;
export let minP: f32 = 0;
export let repeatPenalty: f32 = 1;
export let frequencyPenalty: f32 = 0;
export let presencePenalty: f32 = 0;
export let repeatLastN: i32 = 64;
export let seed: u64 = 0;
let seeded = false;
/** Whether what could steer a terminal is spelt out. */
export let escape = false;
export let verbose = false;
/** For tests: the prompt is ids, its logits are written, its ids are written. */
export let ids = false;
export let writeLogits = false;
export let tokenize = false;

const HELP = `Usage: cria.wasm MODEL [PROMPT] [options]

Continues a text with a Llama model in GGUF. Without PROMPT the text is read from stdin.
Every option may also come from the environment: CRIA_MODEL, CRIA_PROMPT, CRIA_MAX_TOKENS, ...

Options:
  --max-tokens N          generate at most N tokens; default: to the end of the context
  --context N             tokens that the sequence may hold; default: the model's context
  --temperature T         0 takes the most probable token; default 0.8
  --top-k K               keep the K most probable tokens, 0 all; default 40
  --top-p P               keep the most probable tokens that reach P together; default 0.95
  --min-p P               keep tokens with this share of the largest probability; default 0
  --repeat-penalty X      divide the logits of recent tokens by X; default 1
  --frequency-penalty X   lower the logits of recent tokens by X per occurrence; default 0
  --presence-penalty X    lower the logits of recent tokens by X; default 0
  --repeat-last-n N       how many tokens are recent; -1 all; default 64
  --seed N                the same seed gives the same text; default: random
  --escape                spell out control characters, for a terminal
  --verbose               report speed and seed on stderr
  --ids                   PROMPT is token ids
  --tokenize              write the ids of PROMPT as JSON
  --logits                write the logits after each token of PROMPT, as little-endian f32
  --help                  print this
`;

const MOST_I32: f64 = 2147483647;
const MOST_SAFE: f64 = 9007199254740991;

export function readOptions(): void {
  readEnvironment();
  readArguments();
  if (!seeded) {
    const place = take(8);
    random_get(place, 8);
    seed = load<u64>(place) & 0x1fffffffffffff;
  }
  if (model == 0) {
    const message = line();
    message.say('cria: MODEL is missing');
    failUsage(message);
  }
}

/** Host order: environ_sizes_get gives the number of texts and their bytes, environ_get the addresses and the texts. */
const SIZES = memory.data(8, 4);

function readEnvironment(): void {
  if (environ_sizes_get(SIZES, SIZES + 4)) return;
  const count = load<u32>(SIZES);
  const addresses = take(<u64>count * 4), texts = take(load<u32>(SIZES, 4));
  if (environ_get(addresses, texts)) return;
  for (let i: u32 = 0; i < count; i++) {
    const variable = load<u32>(addresses + (<usize>i << 2));
    let length: u32 = 0;
    while (load<u8>(variable + length) && load<u8>(variable + length) != 0x3d) length++;
    if (length < 6 || !isText(variable, 5, 'CRIA_') || load<u8>(variable + length) == 0) continue;
    const value = variable + length + 1;
    if (load<u8>(value) == 0) continue;
    const name = variable + 5, nameLength = length - 5;
    // TOP_K is --top-k
    for (let c = name; c < name + nameLength; c++) {
      const character = load<u8>(c);
      if (character == 0x5f) store<u8>(c, 0x2d);
      else if (character >= 0x41 && character <= 0x5a) store<u8>(c, character | 0x20);
    }
    if (isText(name, nameLength, 'model')) model = value;
    else if (isText(name, nameLength, 'prompt')) prompt = value;
    else if (!setFlag(name, nameLength)) setValue(name, nameLength, value);
  }
}

function readArguments(): void {
  if (args_sizes_get(SIZES, SIZES + 4)) return;
  const count = load<u32>(SIZES);
  const addresses = take(<u64>count * 4), texts = take(load<u32>(SIZES, 4));
  if (args_get(addresses, texts)) return;
  let positionals = 0;
  let onlyPositionals = false;
  // the first is the program's name
  for (let i: u32 = 1; i < count; i++) {
    const argument = load<u32>(addresses + (<usize>i << 2));
    const length = lengthOf(argument);
    if (onlyPositionals || length < 2 || load<u16>(argument) != 0x2d2d) {
      if (positionals == 0) model = argument;
      else if (positionals == 1) prompt = argument;
      else wrongArgument('unexpected argument ', argument, length);
      positionals++;
      continue;
    }
    if (length == 2) {
      onlyPositionals = true;
      continue;
    }
    const name = argument + 2;
    let nameLength: u32 = 0;
    while (nameLength < length - 2 && load<u8>(name + nameLength) != 0x3d) nameLength++;
    const joined = nameLength < length - 2;
    if (!joined && setFlag(name, nameLength)) continue;
    if (!joined && i + 1 == count) wrongArgument('an unknown option, or one without its value: ', argument, length);
    const value = joined ? name + nameLength + 1 : load<u32>(addresses + (<usize>++i << 2));
    if (!setValue(name, nameLength, value)) wrongArgument('unknown option ', argument, length);
  }
}

function wrongArgument(what: string, argument: usize, length: u32): void {
  const message = line();
  message.say('cria: ');
  message.say(what);
  message.quote(argument, length);
  failUsage(message);
}

/** Whether there is such an option without a value. */
function setFlag(name: usize, length: u32): bool {
  if (isText(name, length, 'escape')) escape = true;
  else if (isText(name, length, 'verbose')) verbose = true;
  else if (isText(name, length, 'ids')) ids = true;
  else if (isText(name, length, 'logits')) writeLogits = true;
  else if (isText(name, length, 'tokenize')) tokenize = true;
  else if (isText(name, length, 'help')) printHelp();
  else return false;
  return true;
}

function printHelp(): void {
  const help = take(HELP.length);
  const length = String.UTF8.encodeUnsafe(changetype<usize>(HELP), HELP.length, help);
  writeAll(STDOUT, help, <u32>length);
  proc_exit(0);
}

/** Whether there is such an option with a value, which has then been taken. */
function setValue(name: usize, length: u32, value: usize): bool {
  if (isText(name, length, 'max-tokens')) maxTokens = <i64>integer(name, length, value, 0, MOST_I32);
  else if (isText(name, length, 'context')) context = <i64>integer(name, length, value, 1, MOST_I32);
  else if (isText(name, length, 'temperature')) temperature = <f32>number(name, length, value, 0, 1e6);
  else if (isText(name, length, 'top-k')) topK = <i32>integer(name, length, value, 0, MOST_I32);
  else if (isText(name, length, 'top-p')) topP = <f32>number(name, length, value, 0, 1);
  else if (isText(name, length, 'min-p')) minP = <f32>number(name, length, value, 0, 1);
  else if (isText(name, length, 'repeat-penalty')) repeatPenalty = <f32>number(name, length, value, 0.001, 1000);
  else if (isText(name, length, 'frequency-penalty')) frequencyPenalty = <f32>number(name, length, value, -1000, 1000);
  else if (isText(name, length, 'presence-penalty')) presencePenalty = <f32>number(name, length, value, -1000, 1000);
  else if (isText(name, length, 'repeat-last-n')) repeatLastN = <i32>integer(name, length, value, -1, MOST_I32);
  else if (isText(name, length, 'seed')) {
    // the largest stands for 0, as in host/generate.ts
    seed = <u64>integer(name, length, value, 0, MOST_SAFE) % <u64>MOST_SAFE;
    seeded = true;
  } else return false;
  return true;
}

function integer(name: usize, length: u32, value: usize, least: f64, most: f64): f64 {
  const result = number(name, length, value, least, most);
  for (let c = value; load<u8>(c); c++) {
    const character = load<u8>(c);
    if (!isDigit(character) && !(c == value && isSign(character))) wrongNumber('an integer', name, length, value);
  }
  return result;
}

function number(name: usize, length: u32, value: usize, least: f64, most: f64): f64 {
  const result = parse(value);
  if (!(result >= least && result <= most)) wrongNumber('a number in its range', name, length, value);
  return result;
}

function wrongNumber(expected: string, name: usize, length: u32, value: usize): void {
  const message = line();
  message.say('cria: --');
  message.bytes(name, length);
  message.say(': expected ');
  message.say(expected);
  message.say(', got ');
  message.quote(value, lengthOf(value));
  failUsage(message);
}

function isDigit(character: u8): bool {
  return character >= 0x30 && character <= 0x39;
}

function isSign(character: u8): bool {
  return character == 0x2b || character == 0x2d;
}

/** Powers of ten that an f64 holds exactly: with them one multiplication or division rounds correctly. */
const MOST_TEN = 22;

/**
 * The f64 nearest to a decimal number such as `-1.5e3`, which is what JavaScript makes of it; NaN for other text, and for
 * numbers of more digits than can be had exactly here.
 */
function parse(text: usize): f64 {
  const negative = load<u8>(text) == 0x2d;
  if (isSign(load<u8>(text))) text++;
  let digits: f64 = 0;
  let count = 0;
  let exponent = 0;
  let point = false;
  for (;; text++) {
    const character = load<u8>(text);
    if (character == 0x2e && !point) {
      point = true;
    } else if (isDigit(character)) {
      digits = digits * 10 + <f64>(character - 0x30);
      count++;
      if (point) exponent--;
    } else break;
  }
  if (count == 0 || digits > MOST_SAFE) return NaN;
  if ((load<u8>(text) | 0x20) == 0x65) {
    text++;
    const down = load<u8>(text) == 0x2d;
    if (isSign(load<u8>(text))) text++;
    let power = 0;
    const first = text;
    for (; isDigit(load<u8>(text)); text++) power = min(1000, power * 10 + (load<u8>(text) - 0x30));
    if (text == first) return NaN;
    exponent += down ? -power : power;
  }
  if (load<u8>(text)) return NaN;
  if (exponent < -MOST_TEN || exponent > MOST_TEN) return digits == 0 ? 0 : NaN;
  let ten: f64 = 1;
  for (let i = abs(exponent); i > 0; i--) ten *= 10;
  const result = exponent < 0 ? digits / ten : digits * ten;
  return negative ? -result : result;
}
