// bun bun.js, then curl -N 'localhost:8000/?prompt=Once upon a time'

import { open } from 'cria';

const model = await open(process.env.MODEL ?? 'model.gguf');

Bun.serve({
  port: process.env.PORT ?? 8000,
  fetch(request) {
    const prompt = new URL(request.url).searchParams.get('prompt') ?? 'Once upon a time';
    // Bun takes the generator as it is
    return new Response(model.generate(prompt, { maxTokens: 200, seed: 1 }), {
      headers: { 'content-type': 'text/plain; charset=utf-8' },
    });
  },
});
