// The worker in which the page's model is opened and asked, so that the page's own thread never waits. It answers messages
// { id, call, args } with any number of { id, event } and one { id, result } or { id, error }.

import { open } from '../../dist/lib/browser.js';
import { fromAddress, fromFile } from './kept.js';

let model;
/** Of what is being done; aborting it stops that. */
let work = new AbortController();

function begin() {
  work.abort();
  work = new AbortController();
  return work.signal;
}

const calls = {
  /** Opens a file, or what is at an address. @returns what the page tells about the model */
  async open(source, tell) {
    const signal = begin();
    const steps = {
      signal,
      onProgress: progress => tell({ title: 'Keeping it on this device', ...progress }),
    };
    const opened = await (source instanceof Blob ? fromFile(source, steps) : fromAddress(source, steps));
    model = await open(opened, {
      kvCache: 'f16',
      signal,
      onProgress: progress => tell({ title: 'Reading the weights', ...progress }),
    });
    const { name, parameters, bytes, contextLength, threads } = model.info;
    return { name, parameters, weights: bytes.weights, contextLength, threads };
  },

  /** Continues a text. What it has in common with the last one is not computed again. */
  async write(prompt, options, tell) {
    const tokens = model.tokens(prompt, { ...options, signal: begin() });
    let next = await tokens.next();
    for (; !next.done; next = await tokens.next()) tell(next.value.piece);
    return next.value;
  },

  async close() {
    work.abort();
    await model?.close();
    model = undefined;
  },

  stop: () => work.abort(),
};

self.onmessage = async ({ data: { id, call, args } }) => {
  try {
    const result = await calls[call](...args, event => postMessage({ id, event }));
    postMessage({ id, result });
  } catch (error) {
    postMessage({ id, error: { message: error.message, stopped: error.name === 'AbortError' } });
  }
};
