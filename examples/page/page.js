// The page: what is chosen, said and shown. The model computes in threads of its own (`open` starts them), so that nothing
// here waits; without cross-origin isolation it is one.

import { open } from '../../dist/host/entries/browser.js';
import { forget, fromAddress, fromFile, kept } from './kept.js';

const $ = id => document.getElementById(id);
const megabytes = bytes => `${(bytes / 1e6).toFixed(bytes < 1e8 ? 1 : 0)} MB`;

let model;
/** Of what is being done; aborting it stops that. */
let work;

// What is seen

function show(section) {
  for (const id of ['chooser', 'loading', 'sheet']) $(id).hidden = id !== section;
}

function tell(text) {
  $('status').textContent = text;
}

function complain(error) {
  $('problem').textContent = error.message;
  $('problem').hidden = false;
}

async function showKept() {
  const models = await kept();
  $('kept').hidden = models.length === 0;
  $('models').replaceChildren(
    ...models.map(({ url, name }) => {
      const again = button(name, () => load(options => fromAddress(url, options)));
      const remove = button('Remove', async () => {
        await forget(url);
        await showKept();
        $('url').focus();
      });
      remove.setAttribute('aria-label', `Remove ${name}`);
      const item = document.createElement('li');
      item.append(again, remove);
      return item;
    }),
  );
}

function button(text, onClick) {
  const made = document.createElement('button');
  made.type = 'button';
  made.textContent = text;
  made.addEventListener('click', onClick);
  return made;
}

// Opening

/** @param source makes a source of `open` of a signal and a listener to progress */
async function load(source) {
  work = new AbortController();
  const { signal } = work;
  $('problem').hidden = true;
  tell('');
  show('loading');
  $('cancel').focus();
  try {
    const opened = await source({ signal, onProgress: progress('Keeping it on this device') });
    model = await open(opened, { kvCache: 'f16', signal, onProgress: progress('Reading the weights') });
    const { info } = model;
    $('name').textContent = info.name ?? 'A model';
    const threads = info.threads === 1 ? 'one thread' : `${info.threads} threads`;
    $('facts').textContent =
      `${count(info.parameters)} weights in ${megabytes(info.bytes.weights)}, context ${info.contextLength}, ${threads}`;
    show('sheet');
    $('prompt').focus();
    tell('The model is ready.');
  } catch (error) {
    await choose();
    if (!signal.aborted) complain(error);
  }
}

function progress(title) {
  return ({ loaded, total }) => {
    $('loading-text').textContent = title;
    $('bytes').textContent =
      total === undefined ? megabytes(loaded) : `${megabytes(loaded)} of ${megabytes(total)}`;
    if (total === undefined) $('bar').removeAttribute('value');
    else $('bar').value = loaded / total;
  };
}

function count(weights) {
  return weights < 1e6 ? `${Math.round(weights / 1e3)}k` : `${Math.round(weights / 1e6)}M`;
}

async function choose() {
  await model?.close();
  model = undefined;
  $('text').replaceChildren();
  $('more').hidden = true;
  show('chooser');
  await showKept();
  $('url').focus();
}

// Writing

/** Continues a text; `given` is shown before what is written. What a text has in common with the last is not computed again. */
async function write(given) {
  work?.abort();
  work = new AbortController();
  const text = $('text');
  const writing = document.createElement('span');
  busy(true);
  tell('Writing …');
  let tokens = 0;
  try {
    const options = {
      temperature: Number($('temperature').value),
      maxTokens: Number($('length').value),
      ...($('seed').value !== '' && { seed: Number($('seed').value) }),
      signal: work.signal,
    };
    const pieces = model.tokens(given, options);
    text.append(writing);
    let next = await pieces.next();
    for (; !next.done; next = await pieces.next()) {
      tokens++;
      writing.append(next.value.piece);
    }
    const { timing, seed, done } = next.value;
    const why = done === 'length' ? '' : ' It has come to an end.';
    tell(`${tokens} tokens, ${timing.decodeTokensPerSecond.toFixed(0)} a second, seed ${seed}.${why}`);
  } catch (error) {
    if (work.signal.aborted) tell(`Stopped after ${tokens} tokens.`);
    else {
      tell('');
      complain(error);
    }
  } finally {
    busy(false);
  }
}

function busy(is) {
  // told as a whole when it is complete, not piece by piece
  $('text').setAttribute('aria-busy', is);
  $('problem').hidden ||= is;
  const focused = document.activeElement;
  $('write').hidden = is;
  $('stop').hidden = !is;
  $('more').hidden = is;
  if (is && (focused === $('write') || focused === $('more'))) $('stop').focus();
  if (!is && focused === $('stop')) $('more').focus();
}

function begin() {
  const given = document.createElement('span');
  given.className = 'given';
  given.textContent = $('prompt').value;
  $('text').replaceChildren(given);
  void write($('prompt').value);
}

// What is done

$('file').addEventListener('change', ({ target }) => {
  const [file] = target.files;
  target.value = '';
  if (file) void load(options => fromFile(file, options));
});
$('address').addEventListener('submit', event => {
  event.preventDefault();
  const url = $('url').value;
  void load(options => fromAddress(url, options));
});
$('writing').addEventListener('submit', event => {
  event.preventDefault();
  begin();
});
$('cancel').addEventListener('click', () => work.abort());
$('stop').addEventListener('click', () => work.abort());
$('more').addEventListener('click', () => void write($('text').textContent));
$('change').addEventListener('click', () => {
  work?.abort();
  void choose();
});
$('temperature').addEventListener('input', ({ target }) => ($('heat').textContent = target.value));
$('length').addEventListener('input', ({ target }) => ($('count').textContent = target.value));
document.addEventListener('keydown', event => {
  if (event.key === 'Escape') work?.abort();
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && model && $('stop').hidden) begin();
});

await showKept();
