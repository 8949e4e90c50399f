// The page: what is chosen, said and shown. The model is in a worker (engine.js), which starts more where the page is isolated
// from other origins.

import { forget, kept } from './kept.js';

const $ = id => document.getElementById(id);
const megabytes = bytes => `${(bytes / 1e6).toFixed(bytes < 1e8 ? 1 : 0)} MB`;

const engine = new Worker(new URL('engine.js', import.meta.url), { type: 'module' });
/** Calls that have not been answered, by their ids. */
const asked = new Map();
let lastId = 0;

/** Asks the engine; `onEvent` hears what it tells meanwhile. */
function ask(call, args = [], onEvent = () => {}) {
  const id = ++lastId;
  engine.postMessage({ id, call, args });
  return new Promise((resolve, reject) => asked.set(id, { resolve, reject, onEvent }));
}

engine.addEventListener('message', ({ data: { id, event, result, error } }) => {
  const { resolve, reject, onEvent } = asked.get(id);
  if (event !== undefined) return onEvent(event);
  asked.delete(id);
  if (error) reject(error);
  else resolve(result);
});
engine.addEventListener('error', ({ message }) => complain({ message: `The engine has ended: ${message}` }));

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
      const again = button(name, () => load(url));
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

/** @param source a File or an address */
async function load(source) {
  $('problem').hidden = true;
  tell('');
  progress({ title: 'Opening', loaded: 0 });
  show('loading');
  $('cancel').focus();
  try {
    const { name, parameters, weights, contextLength, threads } = await ask('open', [source], progress);
    $('name').textContent = name ?? 'A model';
    $('facts').textContent = [
      `${count(parameters)} weights in ${megabytes(weights)}`,
      `context ${contextLength}`,
      threads > 1 ? `${threads} threads` : 'one thread',
    ].join(', ');
    show('sheet');
    $('prompt').focus();
    tell('The model is ready.');
  } catch (error) {
    await choose();
    if (!error.stopped) complain(error);
  }
}

function progress({ title, loaded, total }) {
  $('loading-text').textContent = title;
  $('bytes').textContent =
    total === undefined ? megabytes(loaded) : `${megabytes(loaded)} of ${megabytes(total)}`;
  if (total === undefined) $('bar').removeAttribute('value');
  else $('bar').value = loaded / total;
}

function count(weights) {
  return weights < 1e6 ? `${Math.round(weights / 1e3)}k` : `${Math.round(weights / 1e6)}M`;
}

async function choose() {
  await ask('close');
  $('text').replaceChildren();
  $('more').hidden = true;
  tell('');
  show('chooser');
  await showKept();
  $('url').focus();
}

// Writing

/** Shows how a text goes on. */
async function write(given) {
  const written = document.createElement('span');
  let tokens = 0;
  $('text').append(written);
  busy(true);
  tell('Writing …');
  const options = {
    temperature: Number($('temperature').value),
    maxTokens: Number($('length').value),
    ...($('seed').value !== '' && { seed: Number($('seed').value) }),
  };
  try {
    const { timing, seed, done } = await ask('write', [given, options], piece => {
      tokens++;
      written.append(piece);
    });
    const rate = timing.decodeTokensPerSecond.toFixed(0);
    tell(`${tokens} tokens, ${rate} a second, seed ${seed}.${done === 'eos' ? ' The text has ended.' : ''}`);
  } catch (error) {
    tell(error.stopped ? `Stopped after ${tokens} tokens.` : '');
    if (!error.stopped) complain(error);
  }
  busy(false);
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
  if (file) void load(file);
});
$('address').addEventListener('submit', event => {
  event.preventDefault();
  void load($('url').value);
});
$('writing').addEventListener('submit', event => {
  event.preventDefault();
  begin();
});
$('cancel').addEventListener('click', () => ask('stop'));
$('stop').addEventListener('click', () => ask('stop'));
$('more').addEventListener('click', () => void write($('text').textContent));
$('change').addEventListener('click', () => void choose());
$('temperature').addEventListener('input', ({ target }) => ($('heat').textContent = target.value));
$('length').addEventListener('input', ({ target }) => ($('count').textContent = target.value));
document.addEventListener('keydown', event => {
  if (event.key === 'Escape') void ask('stop');
  const ready = !$('sheet').hidden && $('stop').hidden;
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && ready) begin();
});

await showKept();
