// A chat on Cloudflare Workers that computes no turn twice: what a conversation has computed (`saveCache`) lies in R2 beside
// the weights, so that any isolate goes on where another ended. POST { id, messages }; the id is the conversation's secret.

import { open } from 'cria';
import { r2 } from 'cria/sources';

let opening;
let before = Promise.resolve();

const openObject = async bucket =>
  open(await r2(bucket, 'model.gguf'), { kvCache: 'f16', contextLength: 512, memoryLimit: 110e6 });

async function answer(model, bucket, { id, messages }, out) {
  const key = `chats/${id}`;
  const saved = await bucket.get(key);
  if (saved) await model.restoreCache(await saved.bytes()).catch(console.warn); // of another model it is useless
  const pieces = model.chat(messages, { maxTokens: 100, seed: 1 });
  let next = await pieces.next();
  for (; !next.done; next = await pieces.next()) await out.write(new TextEncoder().encode(next.value));
  await out.close();
  await bucket.put(key, await model.saveCache());
  const { cachedTokens, promptTokens } = next.value.usage;
  console.log(`${cachedTokens} of ${promptTokens} tokens had been computed`);
}

export default {
  async fetch(request, { BUCKET }, context) {
    const model = await (opening ??= openObject(BUCKET)).catch(error => {
      opening = undefined; // the next request tries again
      throw error;
    });
    const chat = await request.json();
    const { readable, writable } = new TransformStream();
    const out = writable.getWriter();
    // one conversation at a time: between restoring and saving the cache is its own
    before = before.then(() => answer(model, BUCKET, chat, out)).catch(error => out.abort(error));
    context.waitUntil(before);
    return new Response(readable, { headers: { 'content-type': 'text/plain; charset=utf-8' } });
  },
};
