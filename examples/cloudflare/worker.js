// A Cloudflare Worker with its weights among the static assets, which may have 25 MiB each:
//
//     cria split MODEL --part 8MB --out assets && wrangler dev

import { open } from 'cria';
import { http, parts } from 'cria/sources';

let opening;

/** In 128 MB the Worker has room for 110 MB of model: more is refused before a weight is read. */
async function openAssets(assets) {
  const at = name => `http://assets/${name}`;
  const fetch = (url, init) => assets.fetch(url, init);
  const manifest = await (await fetch(at('model.gguf.parts.json'))).json();
  const source = parts(manifest, name => http(at(name), { fetch }));
  return open(source, { kvCache: 'f16', memoryLimit: 110e6 });
}

export default {
  async fetch(request, env, context) {
    opening ??= openAssets(env.ASSETS).catch(error => {
      opening = undefined; // the next request tries again
      throw error;
    });
    context.waitUntil(opening); // other requests wait for it too, whoever asked first
    const model = await opening;
    const prompt = new URL(request.url).searchParams.get('prompt') ?? 'Once upon a time';
    const pieces = model.generate(prompt, { maxTokens: 200, seed: 1 });
    // workerd's ReadableStream.from() appends what the generator returns
    const text = new ReadableStream({
      async pull(controller) {
        const { value, done } = await pieces.next();
        if (done) controller.close();
        else controller.enqueue(new TextEncoder().encode(value));
      },
      cancel: () => pieces.return(),
    });
    return new Response(text, { headers: { 'content-type': 'text/plain; charset=utf-8' } });
  },
};
