// cria.wasm: continues a text with a Llama model, on any runtime of WASI preview 1. The kernels are those of the JavaScript
// hosts, and so are the bits. What has to exist twice is here in a short form: GGUF only, one sequence, f32 keys and values.

import { contextLength, vocabSize } from './config';
import { beginText, endText, sayToken } from './decode';
import { encode, idCount, ids } from './encode';
import { at, fail } from './errors';
import { inputLength, openFile, readInput } from './file';
import { readHeader } from './gguf';
import { OUTPUTS, batch, forward, logits, planLlama } from './llama';
import { readModel } from './llama-file';
import { alloc, commit, take } from './memory';
import * as options from './options';
import { useScratch } from './ops';
import { line, writeAll } from './output';
import { MONOTONIC, STDERR, STDOUT, clock_time_get } from './preview1';
import { draw, planSampler } from './sampler';
import { lengthOf } from './text';
import { bos, eos, pieceCount, readVocabulary } from './vocabulary';
import { loadWeights, planWeights } from './weights';

/** Tokens of the sequence so far, the prompt first. */
let history: usize = 0; // (context) i32
let length: i32 = 0;
let context: i32 = 0;

export function _start(): void {
  options.readOptions();
  let text = options.prompt, textLength: u32 = 0;
  if (text) {
    textLength = lengthOf(text);
  } else {
    text = readInput();
    textLength = inputLength;
  }
  const started = now();
  openFile(options.model, lengthOf(options.model));
  readHeader();
  if (options.tokenize) {
    readVocabulary();
    needVocabulary();
    encode(text, textLength);
    writeIds();
    return;
  }
  readModel();
  readVocabulary();
  at('tokenizer.ggml.tokens');
  if (pieceCount > 0 && pieceCount != <u32>vocabSize) {
    const hint = 'The file is damaged or was converted wrongly.';
    fail('bad-vocabulary', 'a token for each row of the embedding', '# tokens', hint, pieceCount);
  }
  chooseContext();
  takePrompt(text, textLength);
  loadModel();
  const loaded = now();
  if (options.writeLogits) writePromptLogits();
  else generate(started, loaded);
}

function needVocabulary(): void {
  at('tokenizer.ggml.tokens');
  if (pieceCount == 0) fail('needs-tokenizer', 'a vocabulary', 'a file without one', 'Give token ids with --ids.');
}

function chooseContext(): void {
  context = options.context < 0 ? contextLength : <i32>options.context;
  at('--context');
  if (context > contextLength) {
    const hint = 'Ask for less, or use a model with a longer context.';
    fail('option-range', 'at most what the model was trained for', '#', hint, context);
  }
}

/** The prompt's ids become the beginning of the history. */
function takePrompt(text: usize, textLength: u32): void {
  let from: usize = 0;
  if (options.ids) {
    from = readIds(text, textLength);
  } else {
    needVocabulary();
    encode(text, textLength);
    from = ids;
    length = idCount;
  }
  at('prompt');
  if (length == 0) fail('option-range', 'at least one token', 'none', 'Give a text.');
  if (length > context) {
    const hint = 'Shorten the prompt, or ask for a larger --context if the model allows one.';
    fail('prompt-too-long', 'a prompt that fits in the context', '# tokens', hint, length);
  }
  history = take(<u64>context * 4);
  memory.copy(history, from, <usize>length << 2);
}

/** Numbers with anything but digits between them. */
function readIds(text: usize, textLength: u32): usize {
  const out = take(<u64>textLength * 2 + 4);
  for (let i: u32 = 0; i < textLength; ) {
    let id: i64 = 0;
    const first = i;
    for (; i < textLength && <u8>(load<u8>(text + i) - 0x30) < 10; i++) {
      id = min(id * 10 + (load<u8>(text + i) - 0x30), i32.MAX_VALUE);
    }
    if (i == first) {
      i++;
      continue;
    }
    at('prompt');
    if (id >= vocabSize) fail('token-out-of-range', 'ids below the size of the vocabulary', '#', 'Check the ids.', id);
    store<i32>(out + (<usize>length << 2), <i32>id);
    length++;
  }
  return out;
}

/** Adds up all of the memory that the model takes, takes it, and reads the weights. */
function loadModel(): void {
  const held = planWeights();
  const worked = planLlama(context);
  planSampler();
  const scratch = alloc(max(held, worked));
  commit();
  useScratch(scratch);
  loadWeights(scratch);
}

/** Runs the history from a position on, but for its last token's logits; returns the number of tokens in the last batch. */
function prefill(): i32 {
  let n = 0;
  for (let first = 0; first < length; first += n) {
    n = min(batch, length - first);
    forward(history + (<usize>first << 2), n, first);
  }
  return n;
}

function writePromptLogits(): void {
  for (let first = 0; first < length; ) {
    const n = min(batch, length - first);
    forward(history + (<usize>first << 2), n, first);
    for (let row = 0; row < n; row += OUTPUTS) {
      const rows = min(OUTPUTS, n - row);
      writeAll(STDOUT, logits(row, rows), <u32>rows * vocabSize * 4);
    }
    first += n;
  }
}

function generate(started: u64, loaded: u64): void {
  const promptLength = length;
  const wanted = options.maxTokens < 0 ? context : <i32>options.maxTokens;
  const end = length + min(wanted, context - length);
  if (end == length) return;
  const speaks = pieceCount > 0;
  if (speaks) beginText(history, length);
  let last = prefill() - 1;
  let prefilled: u64 = 0;
  for (;;) {
    const id = draw(logits(last, 1), history, length);
    if (prefilled == 0) prefilled = now();
    if (id == eos || id == bos) break;
    store<i32>(history + (<usize>length << 2), id);
    if (speaks) sayToken(id);
    else sayId(id);
    if (++length == end) break;
    forward(history + (<usize>(length - 1) << 2), 1, length - 1);
    last = 0;
  }
  if (speaks) endText();
  if (options.verbose) report(started, loaded, prefilled, promptLength);
}

/** Without a vocabulary a token is its number. */
function sayId(id: i32): void {
  const said = line();
  said.number(id);
  said.byte(0x0a);
  writeAll(STDOUT, said.start, said.length);
}

function writeIds(): void {
  const said = line();
  said.byte(0x5b);
  for (let i = 0; i < idCount; i++) {
    if (i > 0) said.byte(0x2c);
    said.number(load<i32>(ids + (<usize>i << 2)));
    if (said.length < 1024) continue;
    writeAll(STDOUT, said.start, said.length);
    said.length = 0;
  }
  said.say(']\n');
  writeAll(STDOUT, said.start, said.length);
}

const CLOCK = memory.data(8, 8);

/** Nanoseconds. */
function now(): u64 {
  clock_time_get(MONOTONIC, 1, CLOCK);
  return load<u64>(CLOCK);
}

function report(started: u64, loaded: u64, prefilled: u64, promptLength: i32): void {
  phase('load', 0, loaded - started);
  phase('prompt', promptLength, prefilled - loaded);
  phase('decode', length - promptLength - 1, now() - prefilled);
  const said = line();
  said.say('seed ');
  said.number(options.seed);
  said.byte(0x0a);
  writeAll(STDERR, said.start, said.length);
}

function phase(name: string, tokens: i32, nanoseconds: u64): void {
  const said = line();
  said.say(name);
  said.byte(0x20);
  if (tokens > 0) {
    said.number(tokens);
    said.say(' tokens in ');
  }
  said.number(nanoseconds / 1000000);
  said.say(' ms');
  if (tokens > 0) {
    const tenths = <u64>tokens * 10000000000 / max(1, nanoseconds);
    said.say(', ');
    said.number(tenths / 10);
    said.byte(0x2e);
    said.number(tenths % 10);
    said.say(' tok/s');
  }
  said.byte(0x0a);
  writeAll(STDERR, said.start, said.length);
}
