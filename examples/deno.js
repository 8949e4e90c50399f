// deno serve --allow-read --allow-env deno.js, then curl -N 'localhost:8000/?prompt=Once upon a time'

import { open } from 'cria';

const model = await open(Deno.env.get('MODEL') ?? 'model.gguf');

export default {
  fetch(request) {
    const prompt = new URL(request.url).searchParams.get('prompt') ?? 'Once upon a time';
    const text = ReadableStream.from(model.generate(prompt, { maxTokens: 200, seed: 1 }));
    return new Response(text.pipeThrough(new TextEncoderStream()), {
      headers: { 'content-type': 'text/plain; charset=utf-8' },
    });
  },
};
